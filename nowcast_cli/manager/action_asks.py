"""What an action asks a service in the middle of its work: kept in memory, answered once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from nowcast_cli.messages.performing import Answer, Ask, Result

_LONGEST = 366 * 86400.0  # s: of what is much more no poll can wait for the end


@dataclass(frozen=True, slots=True)
class _Open:
    asker: str
    incarnation: str
    key: str


class Asks:
    """The asks that are not answered; nobody tries one again but who has asked."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._due: list[tuple[float, str]] = []  # a heap

    def __contains__(self, ask: str) -> bool:
        return ask in self._open

    def take(self, ask: Ask, asker: str, incarnation: str, now: float) -> None:
        """Take in an ask of a performer, at ``now`` of a clock in seconds."""
        self._open[ask.id] = _Open(asker, incarnation, ask.key)
        heappush(self._due, (now + min(ask.seconds, _LONGEST), ask.id))

    def ended(self, result: Result) -> tuple[str, str, Answer] | None:
        """Give the answer to an ask that has ended, for whom by name and incarnation."""
        found = self._open.pop(result.id, None)
        if found is None:
            return None
        answer = Answer(result.id, result.state, result.gave, result.reason)
        return found.asker, found.incarnation, answer

    def of(self, asker: str) -> tuple[str, ...]:
        """Give what a performer has asked."""
        return tuple(ask for ask, found in self._open.items() if found.asker == asker)

    def key_of(self, ask: str) -> str:
        """Give what is asked for."""
        return self._open[ask].key

    def drop(self, ask: str) -> None:
        """Forget an ask whose asker is no more."""
        self._open.pop(ask, None)

    def overdue(self, now: float) -> Iterator[str]:
        """Give the asks whose time is over."""
        while self._due and self._due[0][0] <= now:
            _, ask = heappop(self._due)
            if ask in self._open:
                yield ask

    def due_at(self) -> float | None:
        """Give when the next one may be overdue."""
        return self._due[0][0] if self._due else None
