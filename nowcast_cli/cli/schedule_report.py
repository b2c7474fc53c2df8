"""What there is to say of the schedule: its items, what is known of them, and what comes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from nowcast_cli.cli.context import System
from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.schedule import Item
from nowcast_cli.config.zones import local_zone
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.errors import NotFound
from nowcast_cli.scheduler.catching_up import next_fire_time
from nowcast_cli.scheduler.plan import plan_of

if TYPE_CHECKING:
    from nowcast_cli.store.flow_records import FlowRunRecord
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import EnsembleRecord, JobRecord, ScheduleRecord

    Launched = JobRecord | EnsembleRecord | FlowRunRecord


@dataclass(frozen=True)
class Scheduled:
    """An item, what the manager knows of it, what was launched last, and when it comes next."""

    item: Item
    row: ScheduleRecord | None
    job: Launched | None
    next: datetime | None


@dataclass(frozen=True)
class ScheduleReport:
    """The schedule at one instant, for people in ``zone``."""

    items: tuple[Scheduled, ...]
    problems: tuple[str, ...]
    runs: bool
    now: datetime
    zone: ZoneInfo

    def local(self, instant: datetime | str | None) -> str:
        """Write an instant as local time, with the day of the week."""
        if instant is None:
            return "-"
        at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        return f"{at.astimezone(self.zone):%a %Y-%m-%d %H:%M:%S}"

    def in_words(self, instant: datetime | None) -> str:
        """Say how long it is until then: ``in 3 h 20 min``."""
        if instant is None:
            return ""
        return f"in {duration_words((instant - self.now).total_seconds())}"

    def zone_words(self) -> str:
        """Name the time zone, with its distance from UTC now."""
        offset = self.now.astimezone(self.zone).strftime("%z")
        return f"{self.zone} (UTC{offset[:3]}:{offset[3:]})"

    def as_json(self) -> dict[str, Any]:
        """Return the report as ``nowcast schedule list --json`` prints it."""
        return {
            "time zone": str(self.zone),
            "now": self.now.isoformat(),
            "scheduler": "ready" if self.runs else "stopped",
            "items": [_as_json(scheduled) for scheduled in self.items],
            "problems": list(self.problems),
        }


def gather(system: System) -> ScheduleReport:
    """Look at the configuration and at the store; works with every daemon down."""
    plan, now = plan_of(system.config), datetime.now(UTC)
    rows, jobs = _known(system)
    items = []
    for item in plan.items.values():
        row = rows.get(item.name)
        coming = next_fire_time(item, now)
        items.append(Scheduled(item, row, jobs.get(item.name), coming))
    runs = ask_health(system.paths.run / "scheduler.sock") is not None
    problems = tuple(problem.text for problem in plan.problems)
    return ScheduleReport(tuple(items), problems, runs, now, local_zone())


def upcoming(report: ScheduleReport, count: int) -> list[tuple[datetime, Item]]:
    """Give the next launches, the soonest first; those of paused items are none."""

    def launches(item: Item) -> Iterator[tuple[datetime, Item]]:
        at = next_fire_time(item, report.now)
        while at is not None:
            yield at, item
            at = next_fire_time(item, at)

    active = (s.item for s in report.items if s.row is None or s.row.paused is None)
    merged = heapq.merge(*map(launches, active), key=lambda launch: launch[0])
    return list(islice(merged, count))


def _known(
    system: System,
) -> tuple[dict[str, ScheduleRecord], dict[str, Launched]]:
    from nowcast_cli.store.reader import Reader

    try:
        with Reader(system.paths.database) as reader:
            rows = {row.item: row for row in reader.schedule()}
            jobs = {row.item: _launched(reader, row.job) for row in rows.values() if row.job}
            return rows, jobs
    except NotFound:  # it has never been started
        return {}, {}


def _launched(reader: Reader, launched: str) -> Launched:
    from nowcast_cli.errors import NotFound

    try:
        return reader.ensemble(launched) or reader.job(launched)
    except NotFound:
        return reader.flow_run(launched)


def _as_json(scheduled: Scheduled) -> dict[str, Any]:
    item, row, job = scheduled.item, scheduled.row, scheduled.job
    return {
        "name": item.name,
        "worker": item.worker or None,
        "module": item.module or None,
        "flow": item.flow,
        "arguments": list(item.arguments),
        "when": item.words,
        "time zone": str(item.zone),
        "catch up": item.catch_up,
        "within": item.within,
        "jitter": item.jitter,
        "paused": None if row is None else row.paused,
        "next": None if scheduled.next is None else scheduled.next.isoformat(),
        "last": None if row is None else row.nominal,
        "job": None if job is None else {"id": job.id, "state": job.state},
    }
