"""The scheduler's turns: what is due, asking for it, and what became of what was asked."""

from __future__ import annotations

import logging
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import zmq

from nowcast_cli.config import Config
from nowcast_cli.config.expectations import expectations_of
from nowcast_cli.config.schedule import Item
from nowcast_cli.config.settings import endpoints
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.errors import NowcastError
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.asker import Asker
from nowcast_cli.messages.message import Message
from nowcast_cli.scheduler.catching_up import due, trusted
from nowcast_cli.scheduler.clockwork import Clockwork
from nowcast_cli.scheduler.launches import by_the_clock
from nowcast_cli.scheduler.overdue import Overdue, overdue
from nowcast_cli.scheduler.plan import Plan, plan_of
from nowcast_cli.security.source import key_source
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import ScheduleRecord

# A machine that slept is noticed after so many seconds: no timer counts while it sleeps.
_LONGEST_WAIT = 5.0
_STEP_OF_THE_CLOCK = 1.0
_BETWEEN_LOOKS = 10.0  # seconds, for workers that are overdue


def run_scheduler(context: DaemonContext) -> int:
    """Run the scheduler until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code 0."""
    zmq_context: zmq.Context[Any] = zmq.Context()
    key = key_source(context.config, "operator")
    asker = Asker(zmq_context, endpoints(context.config), time.monotonic, key)
    scheduler = Scheduler(context.config, context.paths.database, asker, context.logger)
    try:
        _loop(context, scheduler, asker)
    finally:
        asker.close()
        zmq_context.destroy(linger=0)
    return 0


def _loop(context: DaemonContext, scheduler: Scheduler, asker: Asker) -> None:
    wait = 0.0
    while True:
        poller = zmq.Poller()
        poller.register(context.signals.fileno(), zmq.POLLIN)
        poller.register(context.health.fileno(), zmq.POLLIN)
        if (socket := asker.socket()) is not None:
            poller.register(socket, zmq.POLLIN)
        ready = dict(poller.poll(int(wait * 1000) + (wait > 0)))  # rounded up
        if context.health.fileno() in ready:
            context.health.answer(context.status(**scheduler.facts(), waiting=asker.waiting))
        arrived = context.signals.read() if context.signals.fileno() in ready else []
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            return
        if signal.SIGHUP in arrived:
            scheduler.reload()
        wait = scheduler.turn()
        for asked, reply in asker.turn():
            scheduler.answered(asked, reply)
        repeat = asker.wait_at_most()
        wait = wait if repeat is None else min(wait, repeat)


class Asks(Protocol):
    """What takes the requests to the manager."""

    def put(self, message: Message) -> None:
        """Ask this, which has an id, after all that waits already."""


class Scheduler:
    """Knows the items and how far each was launched; decides, and leaves the asking to ``asker``.

    ``monotonic`` is a clock that nobody sets, to notice when somebody sets the other one.
    """

    def __init__(
        self,
        config: Config,
        database: Path,
        asker: Asks,
        logger: logging.Logger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._asker = asker
        self._logger = logger
        self._monotonic = monotonic
        self._clockwork = Clockwork()
        self._cursors: dict[str, datetime] = {}
        self._paused: set[str] = set()
        self._told: set[str] = set()
        self._look_at = 0.0
        self._config = config
        self._plan = Plan({}, ())
        self._offset = time.time() - monotonic()
        self._take(config)

    def facts(self) -> dict[str, Any]:
        """Give what there is to say of its health."""
        return {"items": len(self._plan.items), "mistakes": self._plan.errors}

    # --- the configuration

    def reload(self) -> None:
        """Take in a changed configuration; one that cannot be read leaves all as it is."""
        config = Config()
        try:
            config.load(self._config.file)
        except NowcastError as error:
            self._logger.error("%s: the schedule is not reloaded", error.what)
            return
        self._take(config)
        self._logger.info("schedule reloaded from %s", config.file)

    def _take(self, config: Config) -> None:
        before = self._plan.items
        self._config, self._plan = config, plan_of(config)
        self._expectations, _ = expectations_of(config)
        for problem in self._plan.problems:
            level = logging.ERROR if problem.severity == "error" else logging.WARNING
            self._logger.log(level, "%s", problem.text)
        rows, now = self._rows(), datetime.now(UTC)
        cursors = {
            item.name: self._cursor_of(item, before.get(item.name), rows.get(item.name))
            for item in self._plan.items.values()
        }
        self._paused = {name for name, row in rows.items() if row.paused is not None}
        self._cursors = {name: cursor or now for name, cursor in cursors.items()}
        self._asker.put(_following(self._plan.items, {n: now for n, c in cursors.items() if not c}))
        self._watch()
        self._logger.info("%d items are scheduled", len(self._plan.items))

    def _cursor_of(
        self, item: Item, before: Item | None, row: ScheduleRecord | None
    ) -> datetime | None:
        """Give how far an item was launched; None for one that is new, or has other times."""
        if before is not None and str(before.timing) == str(item.timing):
            return self._cursors[item.name]
        if row is not None and row.timing == str(item.timing) and before is None:
            return datetime.fromisoformat(row.cursor)
        return None

    def _watch(self) -> None:
        items = self._plan.items.values()
        self._clockwork.set((item, self._cursors[item.name]) for item in items)

    # --- turns

    def turn(self) -> float:
        """Ask for what is due; give the seconds after which to come again at the latest."""
        self._notice_steps_of_the_clock()
        names, wait = self._clockwork.turn()
        if names:
            rows = self._rows()
            for name in names:
                self._launch(self._plan.items[name], rows.get(name), datetime.now(UTC))
        self._look_for_overdue()
        return min(_LONGEST_WAIT, _LONGEST_WAIT if wait is None else max(0.0, wait))

    def _notice_steps_of_the_clock(self) -> None:
        offset = time.time() - self._monotonic()
        step, self._offset = offset - self._offset, offset
        if abs(step) < _STEP_OF_THE_CLOCK:
            return
        self._logger.warning("the clock went %+.0f s: the machine slept, or it was set", step)
        now = datetime.now(UTC)
        self._cursors = {name: trusted(cursor, now) for name, cursor in self._cursors.items()}
        self._watch()

    def _launch(self, item: Item, row: ScheduleRecord | None, now: datetime) -> None:
        if row is not None and row.paused is not None:
            self._paused.add(item.name)
            self._cursors[item.name] = now
            return
        if item.name in self._paused and row is not None:
            self._paused.discard(item.name)
            resumed = datetime.fromisoformat(row.cursor)
            self._cursors[item.name] = max(self._cursors[item.name], resumed)
        found = due(item, self._cursors[item.name], now)
        self._cursors[item.name] = found.cursor
        if found.passed_over:
            self._logger.warning(
                "%s: %d launches that were missed are passed over", item.name, found.passed_over
            )
        for nominal in found.launch:
            self._asker.put(by_the_clock(item, nominal))

    def answered(self, asked: Message, reply: Message) -> None:
        """Take in what became of a request."""
        about = asked.payload.get("schedule") or {}
        name = about.get("item") or asked.payload.get("worker") or "the schedule"
        said = reply.payload if isinstance(reply.payload, Mapping) else {}
        if reply.type != "ack":
            self._logger.error(
                "%s: the manager refused: %s", name, said.get("what") or f"({reply.type})"
            )
        elif asked.type in ("launch", "run flow"):
            begun = next((f"{kind} {said[kind]}" for kind in ("job", "run") if said.get(kind)), "")
            outcome = begun or said.get("what")
            self._logger.info("%s (%s): %s", name, about.get("nominal"), outcome)

    def _rows(self) -> Mapping[str, ScheduleRecord]:
        try:
            with Reader(self._database) as reader:
                return {row.item: row for row in reader.schedule()}
        except (NowcastError, sqlite3.Error):  # there is no manager yet, or it begins just now
            return {}

    # --- what is expected

    def _look_for_overdue(self) -> None:
        if not self._expectations or self._monotonic() < self._look_at:
            return
        self._look_at = self._monotonic() + _BETWEEN_LOOKS
        try:
            with Reader(self._database) as reader:
                began, now = reader.first_received(), datetime.now(UTC)
                found = overdue(self._expectations, reader.last_success, began, now)
        except (NowcastError, sqlite3.Error):
            return
        for late in found:
            if late.id not in self._told:
                self._told.add(late.id)
                self._asker.put(_overdue_request(late))


def _following(items: Mapping[str, Item], begun: Mapping[str, datetime]) -> Message:
    about = [
        {"item": item.name, "timing": str(item.timing)}
        | ({"cursor": begun[item.name].isoformat()} if item.name in begun else {})
        for item in items.values()
    ]
    return Message("nowcast", "schedule", {"items": about}, id=new_id())


def _overdue_request(late: Overdue) -> Message:
    payload = {
        "worker": late.worker,
        "what": late.what,
        "expected by": late.deadline.isoformat(),
        "last success": late.last_success,
    }
    return Message("nowcast", "overdue", payload, id=late.id)
