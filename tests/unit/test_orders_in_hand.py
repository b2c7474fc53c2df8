"""The orders that a service has: what waits, what runs, what runs in vain."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nowcast_cli.actions.orders_in_hand import OrdersInHand
from nowcast_cli.messages.performing import Order


def order(name: str, seconds: float = 10.0) -> Order:
    return Order(name, "?A?b", None, {}, implied=False, seconds=seconds)


@pytest.fixture
def hands() -> OrdersInHand:
    hands = OrdersInHand(2)
    hands.take([order("a"), order("b"), order("c")])
    return hands


def test_orders_are_begun_in_their_order_and_once(hands: OrdersInHand) -> None:
    hands.take([order("b")])
    begun = [hands.begin(0.0) for _ in range(4)]
    assert [each and each.id for each in begun] == ["a", "b", "c", None]
    assert list(hands.ids()) == ["a", "b", "c"]


def test_time_counts_from_the_begin_and_may_be_renewed(hands: OrdersInHand) -> None:
    assert hands.due_at() is None
    hands.begin(5.0)
    assert hands.due_at() == 15.0
    hands.renewed("a", 100.0, 14.0)
    assert hands.overdue(20.0) == []
    assert [each.id for each in hands.overdue(114.0)] == ["a"]


def test_what_is_overdue_takes_a_place_until_it_comes_back_in_vain(hands: OrdersInHand) -> None:
    hands.begin(0.0)
    hands.overdue(10.0)
    assert (hands.takes, list(hands.ids()), hands.runs) == (1, ["b", "c"], False)
    assert not hands.ended("a")
    assert hands.takes == 2


def test_what_is_not_wanted_is_dropped_or_ends_in_vain(hands: OrdersInHand) -> None:
    hands.begin(0.0)
    hands.withdraw({"a", "c", "unknown"})
    assert list(hands.ids()) == ["b"]
    assert not hands.ended("a")


def test_a_welcome_drops_what_was_not_begun_and_is_not_kept(hands: OrdersInHand) -> None:
    hands.begin(0.0)
    hands.keep({"c"})
    assert list(hands.ids()) == ["a", "c"]
    assert hands.ended("a")


def test_what_could_not_be_begun_is_the_next_again(hands: OrdersInHand) -> None:
    first = hands.begin(0.0)
    assert first is not None
    hands.not_begun(first)
    again = hands.begin(1.0)
    assert again is not None
    assert again.id == "a"


def test_one_that_ends_takes_nothing_more(hands: OrdersInHand) -> None:
    hands.begin(0.0)
    hands.close()
    hands.take([order("d")])
    assert (hands.takes, list(hands.ids()), hands.runs) == (0, ["a"], True)
    assert hands.ended("a")
    assert not hands.runs


class Histories(RuleBasedStateMachine):
    """Whatever comes in whichever order: what was begun comes back once, and counts once."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = OrdersInHand(2)
        self.now = 0.0
        self.number = 0
        self.out: list[str] = []  # called, and not back
        self.told: list[str] = []  # whose end was told
        self.gone: set[str] = set()  # not wanted any more

    def _tell(self, name: str) -> None:
        assert name not in self.told
        assert name not in self.gone
        self.told.append(name)

    @rule(count=st.integers(1, 3))
    def given(self, count: int) -> None:
        names = [str(self.number + each) for each in range(count)]
        self.number += count
        self.hands.take([order(name) for name in names])

    @precondition(lambda self: len(self.out) < 2)
    @rule()
    def begin(self) -> None:
        begun = self.hands.begin(self.now)
        if begun is not None:
            assert begun.id not in self.told
            assert begun.id not in self.gone
            self.out.append(begun.id)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def comes_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.out))
        self.out.remove(name)
        if self.hands.ended(name):
            self._tell(name)

    @rule(data=st.data())
    def withdrawn(self, data: st.DataObject) -> None:
        names = list(self.hands.ids())
        if names:
            name = data.draw(st.sampled_from(names))
            self.hands.withdraw({name})
            self.gone.add(name)

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for late in self.hands.overdue(self.now):
            self._tell(late.id)

    @invariant()
    def nothing_is_in_hand_whose_end_was_told(self) -> None:
        assert not set(self.hands.ids()) & (set(self.told) | self.gone)
        strays = [name for name in self.out if name in self.told or name in self.gone]
        assert self.hands.takes == 2 - len(strays)


TestHistories = Histories.TestCase
