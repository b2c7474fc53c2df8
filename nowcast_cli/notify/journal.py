"""What the journal has to tell since the last look. Reads the store and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import yaml

from nowcast_cli.errors import NotFound
from nowcast_cli.messages import wire
from nowcast_cli.notify import events
from nowcast_cli.notify.events import Event
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobRecord, MessageRecord

AT_ONCE = 500  # messages of one look, which are kept before the next


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the journal has been told.

    ``message`` is the number of the last message. Of jobs that ended without one those that ended
    before ``ended`` are told, and at that instant ``jobs``. ``stuck`` holds the messages that are
    stuck and told, each as its number and the instant at which it got stuck.
    """

    message: int
    ended: str
    jobs: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()


def cursor_to_json(cursor: Cursor) -> dict[str, Any]:
    """Give the cursor as JSON has it."""
    return asdict(cursor)


def cursor_from_json(value: Mapping[str, Any]) -> Cursor:
    """Give the cursor that :func:`cursor_to_json` gave. Raises KeyError, TypeError, ValueError."""
    return Cursor(
        int(value["message"]), str(value["ended"]), tuple(value["jobs"]), tuple(value["stuck"])
    )


def read_news(
    reader: Reader, cursor: Cursor, sources: Collection[str]
) -> tuple[list[Event], Cursor, bool]:
    """Give what is new after the cursor, the cursor after it, and whether there may be more.

    ``sources`` are workers of whom every message is told. Where the store was begun anew, it is
    read from its begin.
    """
    last = reader.last_number()
    after = cursor.message if cursor.message <= last else 0
    upto = min(last, after + AT_ONCE)
    found: list[Event] = []
    for message in reader.news(after, upto, sources):
        found += _events_of(reader, message, sources)
    cursor = replace(cursor, message=upto)
    more, cursor = _of_jobs(reader, cursor)
    stuck, cursor = _of_stuck(reader, cursor)
    return [*found, *more, *stuck], cursor, upto < last


def _events_of(reader: Reader, message: MessageRecord, sources: Collection[str]) -> Iterator[Event]:
    if message.source in sources:
        every = events.of_every_message(message)
        if every is not None:
            yield every
    if message.source == "nowcast":
        tell = events.of_slow if message.type == "slow" else events.of_overdue
        yield tell(message, _payload_of(message))
        return
    ending = events.of_message(message, _job_of(reader, message))
    if ending is not None:
        yield ending


def _job_of(reader: Reader, message: MessageRecord) -> JobRecord | None:
    if message.job is None or message.outcome not in ("failure", "crash"):
        return None
    try:
        return reader.job(message.job)
    except NotFound:  # cleaned away
        return None


def _payload_of(message: MessageRecord) -> Any:
    try:
        body = None if message.body is None else wire.load(message.body)
    except (wire.WireError, yaml.YAMLError):
        return None
    return body.get("payload") if isinstance(body, dict) else None


def _of_jobs(reader: Reader, cursor: Cursor) -> tuple[list[Event], Cursor]:
    jobs = [job for job in reader.ended_without_message(cursor.ended) if job.id not in cursor.jobs]
    if not jobs:
        return [], cursor
    newest = max(job.ended or "" for job in jobs)
    told = cursor.jobs if newest == cursor.ended else ()
    at_that_instant = tuple(job.id for job in jobs if job.ended == newest)
    return (
        [events.of_job(job) for job in jobs],
        replace(cursor, ended=newest, jobs=(*told, *at_that_instant)),
    )


def _of_stuck(reader: Reader, cursor: Cursor) -> tuple[list[Event], Cursor]:
    stuck = {
        f"{message.number} {message.decided}": message
        for message in reversed(reader.messages(states=["stuck"], limit=None))
    }
    found = [events.of_stuck(message) for key, message in stuck.items() if key not in cursor.stuck]
    return found, replace(cursor, stuck=tuple(stuck))
