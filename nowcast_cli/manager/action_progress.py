"""How far the orders in hand are: kept in memory, as performers say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from nowcast_cli.messages.performing import Progress, Renewed

_LONGEST_TEXT = 500  # characters
_BETWEEN_EVENTS = 1.0  # s between two events about one order: an action may tell of each file


@dataclass(slots=True)
class _Doing:
    since: str
    said: Progress | None = None
    renewed: float | None = None  # s
    told_at: float = float("-inf")


class Doings:
    """What is known of the orders that are in hand."""

    def __init__(self, now: Callable[[], str], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._doings: dict[str, _Doing] = {}
        self._to_tell: dict[str, Progress] = {}

    def begin(self, orders: Iterable[str]) -> None:
        """Take it that orders were given just now."""
        now = self._now()
        for order in orders:
            self._doings[order] = _Doing(now)

    def begun(self, order: str) -> None:
        """Take it that an order is in hand, given now or by an earlier manager."""
        self._doings.setdefault(order, _Doing(self._now()))

    def ended(self, order: str) -> None:
        """Forget an order."""
        self._doings.pop(order, None)
        self._to_tell.pop(order, None)

    def progressed(self, said: Progress) -> None:
        """Take in how far an order is."""
        doing = self._doings.get(said.id)
        if doing is None:
            return
        said = replace(said, text=None if said.text is None else said.text[:_LONGEST_TEXT])
        doing.said = said
        if self._monotonic() >= doing.told_at + _BETWEEN_EVENTS:
            doing.told_at = self._monotonic()
            self._to_tell[said.id] = said

    def renewed(self, said: Renewed) -> None:
        """Take in that an order has been given more time."""
        if said.id in self._doings:
            self._doings[said.id].renewed = said.seconds

    def take_progress(self) -> list[Progress]:
        """Give what is to be told as an event."""
        taken = list(self._to_tell.values())
        self._to_tell.clear()
        return taken

    def told(self, order: str) -> dict[str, Any]:
        """Say of an order since when it is in hand, and how far it is, for JSON."""
        doing = self._doings.get(order)
        if doing is None:
            return {}
        said = doing.said
        return {
            "since": doing.since,
            "text": None if said is None else said.text,
            "fraction": None if said is None else said.fraction,
            "renewed": doing.renewed,
        }
