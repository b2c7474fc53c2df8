"""Performers of actions without processes, and the wires between them and the desk of a world.

A performer keeps the rules of the protocol: it begins an order only between welcome and hello, and
keeps a result until it is acknowledged. What is on a wire may be lost, nothing overtakes.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from flow_world import World
from nowcast_cli.manager.inbox import Aside
from nowcast_cli.manager.state import Step as Transition
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.performing import (
    MAPPING,
    Acknowledged,
    AskHello,
    Bye,
    Done,
    FromPerformer,
    Hello,
    Order,
    Orders,
    Result,
    Welcome,
    Withdraw,
    frames_of,
    to_performer,
)


@dataclass
class Performer:
    """One process of a performer; ``begun`` are its orders that run."""

    name: str
    incarnation: str
    serves: Any = MAPPING
    takes: int = 2
    number: int = 0
    welcomed: bool = False
    in_hand: dict[str, Order] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    kept: dict[str, Result] = field(default_factory=dict)

    @property
    def identity(self) -> bytes:
        return f"{self.name} {self.incarnation}".encode()

    def hello(self) -> Hello:
        self.number += 1
        self.welcomed = False
        has = tuple({**self.kept, **self.in_hand})
        return Hello(self.name, self.incarnation, 1, self.takes, self.serves, has, self.number)

    def hear(self, frames: list[bytes]) -> list[FromPerformer]:
        match to_performer(frames):
            case AskHello():
                return [self.hello()]
            case Welcome(keep, number) if number == self.number and not self.welcomed:
                self.welcomed = True
                for each in list(self.in_hand):
                    if each not in keep and each not in self.begun:
                        del self.in_hand[each]
                return [Done(tuple(self.kept.values()))] if self.kept else []
            case Orders(orders):
                self.in_hand.update({order.id: order for order in orders})
            case Acknowledged(ids):
                for each in ids:
                    self.kept.pop(each, None)
            case Withdraw(ids):
                for each in ids:
                    self.in_hand.pop(each, None)
                    self.begun.discard(each)
        return []


class ActionWorld(World):
    """A world with performers; ``given`` and ``begun_orders`` count each order's deliveries."""

    def __post_init__(self) -> None:
        self.performers: dict[str, Performer] = {}
        self.to_manager: deque[tuple[bytes, list[bytes]]] = deque()
        self.to_performers: deque[tuple[bytes, list[bytes]]] = deque()
        self.given: Counter[str] = Counter()
        self.begun_orders: Counter[str] = Counter()
        self.said: dict[str, list[Any]] = {}  # what was ever given for an order
        self.events: list[Any] = []
        super().__post_init__()

    def take(self, step: Transition) -> None:
        super().take(step)
        self.events += [each for each in step.changes if type(each).__name__ == "EventPut"]

    # --- wires

    def tell(self, identity: bytes, *frames: bytes) -> None:
        word = to_performer(frames)
        if isinstance(word, Orders):
            for order in word.orders:
                self.given[order.id] += 1
                assert self.given[order.id] == 1, f"{order.id} is given twice"
                if not order.run:
                    continue  # an ask
                committed = self.store.flow_run(order.run)
                assert committed is not None
                assert any(
                    f"{order.run}/{step.step}/{'' if step.item is None else step.item}"
                    f"/{step.attempt}"
                    == order.id
                    and step.state == "running"
                    for step in committed.steps.values()
                ), "an order leaves before its attempt is committed"
        self.to_performers.append((identity, list(frames)))

    def turn(self, acts: bool = True) -> None:
        """Take all that has arrived in; a manager that is killed before it acts says nothing."""
        while self.to_manager:
            identity, frames = self.to_manager.popleft()
            kind: Any = "gone" if frames == [b"gone"] else "performer"
            self.desk.hear(Aside(kind, identity, () if kind == "gone" else tuple(frames)))
        turn = Turn(self.state)
        self.runs.follow(turn)
        self.take(Transition(turn.state, tuple(turn.changes)))
        if acts:
            self.desk.act(self.tell)

    def deliver(self) -> None:
        """Bring performers what is on its way to them."""
        while self.to_performers:
            identity, frames = self.to_performers.popleft()
            for performer in self.performers.values():
                if performer.identity == identity:
                    for word in performer.hear(frames):
                        self.say(performer, word)

    def say(self, performer: Performer, word: FromPerformer) -> None:
        self.to_manager.append((performer.identity, frames_of(word)))

    # --- what may happen

    def start(self, name: str, serves: Any = MAPPING, takes: int = 2) -> Performer:
        """Begin the next incarnation of a performer; the one before, if any, was killed."""
        before = self.performers.get(name)
        number = 1 if before is None else int(before.incarnation) + 1
        performer = self.performers[name] = Performer(name, str(number), serves, takes)
        self.say(performer, performer.hello())
        return performer

    def gone(self, performer: Performer) -> None:
        """Have the broker call it gone; if it lives, it is asked for a hello when heard again."""
        self.to_manager.append((performer.identity, [b"gone"]))

    def ask_hello(self) -> None:
        """Have a broker that is new, or greeted by a manager that is, ask everybody."""
        for performer in self.performers.values():
            self.say(performer, performer.hello())

    def lose_wires(self) -> None:
        """Kill the broker with all that it has."""
        self.to_manager.clear()
        self.to_performers.clear()

    def begin_order(self, performer: Performer) -> None:
        """Have a performer begin the next order, where it may."""
        waiting = [each for each in performer.in_hand if each not in performer.begun]
        if performer.welcomed and waiting:
            self.begun_orders[waiting[0]] += 1
            assert self.begun_orders[waiting[0]] == 1, f"{waiting[0]} is begun twice"
            performer.begun.add(waiting[0])

    def end_order(self, performer: Performer, state: Any, gave: Any) -> None:
        """Have a performer end the oldest order that runs."""
        for each in sorted(performer.begun):
            performer.begun.discard(each)
            del performer.in_hand[each]
            reason = None if state == "done" else "because"
            result = Result(each, state, gave if state == "done" else None, reason)
            performer.kept[each] = result
            self.said.setdefault(each, []).append(result.gave)
            if performer.welcomed:
                self.say(performer, Done((result,)))
            return

    def bye(self, performer: Performer) -> None:
        self.say(performer, Bye())

    def work_off(self, rounds: int = 200) -> None:
        """Let everything go well from now on, until no run is open."""
        self.ask_hello()
        for number in range(rounds):
            for performer in self.performers.values():
                if not performer.welcomed and number % 4 == 3:
                    self.say(performer, performer.hello())
            self.turn()
            self.deliver()
            for performer in self.performers.values():
                for _ in range(performer.takes + 1):
                    self.begin_order(performer)
                    self.end_order(performer, "done", {"late": True})
            for token in self.running():
                record = self.record(token.run).steps[(token.step, token.item)]
                if record.performer is None:
                    self.said.setdefault(str(token), []).append(None)
                    self.end(token)
            if not self.runs.open and not self.to_manager:
                break
            self.seconds += 0.5
        self.turn()
        self.deliver()
