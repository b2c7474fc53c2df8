"""Who carries out which orders: performers, what waits for room, what they have in hand. Pure.

An order is named by its id alone here. It *waits* until its performer is there with room, is *in
hand* once it was given, and is *expected* where an earlier manager may have given it. It leaves
the book by its end, by nobody wanting it any more, or as lost with its performer; it is never
given a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from nowcast_cli.messages.performing import Hello

Whereabouts = Literal["waiting", "in hand", "expected"]


@dataclass(slots=True)
class Performer:
    """One that has said hello and was not silent for its lease since.

    ``identity`` is that of its connection.
    """

    identity: bytes
    said: Hello
    in_hand: dict[str, None] = field(default_factory=dict)  # in the order in which they were given

    @property
    def room(self) -> int:
        """How many orders it may be given now."""
        return max(0, self.said.takes - len(self.in_hand))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a hello says of orders.

    Parameters
    ----------
    keep
        Those that it has and that are its own.
    lost
        Those that another incarnation had, which may have been begun.
    never_begun
        Those that it was given, or maybe was by an earlier manager, and that it does not have.
    unknown
        Those that it has and that nobody wants of it, or that have ended.
    """

    keep: tuple[str, ...]
    lost: tuple[str, ...]
    never_begun: tuple[str, ...]
    unknown: tuple[str, ...]


class OrderBook:
    """Performers by name, and for each of them the orders that wait, in their order."""

    def __init__(self) -> None:
        self.performers: dict[str, Performer] = {}
        self._names: dict[bytes, str] = {}
        self._waiting: dict[str, dict[str, None]] = {}
        self._where: dict[str, tuple[Whereabouts, str]] = {}
        self._may_give: set[str] = set()  # performers for whom something waits and may have room

    # --- orders

    def want(self, order: str, performer: str) -> None:
        """Have an order given to the performer of that name, once it has room."""
        self._waiting.setdefault(performer, {})[order] = None
        self._where[order] = ("waiting", performer)
        self._may_give.add(performer)

    def expect(self, order: str, performer: str) -> None:
        """Know of an order that an earlier manager wanted; a hello says whether it goes on."""
        self._where[order] = ("expected", performer)

    def whereabouts(self, order: str) -> tuple[Whereabouts, str] | None:
        """Say where an order is, and with which performer; None for one that is not known."""
        return self._where.get(order)

    def ended(self, order: str) -> None:
        """Take in that a performer has told the end of an order."""
        self._remove(order)

    def drop(self, order: str) -> bytes | None:
        """Forget an order that nobody wants; gives the performer's connection that has it."""
        where = self._where.get(order)
        self._remove(order)
        if where is None or where[0] != "in hand":
            return None
        return self.performers[where[1]].identity

    def waiting(self, performer: str) -> int:
        """Give how many orders wait for a performer."""
        return len(self._waiting.get(performer, ()))

    def give(self) -> Iterator[tuple[bytes, tuple[str, ...]]]:
        """Give out what waits, as far as there is room: for each connection its next orders."""
        for name in sorted(self._may_give):
            performer, waiting = self.performers.get(name), self._waiting.get(name)
            if performer is None or not waiting or not performer.room:
                continue
            orders = tuple(order for order, _ in zip(waiting, range(performer.room), strict=False))
            for order in orders:
                del waiting[order]
                performer.in_hand[order] = None
                self._where[order] = ("in hand", name)
            yield performer.identity, orders
        self._may_give.clear()

    def _remove(self, order: str) -> None:
        where, name = self._where.pop(order, (None, ""))
        if where == "waiting":
            del self._waiting[name][order]
        elif where == "in hand":
            del self.performers[name].in_hand[order]
            self._may_give.add(name)

    # --- performers

    def knows(self, identity: bytes) -> bool:
        """Say whether a connection is one of a performer that has said hello."""
        return identity in self._names

    def name_of(self, identity: bytes) -> str | None:
        """Give the name of the performer of a connection."""
        return self._names.get(identity)

    def all_named(self) -> Iterator[tuple[str, Performer | None]]:
        """Give the performers that are there, and None for those for whom something waits alone."""
        waited_for = {name for name, waiting in self._waiting.items() if waiting}
        for name in sorted(waited_for | self.performers.keys()):
            yield name, self.performers.get(name)

    def hello(self, identity: bytes, said: Hello) -> Heard:
        """Take in a hello: a new performer, a new incarnation of one, or one that was there."""
        before = self.performers.get(said.name)
        has = set(said.has)
        lost: list[str] = []
        never_begun: list[str] = []
        if before is not None:
            del self._names[before.identity]
            if before.said.incarnation != said.incarnation:
                lost += before.in_hand
            else:
                never_begun += (order for order in before.in_hand if order not in has)
        expected = [
            order
            for order, where in self._where.items()
            if where == ("expected", said.name) and order not in has
        ]
        never_begun += expected
        keep = tuple(order for order in said.has if self._is_its_own(order, said, before))
        for order in (*lost, *never_begun, *keep):
            self._where.pop(order, None)
        performer = Performer(identity, said, dict.fromkeys(keep))
        for order in keep:
            self._where[order] = ("in hand", said.name)
        self.performers[said.name] = performer
        self._names[identity] = said.name
        self._may_give.add(said.name)
        unknown = tuple(order for order in said.has if order not in performer.in_hand)
        return Heard(keep, tuple(lost), tuple(never_begun), unknown)

    def adopt(self, name: str, orders: Iterable[str]) -> None:
        """Take it that a performer has these in hand, of which nothing was known."""
        for order in orders:
            self.performers[name].in_hand[order] = None
            self._where[order] = ("in hand", name)

    def _is_its_own(self, order: str, said: Hello, before: Performer | None) -> bool:
        where = self._where.get(order)
        if where is None or where[0] == "waiting":
            return False
        if where[0] == "expected":
            return True  # whoever has it was given it, whatever the configuration says by now
        return (
            before is not None
            and where[1] == said.name
            and before.said.incarnation == said.incarnation
        )

    def gone(self, identity: bytes) -> tuple[str, ...]:
        """Take in that nobody is behind a connection any more; gives the orders lost by that."""
        name = self._names.pop(identity, None)
        if name is None:
            return ()
        lost = tuple(self.performers.pop(name).in_hand)
        self._forget(lost)
        return lost

    def _forget(self, orders: Iterable[str]) -> None:
        for order in orders:
            self._where.pop(order, None)
