"""Requests of the scheduler, and those to pause and resume its items. Pure.

The row of an item changes in the transaction of what it tells of: a launch and its nominal time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nowcast_cli.manager import requests
from nowcast_cli.manager.job_transitions import PlaceOf
from nowcast_cli.manager.members import SettingsOf
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Reply, State, Step, info, problem, warning
from nowcast_cli.store.records import Change, ScheduleDropped, SchedulePut, ScheduleRecord


def launch(
    state: State,
    payload: Mapping[str, Any],
    *,
    now: str,
    new_id: Callable[[], str],
    worker_names: Mapping[str, str],
    place_of: PlaceOf,
    settings_of: SettingsOf,
) -> tuple[Step, str | None]:
    """Launch for an item: ``schedule: {item, timing, nominal, until?}`` in a launch's payload.

    Gives the step, and the chain that begins; None where nothing is launched, since the item is
    paused, or ``until`` has passed.
    """
    due = _Due.of(state, payload, now)
    if due.why_not is not None:
        return due.passed_over(state), None
    launched, job = requests.launch(
        state,
        payload,
        now=now,
        new_id=new_id,
        worker_names=worker_names,
        place_of=place_of,
        settings_of=settings_of,
    )
    words = " ".join((job.worker, *job.arguments))
    return due.begun(launched, job.id, f"launching {words} (job {job.id})"), job.chain


def run_flow(state: State, payload: Mapping[str, Any], now: str, begin: Callable[[], Step]) -> Step:
    """Begin a run of a flow for an item; ``begin`` does it, and answers ``{run}``."""
    due = _Due.of(state, payload, now)
    if due.why_not is not None:
        return due.passed_over(state)
    step = begin()
    assert step.reply is not None, "who asks for a run is told its id"
    run = str(step.reply.payload["run"])
    return due.begun(step, run, f"run {run} of flow {payload['flow']} begins")


@dataclass(frozen=True)
class _Due:
    """The row of an item that is due, and why nothing is launched for it all the same."""

    row: ScheduleRecord
    nominal: str
    why_not: str | None

    @classmethod
    def of(cls, state: State, payload: Mapping[str, Any], now: str) -> _Due:
        """Read ``schedule: {item, timing, nominal, until?}`` of a request."""
        about = payload["schedule"]
        item, timing = _text(about, "item"), _text(about, "timing")
        nominal = _instant(about, "nominal")
        known = state.schedule.get(item) or ScheduleRecord(item, timing, nominal)
        why_not = "it is paused" if known.paused is not None else None
        if about.get("until") is not None and now > _instant(about, "until"):
            why_not = "it would be later than the item allows"
        return cls(replace(known, timing=timing, cursor=nominal), nominal, why_not)

    def passed_over(self, state: State) -> Step:
        """Go on from the nominal time without a launch."""
        what = f"nothing is launched for {self.row.item} ({self.nominal}): {self.why_not}"
        reply = Reply("ack", {"job": None, "what": what})
        return replace(_put(state, self.row), notes=(warning(what),), reply=reply)

    def begun(self, launched: Step, job: str, words: str) -> Step:
        """Note what was launched, in the transaction of the launch."""
        row = replace(self.row, nominal=self.nominal, job=job)
        step = launched.then(_put(launched.state, row))
        note = info(f"{words}, scheduled as {row.item} for {self.nominal}")
        return replace(step, notes=(*step.notes, note))


def follow(state: State, payload: Any) -> Step:
    """Take in which items there are: ``{items: [{item, timing, cursor?}]}``.

    An item with a ``cursor`` begins there. What is known of items that are no more is forgotten,
    except that they are paused.
    """
    items = payload.get("items") if isinstance(payload, dict) else None
    if not isinstance(items, list):
        raise RequestError("a schedule names its items")
    step = Step(state)
    for about in items:
        item, timing = _text(about, "item"), _text(about, "timing")
        if about.get("cursor") is None:
            continue
        before = state.schedule.get(item) or ScheduleRecord(item, timing, "")
        begun = replace(before, timing=timing, cursor=_instant(about, "cursor"))
        step = step.then(_put(step.state, begun))
    there = {about["item"] for about in items}
    for record in state.schedule.values():
        if record.item not in there and record.paused is None:
            step = step.then(_drop(step.state, record.item))
    return step


def pause(state: State, payload: Any, now: str) -> Step:
    """Launch nothing for an item from now on: ``{item, timing}``."""
    item, timing = _text(payload, "item"), _text(payload, "timing")
    before = state.schedule.get(item) or ScheduleRecord(item, timing, now)
    step = _put(state, replace(before, paused=before.paused or now))
    return replace(step, notes=(info(f"{item} is paused in the schedule"),))


def resume(state: State, payload: Any, now: str) -> Step:
    """Launch for an item again; nothing that was due in between is made up for: ``{item}``."""
    item = _text(payload, "item")
    before = state.schedule.get(item)
    if before is None or before.paused is None:
        raise RequestError(f"{item} is not paused", "nowcast schedule list")
    step = _put(state, replace(before, paused=None, cursor=now))
    return replace(step, notes=(info(f"{item} goes on in the schedule"),))


def overdue(state: State, payload: Any) -> Step:
    """Take in that a worker is overdue: ``{worker, what, …}``. It is in the journal, no more."""
    return Step(state, notes=(problem(_text(payload, "what")),))


def _put(state: State, record: ScheduleRecord) -> Step:
    change: Change = SchedulePut(record)
    return Step(replace(state, schedule={**state.schedule, record.item: record}), (change,))


def _drop(state: State, item: str) -> Step:
    rest = {name: record for name, record in state.schedule.items() if name != item}
    return Step(replace(state, schedule=rest), (ScheduleDropped(item),))


def _text(about: Any, key: str) -> str:
    value = about.get(key) if isinstance(about, dict) else None
    if not isinstance(value, str) or not value:
        raise RequestError(f"the request has no {key!r}", "nowcast schedule --help")
    return value


def _instant(about: Any, key: str) -> str:
    """Give an instant in the one form that the store has, whatever zone it came in."""
    try:
        utc = datetime.fromisoformat(_text(about, key)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(f"the {key} of the request is no instant") from None
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
