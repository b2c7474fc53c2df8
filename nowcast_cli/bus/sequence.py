"""One stream as a subscriber has it: each event once and in order, whatever comes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nowcast_cli.messages.event import Event

MOST_HELD = 10_000  # events that came too early; of later ones the number alone is kept


class Sequence:
    """What of a stream has been given, and what of it is known to be missing.

    What each method gives is to be given on, in that order; ``seen`` counts with it.

    Parameters
    ----------
    seen
        The number of the last event that needs not be given any more.
    """

    def __init__(self, seen: int) -> None:
        self.seen = seen
        self.known = seen  # the last number that there is, as far as was heard
        self._held: dict[int, Event] = {}

    @property
    def misses(self) -> bool:
        """Whether there are events that have not come."""
        return self.known > self.seen

    def live(self, event: Event) -> list[Event]:
        """Take in an event as it happens, or once more."""
        if event.number <= self.seen:
            return []
        self.known = max(self.known, event.number)
        if event.number > self.seen + 1:
            if len(self._held) < MOST_HELD:
                self._held[event.number] = event
            return []
        self.seen = event.number
        return [event, *self._that_follow()]

    def told_last(self, number: int) -> None:
        """Take in what the last number of the stream is, or was."""
        self.known = max(self.known, number)

    def replayed(self, events: Iterable[Event], upto: int) -> list[Event]:
        """Take in events of a replay: all that is kept of numbers up to ``upto``.

        A number that is not among them is never used, or its event is no longer kept.
        """
        there = {number: event for number, event in self._held.items() if number <= upto}
        there |= {event.number: event for event in events}
        given = [there[number] for number in sorted(there) if number > self.seen]
        last = given[-1].number if given else 0
        self.seen = max(self.seen, upto, last)
        self.known = max(self.known, self.seen)
        return given + self._that_follow()

    def _that_follow(self) -> list[Event]:
        following = []
        while (event := self._held.pop(self.seen + 1, None)) is not None:
            self.seen = event.number
            following.append(event)
        if self._held:
            self._held = {n: event for n, event in self._held.items() if n > self.seen}
        return following
