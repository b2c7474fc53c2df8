"""Events for users' programs: live ones, and by replay those that were missed.

Each event comes once and in the order of its stream, whatever has ended meanwhile: the broker, the
manager, or the connection. A number that is missing is noticed by the next event, or by the beacon
that the broker sends each second; the event then comes from the store, or from the manager.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nowcast_cli.bus.kept import (
    KeptHere,
    NotThere,
    Since,
    address_of,
    ask,
    client_of,
    kept_for,
    numbers_since,
)
from nowcast_cli.bus.link import Link, is_beacon
from nowcast_cli.bus.sequence import Sequence
from nowcast_cli.errors import UsageError
from nowcast_cli.messages.event import (
    DELIMITER,
    LOGS,
    STATUS_STREAMS,
    Event,
    NoEvent,
    decode_beacon,
    decode_event,
    is_about,
    prefix_of,
)

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config

SILENCE = 3.0  # s without a word of the broker, after which what is kept is looked at
REPLAY_AGAIN = 0.5  # s, where what is missing cannot be had as yet
LONGEST_SNAPSHOT = 60.0  # s
STATUSES_LOOKED_FOR = 1000  # events of a stream

_logger = logging.getLogger(__name__)


def subscribe(
    *topics: str,
    since: Since = None,
    config: Config | Path | str | None = None,
    snapshot: bool = False,
    last_values: bool = False,
    key: str = "reader",
) -> Subscription:
    """Subscribe to events: ``for event in subscribe("flows~forecast~"): ...``.

    Parameters
    ----------
    topics
        First fields of topics, such as ``jobs``, ``flows~forecast`` or ``checklist~NEMO run``; of
        none, all but those of ``logs``.
    since
        Events from then on: a time (``datetime``, or text; without a zone it is local), how long
        ago (``timedelta``, ``"1h"``), after the event of an id (``"flows:120"``), or after a
        number by stream. By default what happens from now on: after this call returns, nothing
        is missed.
    config
        The configuration of the system, or its file. By default it is found as by ``nowcast``.
    snapshot
        Begin with an event whose topic is ``checklist`` and whose payload is the whole checklist:
        what follows are the changes to it.
    last_values
        Begin with the last event of each status, such as that of a daemon.
    key
        Name of the key to show to a broker on another host, where NOWCAST_KEY names no file.

    Raises NowcastError where the system was never started, or nobody of another host answers.
    """
    prefixes = [prefix_of(topic) for topic in topics]
    if any(not prefix or prefix.startswith(DELIMITER) for prefix in prefixes):
        raise UsageError("a topic to subscribe to is empty", hint='such as "jobs" or "flows~NAME"')
    return Subscription(prefixes, since, loaded(config), snapshot, last_values, key)


def loaded(config: Config | Path | str | None) -> Config:
    """Give the configuration of a system. Raises NowcastError."""
    from nowcast_cli.config.config import Config
    from nowcast_cli.config.find import find_config

    if isinstance(config, Config):
        return config
    found = Config()
    found.load(find_config(None, None if config is None else Path(config)))
    return found


class Subscription:
    """An endless iterator of events, in order; close it, or use it in a ``with`` statement.

    ``numbers`` says how far each stream was given: for ``since`` of a later subscription.
    """

    def __init__(
        self,
        topics: Collection[str],
        since: Since,
        config: Config,
        snapshot: bool,
        last_values: bool,
        key: str,
    ) -> None:
        self._topics = tuple(topics)
        self._streams = tuple({topic.partition(DELIMITER)[0] for topic in topics})
        here, elsewhere = address_of(config)
        self._kept = kept_for(config, key)
        is_here = isinstance(self._kept, KeptHere)
        address = here if is_here or elsewhere is None else elsewhere
        source = None
        if not is_here:
            from nowcast_cli.security.source import own_key_source

            source = own_key_source(config, key)
        # Connected first: what happens after the numbers are read comes by it, or is a gap.
        self._link = Link(address, self._streams, source)
        self._ready: deque[Event] = deque()
        self._replay_at = 0.0
        self._heard_at = time.monotonic()
        begun = {} if snapshot is False else self._begin_with_snapshot(config, key)
        numbers = {**numbers_since(self._kept, since, datetime.now(UTC)), **begun}
        self._sequences = {
            stream: Sequence(number) for stream, number in numbers.items() if self._wants(stream)
        }
        if last_values:
            self._begin_with_last_values(numbers)
        self._replay_at = 0.0

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of each stream up to which all that is wanted was given."""
        numbers = {stream: sequence.seen for stream, sequence in self._sequences.items()}
        for event in reversed(self._ready):
            if event.number <= numbers.get(event.stream, 0):
                numbers[event.stream] = event.number - 1
        return numbers

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while (event := self.next(60.0)) is None:
            pass
        return event

    def next(self, timeout: float) -> Event | None:
        """Give the next event; None where none comes within ``timeout`` seconds."""
        give_up = time.monotonic() + timeout
        while not self._ready:
            left = give_up - time.monotonic()
            if left < 0:
                return None
            self._turn(left)
        return self._ready.popleft()

    # --- a turn

    def _turn(self, longest: float) -> None:
        """Take in what has come; wait for it, and ask for what is missing."""
        self._take(self._link.take())
        if not self._ready:
            self._replay()
        if not self._ready and self._link.wait(min(longest, self._wait_at_most())):
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > SILENCE:
            self._heard_at = time.monotonic()
            self._look()

    def _wait_at_most(self) -> float:
        now = time.monotonic()
        missing = any(sequence.misses for sequence in self._sequences.values())
        until = self._replay_at - now if missing else SILENCE
        return max(0.0, min(until, self._heard_at + SILENCE - now)) + 0.001

    def _take(self, frames: Iterable[tuple[bytes, bytes]]) -> None:
        for topic, body in frames:
            try:
                if is_beacon(topic):
                    self._beacon(*decode_beacon(body))
                else:
                    self._live(decode_event(body))
            except NoEvent as error:
                _logger.warning("%s: %s", error.what, error.cause)

    def _live(self, event: Event) -> None:
        if not self._wants(event.stream):
            return
        if event.stream == LOGS:  # kept nowhere: what was missed is gone
            self._give([event])
            return
        self._give(self._sequence(event.stream).live(event))

    def _beacon(self, stream: str, last: int) -> None:
        if stream == LOGS or not self._wants(stream):
            return
        sequence = self._sequence(stream)
        if last < sequence.seen:
            self._begin_anew(stream)
        sequence.told_last(last)

    def _begin_anew(self, stream: str) -> None:
        """See whether another store was put in place: its numbers may be smaller."""
        try:
            last = self._kept.numbers().get(stream, 0)
        except NotThere:
            return
        sequence = self._sequences[stream]
        if last < sequence.seen:
            _logger.warning(
                "events of %s are counted anew: up to %d, after %d", stream, last, sequence.seen
            )
            self._sequences[stream] = Sequence(0)
            self._sequences[stream].told_last(last)

    def _look(self) -> None:
        """Find by what is kept what happened while nobody told of it."""
        try:
            numbers = self._kept.numbers()
        except NotThere as error:
            _logger.debug("%s: %s", error.what, error.cause)
            return
        for stream, last in numbers.items():
            if self._wants(stream):
                self._sequence(stream).told_last(last)

    def _replay(self) -> None:
        """Ask for what is missing, where anything is."""
        missing = {
            stream: sequence.seen for stream, sequence in self._sequences.items() if sequence.misses
        }
        if not missing or time.monotonic() < self._replay_at:
            return
        try:
            found = self._kept.after(missing, self._topics)
        except NotThere as error:
            _logger.info("%s (%s): it is tried again", error.what, error.cause)
            self._replay_at = time.monotonic() + REPLAY_AGAIN
            return
        moved = False
        for stream, upto in found.upto.items():
            of_stream = [event for event in found.events if event.stream == stream]
            moved = moved or upto > missing[stream]
            self._give(self._sequences[stream].replayed(of_stream, upto))
        if not moved:  # it is told of, and is not kept as yet
            self._replay_at = time.monotonic() + REPLAY_AGAIN

    # --- what is wanted

    def _wants(self, stream: str) -> bool:
        return stream in self._streams if self._streams else stream != LOGS

    def _sequence(self, stream: str) -> Sequence:
        """Give what is known of a stream; one that was not there had no event as yet."""
        if stream not in self._sequences:
            self._sequences[stream] = Sequence(0)
        return self._sequences[stream]

    def _give(self, events: Iterable[Event]) -> None:
        self._ready += (event for event in events if is_about(event.topic, self._topics))

    def _begin_with_snapshot(self, config: Config, key: str) -> dict[str, int]:
        here = isinstance(self._kept, KeptHere)
        with client_of(config, "operator" if here else key, LONGEST_SNAPSHOT) as client:
            answer = ask(client, "snapshot", {"of": "checklist"})
        number = int(answer["number"])
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._ready.append(Event("checklist", number, now, "checklist", answer["value"]))
        return {"checklist": number}

    def _begin_with_last_values(self, numbers: Mapping[str, int]) -> None:
        for stream in filter(self._wants, STATUS_STREAMS):
            events = self._kept.latest([prefix_of(stream)], None, STATUSES_LOOKED_FOR)
            last = {event.topic: event for event in events if event.status}
            before = (e for e in last.values() if e.number <= numbers.get(stream, 0))
            self._give(sorted(before, key=lambda event: event.number))

    # --- the end

    def close(self) -> None:
        """Hang up."""
        self._link.close()
        self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
