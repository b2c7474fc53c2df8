"""The manager's desk for performers of actions: hears them, and gives them orders after the commit.

What it hears changes its book at once, and becomes ends of attempts that a turn takes in and
commits; what it says (welcomes, acknowledgements, orders) leaves when that commit is on the disk. A
manager that dies in between has said nothing, and is told again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from nowcast_cli.config.limits import DEFAULTS
from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.tokens import BadToken, Token, is_token
from nowcast_cli.manager import action_telling
from nowcast_cli.manager.action_asks import Asks
from nowcast_cli.manager.action_directory import ACTION_HOST, Directory, Doer
from nowcast_cli.manager.action_orders import OrderBook
from nowcast_cli.manager.action_progress import Doings
from nowcast_cli.manager.action_results import results_of
from nowcast_cli.manager.attendance import Attendance
from nowcast_cli.manager.inbox import Aside
from nowcast_cli.messages.performing import (
    LEASE,
    MAPPING,
    Acknowledged,
    Ask,
    AskHello,
    Bye,
    FromPerformer,
    Hello,
    Order,
    PerformingError,
    Progress,
    Renewed,
    Result,
    ToPerformer,
    Welcome,
    Withdraw,
    frames_of,
    from_performer,
    order_text,
)

NEW = 10.0  # s in which performers tell what they have of an earlier manager
_MOST_EARLY = 1000

_logger = logging.getLogger("manager")


class Tell(Protocol):
    """Says frames to a performer, by way of the broker."""

    def __call__(self, identity: bytes, *frames: bytes) -> None:
        """Send; what nobody takes is lost, and found out by the next hello."""


class AttemptEnd(NamedTuple):
    """What has become of an order.

    Where ``counts`` is false the attempt was lost by no fault of its own, and is no try: most often
    it was not begun, or its action host, which runs nobody's code, was killed.
    """

    token: Token
    result: Result
    counts: bool = True


class ActionDesk:
    """Performers, their orders and their asks.

    Parameters
    ----------
    directory
        Knows whose an action is.
    now
        Gives the time as it is stored.
    monotonic
        The clock, in seconds.

    ``limits`` say what is too much to be given.
    """

    def __init__(
        self, directory: Directory, now: Callable[[], str], monotonic: Callable[[], float]
    ) -> None:
        self.directory = directory
        self.limits = DEFAULTS
        self._now = now
        self._monotonic = monotonic
        self._new_until = monotonic() + NEW
        self._book = OrderBook()
        self._asks = Asks()
        self._attendance = Attendance(now)
        self._asked_to_answer: dict[bytes, float] = {}  # connections, and when
        self.doings = Doings(now, monotonic)
        self._undirected: dict[str, Ask] = {}
        self._early: dict[str, Result] = {}  # of asks that an earlier manager had heard
        self._texts: dict[str, bytes] = {}  # of the orders that wait
        self._ends: list[AttemptEnd] = []
        self._to_say: list[tuple[bytes, ToPerformer]] = []
        self._to_acknowledge: dict[bytes, list[str]] = {}

    @property
    def new_for(self) -> float:
        """For how many seconds performers may still tell what they have of an earlier manager."""
        return max(0.0, self._new_until - self._monotonic())

    # --- for the runs of flows

    def want(self, order: Order, doer: Doer) -> None:
        """Have an order carried out; it leaves after the commit. Raises NowcastError."""
        try:
            self._texts[order.id] = order_text(order)
        except (ValueError, RecursionError) as error:
            raise NowcastError(f"the values of {order.key} are not JSON: {error}") from None
        self._book.want(order.id, doer.name)

    def expect(self, order: str, performer: str) -> None:
        """Wait for the hello that says whether an order of an earlier manager goes on."""
        self._book.expect(order, performer)

    def take_ends(self) -> list[AttemptEnd]:
        """Give what has ended since the last call, in that order."""
        self._look_at_clock()
        ends, self._ends = self._ends, []
        return ends

    def unwanted(self, order: str) -> None:
        """Forget an order, wherever it is; a performer that has it ends it."""
        identity = self._book.drop(order)
        self._forget(order)
        if identity is not None:
            self._say(identity, Withdraw((order,)))

    def not_begun(self, order: str) -> None:
        """Forget an order where it waits; a performer that has it may go on."""
        where = self._book.whereabouts(order)
        if where is None or where[0] == "waiting":
            self.unwanted(order)

    def is_in_hand(self, order: str) -> bool:
        """Say whether a performer that is there has an order."""
        where = self._book.whereabouts(order)
        return where is not None and where[0] == "in hand"

    def may_be_taken(self, order: str) -> bool:
        """Say whether who has an order, or is to have it, is there, or may soon say hello."""
        where = self._book.whereabouts(order)
        if where is None:
            return False
        return where[1] in self._book.performers or (where[0] == "expected" and self.new_for > 0)

    def has_left(self, order: str) -> bool:
        """Say whether a performer has an order, or may have it."""
        where = self._book.whereabouts(order)
        return where is not None and where[0] != "waiting"

    def give_up(self, order: str) -> None:
        """Call an order lost whose performer is not expected any more."""
        reason = "nobody is there any more who may have it"
        self._ended(Result(order, "lost", reason=reason), counts=False)

    # --- hearing

    def hear(self, aside: Aside) -> None:
        """Take in what a performer says, or that it is gone."""
        if aside.kind == "gone":
            self._gone(aside.identity, "it was silent for too long")
            return
        if aside.frames and aside.frames[0] == b"done":
            self._done(aside.identity, results_of(aside.frames[1:], self.limits))
            return
        try:
            word = from_performer(aside.frames)
        except PerformingError as error:
            _logger.error("a performer of actions is not understood: %s", error)
            return
        reached("manager.heard_a_performer")
        self._take(aside.identity, word)

    def _take(self, identity: bytes, word: FromPerformer) -> None:
        match word:
            case Hello():
                self._hello(identity, word)
                return
            case Progress():
                self.doings.progressed(word)
            case Renewed():
                self.doings.renewed(word)
            case Ask():
                self._asked(identity, word)
            case Bye():
                name = self._book.name_of(identity)
                self._gone(identity, "it has ended")
                if name is not None:
                    self._attendance.bye(name)
                    self.directory.bye(name)
                return
        self._ask_hello_of_strangers(identity)

    def _done(self, identity: bytes, results: list[Result]) -> None:
        reached("manager.heard_a_performer")
        self._to_acknowledge.setdefault(identity, []).extend(each.id for each in results)
        for result in results:
            if self._may_end(identity, result.id):
                self._ended(result)
        self._ask_hello_of_strangers(identity)

    def _ask_hello_of_strangers(self, identity: bytes) -> None:
        if not self._book.knows(identity):
            self._say(identity, AskHello())

    def _hello(self, identity: bytes, said: Hello) -> None:
        if self._book.name_of(identity) not in (None, said.name):
            self._gone(identity, f"it calls itself {said.name} by now")
        before = self._book.performers.get(said.name)
        if before is not None and self._attendance.is_replaced(said, before.said):
            if self._is_there(before.identity):
                return
            self._gone(before.identity, "it does not answer")
            before = None
        self._asked_to_answer.pop(identity, None)
        if said.serves != MAPPING:
            self.directory.hello(said.name, said.serves)
        self._attendance.hello(said)
        heard = self._book.hello(identity, said)
        if before is None or before.said.incarnation != said.incarnation:
            _logger.info("%s (pid %d) takes %d orders", said.name, said.pid, said.takes)
            for ask in self._asks.of(said.name):
                self._drop_ask(ask)
        for order in heard.lost:
            reason = f"{said.name} was started anew"
            self._ended(Result(order, "lost", reason=reason), counts=said.name != ACTION_HOST)
        for order in heard.never_begun:
            reason = f"{said.name} does not have it"
            self._ended(Result(order, "lost", reason=reason), counts=False)
        for order in heard.keep:
            self.doings.begun(order)
        # Asks that an earlier manager has passed on go on: who has asked says so again.
        asks = tuple(each for each in heard.unknown if not is_token(each) and self.new_for)
        self._book.adopt(said.name, asks)
        self._say(identity, Welcome((*heard.keep, *asks), said.number))
        if strays := tuple(each for each in heard.unknown if each not in asks):
            self._say(identity, Withdraw(strays))

    def _is_there(self, identity: bytes) -> bool:
        """Say whether a performer may be there: it is asked for a hello, and has its lease.

        The broker says so, too, but for one that it has not heard since it was started anew.
        """
        now = self._monotonic()
        asked = self._asked_to_answer.get(identity)
        if asked is None:
            self._asked_to_answer[identity] = now
            self._say(identity, AskHello())
        return asked is None or now < asked + LEASE

    def _gone(self, identity: bytes, why: str) -> None:
        name = self._book.name_of(identity)
        if name is None:
            return
        self._attendance.silent(name)
        self._asked_to_answer.pop(identity, None)
        for order in self._book.gone(identity):
            reason = f"{name} is gone: {why}"
            self._ended(Result(order, "lost", reason=reason), counts=name != ACTION_HOST)
        for ask in self._asks.of(name):
            self._drop_ask(ask)
        _logger.warning("%s is gone: %s", name, why)

    def _may_end(self, identity: bytes, order: str) -> bool:
        """Say whether what a performer says of an order counts: not of another one's."""
        where = self._book.whereabouts(order)
        if where is None or where[0] == "expected":
            return True
        may = where[0] == "in hand" and self._book.name_of(identity) in (None, where[1])
        if not may:
            _logger.warning("%s is not in the hands of who says how it ended", order)
        return may

    def _ended(self, result: Result, counts: bool = True) -> None:
        self._book.ended(result.id)
        self._forget(result.id)
        found = self._asks.ended(result)
        if found is None:
            try:
                self._ends.append(AttemptEnd(Token.parse(result.id), result, counts))
            except BadToken:
                self._keep_answer(result)
            return
        name, incarnation, answer = found
        asker = self._book.performers.get(name)
        if asker is not None and asker.said.incarnation == incarnation:
            self._say(asker.identity, answer)

    def _keep_answer(self, result: Result) -> None:
        """Keep the answer to an ask that is not known: who has asked may not have said so again."""
        if result.state != "lost":
            self._early[result.id] = result
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]

    def _forget(self, order: str) -> None:
        self._texts.pop(order, None)
        self._undirected.pop(order, None)
        self.doings.ended(order)

    def _say(self, identity: bytes, word: ToPerformer) -> None:
        self._to_say.append((identity, word))

    # --- asks

    def _asked(self, identity: bytes, ask: Ask) -> None:
        name = self._book.name_of(identity)
        if name is None or ask.id in self._asks:
            return  # who is not known says hello, and asks again
        self._asks.take(ask, name, self._book.performers[name].said.incarnation, self._monotonic())
        early = self._early.pop(ask.id, None)
        if early is not None:
            self._ended(early)
        elif self._book.whereabouts(ask.id) is None:
            self._direct(ask)

    def _direct(self, ask: Ask) -> None:
        """Find who answers an ask; soon after the manager began, a service may still say hello."""
        self._undirected.pop(ask.id, None)
        try:
            doer = self.directory.find(ActionKey.parse(ask.key), ask.values)
            if doer is not None:
                order = Order(ask.id, ask.key, doer.component, ask.values, False, ask.seconds)
                self.want(order, doer)
            elif self.directory.patient_for:
                self._undirected[ask.id] = ask
            else:
                raise NowcastError(f"no service owns {ask.key}, and actions.ini does not map it")
        except (BadActionKey, NowcastError) as error:
            words = f"the action key {ask.key!r} {error}"
            reason = words if isinstance(error, BadActionKey) else str(error)
            self._ended(Result(ask.id, "failed", reason=reason))

    def _drop_ask(self, ask: str) -> None:
        self._asks.drop(ask)
        self.unwanted(ask)

    def _look_at_clock(self) -> None:
        for undirected in list(self._undirected.values()):
            self._direct(undirected)
        for ask in self._asks.overdue(self._monotonic()):
            if not self.is_in_hand(ask):
                why = "no-consumer: nobody was there in time to carry out"
                if self.may_be_taken(ask):
                    why = "there was no room in time for"
                reason = f"{why} {self._asks.key_of(ask)}"
                self._ended(Result(ask, "failed", reason=reason))

    def due_in(self) -> float | None:
        """Give the seconds until something is to be done unasked, None for never."""
        if self._ends or self._to_say or self._to_acknowledge:
            return 0.0
        due_at = self._asks.due_at()
        due = [] if due_at is None else [max(0.0, due_at - self._monotonic())]
        if self._undirected:
            due.append(self.directory.patient_for)
        return min(due, default=None)

    # --- after the commit

    def act(self, tell: Tell) -> None:
        """Say what the commit allows: results are taken, who is welcome, what is to be done."""
        for identity, word in self._to_say:
            tell(identity, *frames_of(word))
        self._to_say.clear()
        for identity, orders in self._book.give():
            tell(identity, b"orders", *(self._texts.pop(order) for order in orders))
            reached("manager.gave_orders")
            self.doings.begin(orders)
        for identity, ids in self._to_acknowledge.items():  # for which nobody waits
            tell(identity, *frames_of(Acknowledged(tuple(ids))))
        self._to_acknowledge.clear()
        reached("manager.acknowledged")

    # --- telling

    def performers(self) -> dict[str, dict[str, Any]]:
        """Give what performers do by name: those that are there, or silent, or waited for."""
        return action_telling.performers(self._book, self._attendance)

    def told(self, orders: Iterable[str]) -> Mapping[str, dict[str, Any]]:
        """Say for each of these orders where it is and how far, for JSON."""
        return action_telling.orders(self._book, self.doings, orders)
