"""The orders that a service has: those that wait, those that run, and those that run in vain. Pure.

A service calls its functions in threads of its own process, which nothing can end. What runs over
its time, or is not wanted any more, is a *stray*: its result counts no more, and the service takes
one order less until it has come back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from nowcast_cli.messages.performing import Order


@dataclass(slots=True)
class _Running:
    order: Order
    until: float


class OrdersInHand:
    """The orders of one service.

    Parameters
    ----------
    at_once
        How many it carries out at once.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._waiting: deque[Order] = deque()
        self._running: dict[str, _Running] = {}
        self._strays: set[str] = set()
        self._is_closed = False

    @property
    def takes(self) -> int:
        """How many orders it may be given at once, for the time being."""
        return 0 if self._is_closed else max(0, self._at_once - len(self._strays))

    @property
    def runs(self) -> bool:
        """Whether any order runs whose result counts."""
        return bool(self._running)

    def ids(self) -> Iterator[str]:
        """Give the ids of the orders that it will still tell a result of."""
        yield from self._running
        yield from (order.id for order in self._waiting)

    def take(self, orders: Iterable[Order]) -> None:
        """Take orders that are new; one that is there already stays as it is."""
        known = set(self.ids()) | self._strays
        for order in orders:
            if order.id not in known and not self._is_closed:
                self._waiting.append(order)
                known.add(order.id)

    def withdraw(self, ids: Collection[str]) -> None:
        """Drop what is not wanted."""
        self._waiting = deque(order for order in self._waiting if order.id not in ids)
        for each in list(self._running):
            if each in ids:
                self._stray(each)

    def keep(self, ids: Collection[str]) -> None:
        """Drop what waits and is not of these: it is not wanted, or somebody else's by now."""
        self._waiting = deque(order for order in self._waiting if order.id in ids)

    def close(self) -> None:
        """Take no more, and drop what waits."""
        self._is_closed = True
        self._waiting.clear()

    def begin(self, now: float) -> Order | None:
        """Begin the next order, whose time counts from now; None where none waits."""
        if not self._waiting:
            return None
        order = self._waiting.popleft()
        self._running[order.id] = _Running(order, now + order.seconds)
        return order

    def not_begun(self, order: Order) -> None:
        """Have an order wait that could not be begun after all."""
        if self._running.pop(order.id, None) is not None and not self._is_closed:
            self._waiting.appendleft(order)
        self._strays.discard(order.id)

    def renewed(self, order: str, seconds: float, now: float) -> None:
        """Give an order that runs so many seconds from now on."""
        if order in self._running:
            self._running[order].until = now + seconds

    def ended(self, order: str) -> bool:
        """Take in that a call has come back; says whether its result counts."""
        self._strays.discard(order)
        return self._running.pop(order, None) is not None

    def overdue(self, now: float) -> list[Order]:
        """Give the orders that run over their time, which are strays from now on."""
        late = [each.order for each in self._running.values() if now >= each.until]
        for order in late:
            self._stray(order.id)
        return late

    def due_at(self) -> float | None:
        """Give when the next order is overdue."""
        return min((each.until for each in self._running.values()), default=None)

    def _stray(self, order: str) -> None:
        del self._running[order]
        self._strays.add(order)
