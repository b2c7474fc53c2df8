"""What is kept of events, as a subscriber gets it: from the store here, or from the manager."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowcast_cli.errors import NotFound, NowcastError, UsageError
from nowcast_cli.messages.event import DELIMITER, Event, event_of
from nowcast_cli.store import events
from nowcast_cli.store.events import MOST, Replayed
from nowcast_cli.store.opening import open_to_read

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config
    from nowcast_cli.messages.client import Client

T = TypeVar("T")
Since = str | datetime | timedelta | Mapping[str, int] | None
LONGEST_REPLAY = 10.0  # s, for an answer from another host; live events wait meanwhile
_FURTHER_BACK = 10  # times as many numbers, where too few of them are about what is wanted
_ID = re.compile(r"(.+):(\d+)")


class NotThere(NowcastError):
    """What is kept cannot be had now; it may later."""


class Kept(Protocol):
    """What is kept of events. All raise NotThere."""

    def numbers(self, since: str | None = None) -> dict[str, int]:
        """Give the last number of each stream, or the last before a time or at an event's id."""

    def after(
        self, numbers: Mapping[str, int], topics: Collection[str], limit: int = MOST
    ) -> Replayed:
        """Give the events of streams after some numbers."""

    def latest(self, topics: Collection[str], since: str | None, limit: int | None) -> list[Event]:
        """Give the last events about ``topics``, since a time or an event, the oldest first."""

    def close(self) -> None:
        """Let go of it."""


class KeptHere:
    """The store of this host, whether anybody writes to it or not."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def numbers(self, since: str | None = None) -> dict[str, int]:
        """Give the last number of each stream, or the last before a time or at an event's id."""
        if since is None:
            return self._read(events.last_numbers, {})
        return self._read(lambda connection: events.numbers_at(connection, since), {})

    def after(
        self, numbers: Mapping[str, int], topics: Collection[str], limit: int = MOST
    ) -> Replayed:
        """Give the events of streams after some numbers."""
        nothing = Replayed((), dict(numbers), False)
        return self._read(
            lambda connection: events.replay(connection, numbers, topics, limit), nothing
        )

    def latest(self, topics: Collection[str], since: str | None, limit: int | None) -> list[Event]:
        """Give the last events about ``topics``, since a time or an event, the oldest first."""
        return self._read(lambda connection: events.latest(connection, topics, since, limit), [])

    def _read(self, read: Callable[[sqlite3.Connection], T], of_an_old_store: T) -> T:
        try:
            with closing(open_to_read(self._database)) as connection:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                return read(connection) if version >= events.SINCE else of_an_old_store
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise NotThere(
                f"the store {self._database} cannot be read now", cause=str(error)
            ) from None

    def close(self) -> None:
        """Do nothing: the store is open while it is read alone."""


class KeptElsewhere:
    """What the manager of another host gives on request."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def numbers(self, since: str | None = None) -> dict[str, int]:
        """Give the last number of each stream, or the last before a time or at an event's id."""
        return dict(self._asked({} if since is None else {"since": since})["upto"])

    def after(
        self, numbers: Mapping[str, int], topics: Collection[str], limit: int = MOST
    ) -> Replayed:
        """Give the events of streams after some numbers."""
        wanted = {"after": dict(numbers), "topics": list(topics), "limit": limit}
        answer = self._asked(wanted)
        try:
            found = tuple(event_of(each) for each in answer["events"])
            return Replayed(found, dict(answer["upto"]), bool(answer["more"]))
        except (KeyError, TypeError, ValueError) as error:
            raise NotThere(
                "what the manager has answered are no events", cause=repr(error)
            ) from None

    def latest(self, topics: Collection[str], since: str | None, limit: int | None) -> list[Event]:
        """Give the last events about ``topics``, since a time or an event, the oldest first."""
        least = {} if since is None else self.numbers(since)
        streams = {topic.partition(DELIMITER)[0] for topic in topics}
        found: list[Event] = []
        for stream, last in self.numbers().items() if limit != 0 else ():
            if not streams or stream in streams:
                found += self._latest_of(stream, last, least.get(stream, 0), topics, limit)
        found.sort(key=lambda event: event.time)
        return found if limit is None else found[max(0, len(found) - limit) :]

    def _latest_of(
        self, stream: str, last: int, least: int, topics: Collection[str], limit: int | None
    ) -> list[Event]:
        """Give the last events of a stream, looking further back until there are enough."""
        back = last if limit is None else limit
        while True:
            begin = max(least, last - back)
            found = self._all_after(stream, begin, topics)
            if begin <= least or (limit is not None and len(found) >= limit):
                return found
            back *= _FURTHER_BACK

    def _all_after(self, stream: str, number: int, topics: Collection[str]) -> list[Event]:
        found: list[Event] = []
        while True:
            part = self.after({stream: number}, topics)
            found += part.events
            number = part.upto.get(stream, number)
            if not part.more:
                return found

    def _asked(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        answer = ask(self._client, "events", payload)
        return {"events": [], "upto": {}, "more": False, **answer}

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def ask(
    client: Client, kind: str, payload: Mapping[str, Any], request_id: str | None = None
) -> dict[str, Any]:
    """Ask the manager; give the payload of its acknowledgement.

    Raises NotThere where nobody answers, and NowcastError with the manager's own words when it
    refuses.
    """
    from nowcast_cli.messages.client import NoAnswer, NotAdmitted
    from nowcast_cli.messages.message import Message

    try:
        reply = client.ask(Message("nowcast", kind, dict(payload), id=request_id))
    except NotAdmitted:
        raise
    except NoAnswer as error:
        raise NotThere(error.what, cause=error.cause, hint=error.hint) from None
    said = reply.payload if isinstance(reply.payload, dict) else {}
    if reply.type == "ack":
        return said
    raise NowcastError(
        said.get("what") or f"the manager answered the {kind} request with {reply.type!r}",
        hint=said.get("hint"),
    )


def numbers_since(kept: Kept, since: Since, now: datetime) -> dict[str, int]:
    """Give the numbers after which events are wanted; raises UsageError, NotThere."""
    numbers = kept.numbers()
    if since is None:
        return numbers
    if isinstance(since, Mapping):
        return {**dict.fromkeys(numbers, 0), **since}
    return kept.numbers(_as_text(since, now))


def _as_text(since: str | datetime | timedelta, now: datetime) -> str:
    """Give a time as the store has it, or the id of an event. Raises UsageError."""
    from nowcast_cli.config.durations import NotADuration, seconds_of

    if isinstance(since, timedelta):
        return stored(now - since)
    if isinstance(since, datetime):
        return stored(since)
    try:
        return stored(datetime.fromisoformat(since))
    except ValueError:
        pass
    try:
        return stored(now - timedelta(seconds=seconds_of(since)))
    except (NotADuration, OverflowError):
        if _ID.fullmatch(since):
            return since
    raise UsageError(
        f"{since!r} is no time, and no id of an event",
        hint="write 2026-11-22T03:00, 1h, or an id such as flows:120",
    )


def stored(moment: datetime) -> str:
    """Give a time as the store has it; one without a time zone is local."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def kept_for(config: Config, key: str) -> Kept:
    """Give what is kept of the events of a system. Raises NowcastError where nobody has it."""
    from nowcast_cli.config.paths import system_paths

    _, elsewhere = address_of(config)
    client = None if elsewhere is None else (lambda: client_of(config, key, LONGEST_REPLAY))
    return kept_of(system_paths(config).database, client)


def kept_of(database: Path, client: Callable[[], Client] | None) -> Kept:
    """Give what is kept here, else what the manager keeps elsewhere. Raises NotFound."""
    if database.exists():
        return KeptHere(database)
    if client is not None:
        return KeptElsewhere(client())
    raise NotFound(
        f"this system has never been started: there is no store {database}", hint="nowcast start"
    )


def address_of(config: Mapping[str, Any]) -> tuple[str, str | None]:
    """Give where events are published: on this host, and for others; None where they cannot.

    Raises ConfigError.
    """
    from nowcast_cli.config.paths import system_paths
    from nowcast_cli.config.settings import broker_host, events_port

    here = system_paths(config).events_socket  # type: ignore[arg-type]
    port = events_port(config)
    return f"ipc://{here}", None if port is None else f"tcp://{broker_host(config)}:{port}"


def client_of(config: Config, key: str, deadline: float) -> Client:
    """Give a client that asks the manager, with the key of that name where it is to have one."""
    from nowcast_cli.messages.client import Client

    client = Client.of(config, key)
    client.deadline = deadline
    return client
