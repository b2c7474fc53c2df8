"""The notifier's turns: look, take in, keep, send, keep.

It needs no orderly end: what it has taken in is on the disk before it is sent, and what was sent
is on the disk before the next. Killed in between the two, it sends one notice again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nowcast_cli.config import SystemPaths
from nowcast_cli.errors import NowcastError
from nowcast_cli.notify import events, mailbox
from nowcast_cli.notify.channels import Channel
from nowcast_cli.notify.daemon_watch import DaemonWatch
from nowcast_cli.notify.events import Event
from nowcast_cli.notify.journal import Cursor, read_news
from nowcast_cli.notify.mailbox import Notice
from nowcast_cli.notify.memory import FILE_NAME, Memory, read_memory, write_memory
from nowcast_cli.notify.sending import SendError
from nowcast_cli.store.reader import Reader

TOO_OLD = 86_400.0  # seconds
FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0  # seconds
LOOK_AT_DAEMONS = 3.0  # seconds

Send = Callable[[Channel, Notice], None]
Tell = Callable[[Channel, Notice], None]
Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """The time: seconds since the epoch, and seconds of a clock that only goes on."""

    epoch: Callable[[], float]
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel that could not be reached: when to try again, and the wait after that."""

    retry_at: float
    delay: float


class Notifier:
    """Follows one system and tells its channels; :meth:`turn` does what is due now."""

    def __init__(
        self,
        paths: SystemPaths,
        channels: Sequence[Channel],
        daemons: Sequence[str],
        *,
        answers: Callable[[str], bool],
        send: Send,
        clock: Clock,
        begin_after: int,
        begin_at: str | None = None,
        logger: logging.Logger,
        tell: Tell = lambda _channel, _notice: None,
    ) -> None:
        self._paths = paths
        self._channels = channels
        self._send = send
        self._tell = tell
        self._clock = clock
        self._logger = logger
        self._file = paths.state / FILE_NAME
        self._sources = sorted(
            {
                worker
                for channel in channels
                if "message" in channel.kinds
                for worker in channel.workers or ()
            }
        )
        self._memory = read_memory(self._file) or Memory(
            Cursor(begin_after, begin_at or _iso(clock.epoch())), {}
        )
        names = {channel.name for channel in channels}
        boxes = {name: box for name, box in self._memory.boxes.items() if name in names}
        self._memory = replace(self._memory, boxes=boxes)
        self._kept: Memory | None = None
        self._watch = DaemonWatch(daemons, answers, seen=self._memory.seen, down=self._memory.down)
        self._stamp: Stamp | None = None
        self._looked = float("-inf")
        self._trouble: Mapping[str, Trouble] = {}
        self._store_trouble: str | None = None

    def turn(self) -> None:
        """Take in what is new, keep it, and send what is due. Raises OSError on a full disk."""
        now = self._clock.epoch()
        self._take_in(self._news(), now)
        self._take_in(self._daemons_down(now), now)
        for channel in self._channels:
            box = mailbox.without_old(self._memory.box(channel.name), now - TOO_OLD)
            box = mailbox.end_periods(box, channel, now)
            self._memory = self._memory.with_box(channel.name, box)
        self._keep()
        for channel in self._channels:
            self._send_to(channel)

    @property
    def has_sent_all(self) -> bool:
        """Whether nothing waits."""
        return not any(box.queue for box in self._memory.boxes.values())

    @property
    def down(self) -> frozenset[str]:
        """The daemons that are told as down."""
        return self._watch.down

    def _news(self) -> list[Event]:
        stamp = _stamp_of(self._paths.database)
        if stamp == self._stamp:
            return []
        try:
            with Reader(self._paths.database) as reader:
                found, cursor, more = read_news(reader, self._memory.cursor, self._sources)
        except (NowcastError, sqlite3.Error) as error:
            if self._store_trouble != str(error):
                self._logger.warning("the journal cannot be followed: %s", error)
            self._store_trouble = str(error)
            return []
        self._store_trouble = None
        self._memory = replace(self._memory, cursor=cursor)
        self._stamp = None if more else stamp
        return found

    def _daemons_down(self, now: float) -> list[Event]:
        if self._clock.monotonic() - self._looked < LOOK_AT_DAEMONS:
            return []
        self._looked = self._clock.monotonic()
        found = self._watch.look(self._looked)
        self._memory = replace(self._memory, seen=self._watch.seen, down=self._watch.down)
        return [events.of_daemon_down(name, _iso(now), silence) for name, silence in found]

    def _take_in(self, found: Iterable[Event], now: float) -> None:
        for event in found:
            if now - datetime.fromisoformat(event.at).timestamp() > TOO_OLD:
                self._logger.info("not told, since it was long ago: %s", event.headline)
                continue
            for channel in self._channels:
                if channel.wants(event.kind, event.subject):
                    box = mailbox.receive(self._memory.box(channel.name), channel, event, now)
                    self._memory = self._memory.with_box(channel.name, box)

    def _keep(self) -> None:
        if self._memory != self._kept:
            write_memory(self._file, self._memory)
            self._kept = self._memory

    def _send_to(self, channel: Channel) -> None:
        """Send the oldest notice of a channel, unless a try has just failed."""
        notice = mailbox.head(self._memory.box(channel.name))
        trouble = self._trouble.get(channel.name)
        if notice is None or (trouble and self._clock.monotonic() < trouble.retry_at):
            return
        try:
            self._send(channel, notice)
        except SendError as error:
            self._wait_before_next_try(channel, error, trouble)
            return
        if trouble is not None:
            self._logger.info("%s is reached again", channel.name)
        self._trouble = {k: v for k, v in self._trouble.items() if k != channel.name}
        self._memory = self._memory.with_box(
            channel.name, mailbox.sent(self._memory.box(channel.name))
        )
        self._keep()
        self._logger.info("told %s: %s", channel.name, notice.title)
        self._tell(channel, notice)

    def _wait_before_next_try(
        self, channel: Channel, error: SendError, trouble: Trouble | None
    ) -> None:
        delay = FIRST_RETRY if trouble is None else min(2 * trouble.delay, LONGEST_RETRY)
        self._trouble = {
            **self._trouble,
            channel.name: Trouble(self._clock.monotonic() + delay, delay),
        }
        level = logging.WARNING if trouble is None else logging.DEBUG
        self._logger.log(
            level,
            "%s could not be told: %s; it is tried again, for a day",
            channel.name,
            error,
        )


def _stamp_of(database: Path) -> Stamp:
    """Give what changes when the store is written."""
    stamp = []
    for path in (database, database.with_name(database.name + "-wal")):
        try:
            status = path.stat()
            stamp.append((status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            stamp.append((0, 0, 0))
    return tuple(stamp)


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
