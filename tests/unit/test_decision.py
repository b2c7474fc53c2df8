"""What an after_ function may return, and what becomes of the rest."""

import pytest

from nowcast_cli import NextWorker
from nowcast_cli.manager.decision import (
    NonsenseError,
    decision_from_json,
    decision_of,
    decision_to_json,
)
from nowcast_cli.manager.transitions import Decision, Launch

A, B = NextWorker("workers.a"), NextWorker("workers.b", args=["--day", 3], host="far")
LAUNCH_A, LAUNCH_B = Launch("workers.a"), Launch("workers.b", ("--day", "3"), "far")


@pytest.mark.parametrize(
    ("returned", "decision"),
    [
        ([], Decision(())),
        ((), Decision(())),
        ([A, B], Decision((LAUNCH_A, LAUNCH_B))),
        ((A, B), Decision((LAUNCH_A, LAUNCH_B))),
        (([A, B], {"a", "b"}), Decision((LAUNCH_A, LAUNCH_B), frozenset({"a", "b"}))),
        (([A], frozenset({"a"})), Decision((LAUNCH_A,), frozenset({"a"}))),
        (([], set()), Decision(())),
        ([[A], {"a"}], Decision((LAUNCH_A,), frozenset({"a"}))),
    ],
)
def test_a_list_of_next_workers_and_a_set_of_names_are_a_decision(returned, decision):
    assert decision_of(returned, "after_x") == decision
    assert decision_from_json(decision_to_json(decision)) == decision


@pytest.mark.parametrize("returned", [None, "workers.a", 3, {}, {"a"}, A, True, iter([])])
def test_anything_else_is_nonsense_and_said_so(returned):
    with pytest.raises(NonsenseError, match=r"after_x returned .*it must return a list"):
        decision_of(returned, "after_x")


@pytest.mark.parametrize("barrier", [{1}, {None, "a"}, {("a",)}])
def test_a_set_of_something_else_than_names_is_nonsense(barrier):
    with pytest.raises(NonsenseError, match="names of workers"):
        decision_of(([A], barrier), "after_x")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (None, "None is not a NextWorker"),
        ("workers.a", "is not a NextWorker"),
        ([A], "is not a NextWorker"),
        (NextWorker("not a module"), "dotted name"),
        (NextWorker(""), "dotted name"),
        (NextWorker("workers."), "dotted name"),
        (NextWorker("../x"), "dotted name"),
        (NextWorker("workers.a", args="--x"), "is not a NextWorker"),
        (NextWorker("workers.a", host=None), "host"),
        (NextWorker("workers.a", host="\udce9"), "host"),
    ],
)
def test_a_wrong_item_is_left_out_with_a_word_and_the_rest_stays(item, said):
    decision = decision_of([A, item, B], "after_x")

    assert decision.launches == (LAUNCH_A, LAUNCH_B)
    [warning] = decision.warnings
    assert "item 1 of what after_x returned is left out" in warning
    assert said in warning
