"""Events in the database: their batches, written and read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

from nowcast_cli.messages.event import DELIMITER, Event, event_of, is_about, quoted, said_in_json
from nowcast_cli.store.event_records import EventBatchPut, EventPut

SINCE = 10  # the version of the schema that has them
MOST = 1000  # events that are given at once
MOST_TEXT = 8_000_000  # characters of them: each may be as large as a message

COLUMNS = ("place", "stream", "first", "last", "time", "events")
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM event_batch"
_INSERT = "INSERT INTO event_batch (stream, first, last, time, events) VALUES (?, ?, ?, ?, ?)"
_STREAMS = (
    "WITH RECURSIVE known(stream) AS (SELECT min(stream) FROM event_batch UNION ALL "
    "SELECT (SELECT min(stream) FROM event_batch WHERE stream > known.stream) FROM known "
    "WHERE known.stream IS NOT NULL) SELECT stream FROM known WHERE stream IS NOT NULL"
)
_ROWS = 50  # read at once
_BEYOND = 1 << 62  # any number or place
_MOST_DIGITS = 18  # of a number: SQLite has none that is larger


@dataclass(frozen=True, slots=True)
class Replayed:
    """What is kept of streams after some numbers.

    ``upto`` tells for each stream the number up to which all that is kept is in ``events``, or in
    what was asked for before; ``more`` whether there is more.
    """

    events: tuple[Event, ...]
    upto: Mapping[str, int]
    more: bool


def write(execute: Callable[..., Any], batch: EventBatchPut) -> None:
    """Write the events of a commit in one stream, within the transaction of the caller."""
    events = f"[{','.join(batch.texts)}]"
    execute(_INSERT, (batch.stream, batch.first, batch.last, batch.time, events))


def batch_of(
    stream: str, first: int, time: str, events: Iterable[EventPut], skipped: int = 0
) -> EventBatchPut:
    """Give the events of a commit in one stream as they are written."""
    return EventBatchPut(stream, first, time, tuple(said_in_json(*put) for put in events), skipped)


class KeptEvents:
    """What is kept of events, by a connection that is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def numbers(self, since: str | None = None) -> dict[str, int]:
        """Give the last number of each stream; with ``since``, of those at that time."""
        if since is None:
            return last_numbers(self._connection)
        return numbers_at(self._connection, since)

    def after(self, numbers: Mapping[str, int], topics: Collection[str], limit: int) -> Replayed:
        """Give the events of streams after some numbers (see :func:`replay`)."""
        return replay(self._connection, numbers, topics, limit)

    def latest(self, topics: Collection[str], limit: int) -> list[Event]:
        """Give the last events about ``topics``, the oldest first."""
        return latest(self._connection, topics, None, limit)


def last_numbers(connection: sqlite3.Connection) -> dict[str, int]:
    """Give the last number of each stream."""
    streams = [stream for (stream,) in connection.execute(_STREAMS).fetchall()]
    newest = "SELECT max(last) FROM event_batch WHERE stream = ?"
    return {stream: connection.execute(newest, (stream,)).fetchone()[0] for stream in streams}


def replay(
    connection: sqlite3.Connection, after: Mapping[str, int], topics: Collection[str], limit: int
) -> Replayed:
    """Give the events of streams after some numbers: each stream in its order.

    Parameters
    ----------
    after
        The number that each stream is to be told from, alone.
    topics
        Only events about one of these (see ``messages.event.is_about``); of none, all.
    limit
        Give so many at most, and of what is not about them read no more than ten times as many;
        nor much more than ``MOST_TEXT``.
    """
    found: list[Event] = []
    upto: dict[str, int] = {}
    more, read, text = False, 0, 0
    for stream, number in after.items():
        # Before its events: what is committed while they are read is not counted as read.
        (last,) = connection.execute(
            "SELECT max(last) FROM event_batch WHERE stream = ?", (stream,)
        ).fetchone()
        upto[stream] = number
        for event, size in _after(connection, stream, number):
            if len(found) >= limit or read >= 10 * limit or text >= MOST_TEXT:
                more = True
                break
            read, text = read + 1, text + size
            upto[stream] = event.number
            if is_about(event.topic, topics):
                found.append(event)
        else:
            upto[stream] = max(upto[stream], last or 0)
    return Replayed(tuple(found), upto, more)


def _after(connection: sqlite3.Connection, stream: str, number: int) -> Iterator[tuple[Event, int]]:
    """Give events, each with the characters that it takes in the mean of its batch."""
    query = f"{_SELECT} WHERE stream = ? AND last > ? ORDER BY last"
    # Row by row: there may be much in a single one.
    for row in connection.execute(query, (stream, number)):
        size = len(row[5]) // max(1, row[3] - row[2] + 1)
        yield from ((event, size) for event in events_of_row(row) if event.number > number)


def latest(
    connection: sqlite3.Connection, topics: Collection[str], since: str | None, limit: int | None
) -> list[Event]:
    """Give the last events about ``topics`` that came since then, the oldest first.

    ``since`` is a time (ISO 8601 UTC) or the id of an event.
    """
    begin = {} if since is None else numbers_at(connection, since)
    least = 0 if since is None else _place_at(connection, since)
    streams: Collection[str | None] = {topic.partition(DELIMITER)[0] for topic in topics} or {None}
    found = [
        placed
        for stream in streams
        for placed in islice(_backwards(connection, stream, topics, least, begin), limit)
    ]
    found.sort(key=lambda placed: (placed[0], placed[1].number))
    kept = found if limit is None else found[max(0, len(found) - limit) :]
    return [event for _, event in kept]


def _backwards(
    connection: sqlite3.Connection,
    stream: str | None,
    topics: Collection[str],
    least: int,
    begin: Mapping[str, int],
) -> Iterator[tuple[int, Event]]:
    """Give events of a stream, or of all, with the place of their batch, the newest first."""
    order, of_stream = ("place", "") if stream is None else ("last", "stream = :stream AND ")
    # What is about none of the topics need not be read.
    about = " OR ".join(f"instr(events, :t{at})" for at in range(len(topics))) or "1"
    wanted = {f"t{at}": f'"topic":{quoted(topic)[:-2]}' for at, topic in enumerate(topics)}
    query = (
        f"{_SELECT} WHERE {of_stream}{order} < :before AND place >= :least AND ({about}) "
        f"ORDER BY {order} DESC LIMIT {_ROWS}"
    )
    values = {"stream": stream, "least": least, "before": _BEYOND, **wanted}
    while rows := connection.execute(query, values).fetchall():
        for row in rows:
            for event in reversed([*events_of_row(row)]):
                if event.number > begin.get(event.stream, 0) and is_about(event.topic, topics):
                    yield row[0], event
        values["before"] = rows[-1][COLUMNS.index(order)]


def numbers_at(connection: sqlite3.Connection, since: str) -> dict[str, int]:
    """Give the last number of each stream that came before a time (ISO 8601 UTC).

    ``since`` may be the id of an event, too: in its own stream, that one is the last.
    """
    place = _place_at(connection, since)
    numbers = last_numbers(connection)
    for each in numbers:
        row = connection.execute(
            "SELECT last FROM event_batch WHERE stream = ? AND place < ? "
            "ORDER BY last DESC LIMIT 1",
            (each, place),
        ).fetchone()
        numbers[each] = 0 if row is None else row[0]
    named = _named(since)
    if named is not None:
        newest = last_numbers(connection).get(named[0], 0)
        numbers[named[0]] = min(named[1], newest)
    return numbers


def _named(since: str) -> tuple[str, int] | None:
    """Give the stream and the number of an id; None for a time."""
    stream, _, number = since.rpartition(":")
    is_number = number.isdecimal() and len(number) <= _MOST_DIGITS
    return (stream, int(number)) if is_number and stream else None


def _place_at(connection: sqlite3.Connection, since: str) -> int:
    """Give the place of the first batch that is not before a time, or that has an event."""
    named = _named(since)
    if named is None:
        return _first_place_since(connection, since)
    row = connection.execute(
        "SELECT place FROM event_batch WHERE stream = ? AND last >= ? ORDER BY last LIMIT 1", named
    ).fetchone()
    if row is None:
        row = connection.execute("SELECT max(place) + 1 FROM event_batch").fetchone()
    return int(row[0] or 0)


def _first_place_since(connection: sqlite3.Connection, time: str) -> int:
    """Give the place of the first batch at or after a time, by the order of commits."""
    first, last = connection.execute("SELECT min(place), max(place) FROM event_batch").fetchone()
    low, high = first or 0, (last or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT time, place FROM event_batch WHERE place >= ? ORDER BY place LIMIT 1",
            (middle,),
        ).fetchone()
        low, high = (row[1] + 1, high) if row is not None and row[0] < time else (low, middle)
    return int(low)


def batches_before(connection: sqlite3.Connection, time: str) -> int:
    """Give how many batches came before a time, at most; of an old store, none."""
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) < SINCE:
        return 0
    (first,) = connection.execute("SELECT min(place) FROM event_batch").fetchone()
    return 0 if first is None else _first_place_since(connection, time) - int(first)


def prunable(
    connection: sqlite3.Connection, before: str, after: int, limit: int
) -> tuple[tuple[int, ...], int | None]:
    """Give the places of batches older than ``before`` that may go, and the last one looked at.

    None says that all were. They go from the oldest on, so that no stream has a hole; the newest of
    each stream stays: the next number follows from it.
    """
    rows = connection.execute(
        "SELECT place, time < ?1, last < (SELECT max(last) FROM event_batch AS newer "
        "WHERE newer.stream = event_batch.stream) "
        "FROM event_batch WHERE place > ?2 ORDER BY place LIMIT ?3",
        (before, after, limit),
    ).fetchall()
    old = list(takewhile(lambda row: row[1], rows))
    places = tuple(place for place, _, goes in old if goes)
    return places, old[-1][0] if old and len(old) == len(rows) else None


def holes(connection: sqlite3.Connection, limit: int) -> list[tuple[str, int, int]]:
    """Give streams that lack numbers, each with the number before the hole and its last one."""
    return connection.execute(
        "SELECT stream, before, first - 1 FROM (SELECT stream, first, "
        "lag(last) OVER (PARTITION BY stream ORDER BY last) AS before FROM event_batch) "
        "WHERE before IS NOT NULL AND first <> before + 1 LIMIT ?",
        (limit,),
    ).fetchall()


def unreadable(connection: sqlite3.Connection, limit: int) -> list[tuple[str, int]]:
    """Give the stream and the first number of batches that are none."""
    return connection.execute(
        "SELECT stream, first FROM event_batch WHERE CASE WHEN json_valid(events) "
        "THEN json_array_length(events) > last - first + 1 ELSE 1 END LIMIT ?",
        (limit,),
    ).fetchall()


def batch_of_row(row: tuple[Any, ...]) -> EventBatchPut:
    """Give the batch of a row. Raises ValueError, TypeError, KeyError for what is none."""
    _, stream, first, last, time, text = row
    said = json.loads(text)
    texts = tuple(
        said_in_json(
            event["topic"], event["payload"], event.get("correlation"), event.get("attempt"),
            event.get("status") is True,
        )
        for event in said
    )  # fmt: skip
    return EventBatchPut(stream, first, time, texts, last - first + 1 - len(texts))


def is_batch(found: EventBatchPut) -> bool:
    """Say whether a row that was read of a damaged store has the form of one."""
    return isinstance(found.stream, str) and isinstance(found.time, str) and found.skipped >= 0


def events_of_row(row: tuple[Any, ...]) -> Iterator[Event]:
    """Give the events of a row, in order."""
    _, stream, first, _, time, text = row
    for number, said in enumerate(json.loads(text), start=first):
        yield event_of({"stream": stream, "number": number, "time": time, **said})
