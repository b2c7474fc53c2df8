"""Carries out the newest order again and again, and tells the manager what is new."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.agent import orders
from nowcast_cli.agent.hand import Hand, HandTrouble
from nowcast_cli.agent.link import NotHeard
from nowcast_cli.agent.orders import Told
from nowcast_cli.crash_points import reached
from nowcast_cli.executors.pace import Pace
from nowcast_cli.messages.agent_messages import Assignments

# By asking itself it learns that a job has ended; the manager hears of it at once.
_PACE = {"soonest": 0.05, "usual": 0.5, "slowest": 1.0, "slowest_when_away": 10.0}


@dataclass(frozen=True)
class Doing:
    """What carrying out orders needs of the agent.

    ``tell`` tells the manager a part of an answer to an order, and raises NotHeard;
    ``lease`` gives the seconds for which an order counts; ``complain`` takes note of what went
    wrong.
    """

    tell: Callable[[str, Mapping[str, Any]], None]
    lease: Callable[[], float]
    complain: Callable[[str], None]


class Carrier:
    """Has the newest order, and carries it out."""

    def __init__(self, hand: Hand, doing: Doing, message_size: int) -> None:
        self._hand = hand
        self._sizes = orders.sizes_for(message_size)
        self._doing = doing
        self._changed = threading.Condition()
        self._order: Assignments | None = None
        self._asked = 0.0  # when the manager was last asked for another one, and had none
        self._hurry = False
        self._begun: set[str] = set()
        self._told = Told("")
        self._pace = Pace(**_PACE)

    @property
    def order(self) -> str | None:
        """The id of the newest order, None for none."""
        order = self._order
        return None if order is None else order.id

    def take(self, order: Assignments, asked: float) -> None:
        """Go on with another order, for which was asked at ``asked``, in seconds since the boot.

        Answers may overtake each other, so it may be older than the one before. It lets jobs begin
        for a lease from then on: by the end of that the manager may have given them to others, as
        to an agent that was frozen and wakes with an order of yesterday.
        """
        with self._changed:
            if order.id != self.order:
                self._order, self._asked = order, asked
                self._wake()

    def confirm(self, order: str | None, asked: float) -> None:
        """Take note that the manager was asked for another order than this one, and had none."""
        with self._changed:
            if order == self.order:
                self._asked = max(self._asked, asked)

    def hurry(self) -> None:
        """Carry it out now: the manager is reached again."""
        with self._changed:
            self._wake()

    def turn(self) -> None:
        """Wait until it is time, carry the order out once, and tell what is new."""
        order, asked = self._await_turn()
        reached("agent.ordered")
        if order.id != self._told.order:
            self._told = Told(order.id)
            self._begun &= {job["id"] for job in order.order["submit"]}
        until = asked + self._doing.lease()
        try:
            answer = self._hand.carry_out(
                orders.to_do(order.order, self._begun, until, self._sizes)
            )
        except HandTrouble as error:
            self._pace.failed()
            self._doing.complain(str(error))
            return
        reached("agent.carried_out")
        self._begun |= {job_id for job_id, news in answer["jobs"].items() if news["pid"]}
        self._tell(order, answer)

    def _tell(self, order: Assignments, answer: Mapping[str, Any]) -> None:
        news = orders.news_in(answer, self._told)
        weight = orders.weight_of(news, self._told)
        try:
            for part in () if news is None else orders.parts_of(news, self._sizes.told):
                self._doing.tell(order.id, part)
                reached("agent.told")
                self._told = self._told.and_(part)
                if self.order != order.id:  # which knows what was taken in of this one
                    break
        except NotHeard:
            self._pace.failed()  # the next turn tells it all the same
            return
        self._pace.went_well(weight)

    def _await_turn(self) -> tuple[Assignments, float]:
        with self._changed:
            self._changed.wait_for(lambda: self._hurry, self._pace.pause)
            while self._order is None or self._is_done(self._order):
                self._changed.wait()
            self._hurry = False
            return self._order, self._asked

    def _is_done(self, order: Assignments) -> bool:
        """Whether there is nothing to do and nothing to tell before another order comes."""
        told = self._told.order == order.id and not self._told.first
        return told and orders.asks_for_nothing(order.order)

    def _wake(self) -> None:
        self._hurry = True
        self._changed.notify()
