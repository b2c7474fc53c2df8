"""Counts of the steps of a run are those that one would find by looking at all of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.flows.run_steps import RunSteps, counted
from nowcast_cli.store.delay import Delay
from nowcast_cli.store.flow_records import ENDED_WELL, OPEN, StepRecord

DELAY = Delay(30.0, "boot", 1030.0)
STATES = ("waiting", "running", "done", "skipped", "failed", "timed out", "cancelled")


@st.composite
def records(draw: st.DrawFn) -> StepRecord:
    state: Any = draw(st.sampled_from(STATES))
    delay = draw(st.sampled_from([None, DELAY])) if state == "waiting" else None
    item = draw(st.sampled_from([0, 1, 2]))
    return StepRecord(
        draw(st.sampled_from("ab")), item, state, draw(st.integers(1, 3)), delay=delay
    )


@given(st.lists(records(), max_size=30))
def test_counts_are_those_of_all_records(put: list[StepRecord]) -> None:
    steps = RunSteps()
    for record in put:
        steps.put(record)
    last = {(record.step, record.item): record for record in put}
    assert steps == last
    states = Counter(record.state for record in last.values())
    assert (steps.waiting, steps.running) == (states["waiting"], states["running"])
    assert steps.bad == sum(states[state] for state in ("failed", "timed out", "cancelled"))
    for name in "abc":
        mine = [record for record in last.values() if record.step == name]
        assert sorted(steps.of(name)) == sorted(mine)
        assert steps.has(name) == bool(mine)
        assert steps.is_over(name) == (bool(mine) and all(r.state not in OPEN for r in mine))
        bad = [record for record in mine if record.state not in ENDED_WELL | OPEN]
        assert steps.ended_badly(name) == bool(bad)


@given(st.lists(records(), max_size=30))
def test_what_is_ready_comes_in_order_and_waits_for_no_delay(put: list[StepRecord]) -> None:
    steps = RunSteps(put)
    taken: dict[str, list[Any]] = {}
    for name in sorted(steps.names_that_wait()):
        while (record := steps.next_ready(name)) is not None:
            assert steps[(name, record.item)] == record
            taken.setdefault(name, []).append(record.item)
            steps.put(record._replace(state="running", delay=None))
    assert all(items == sorted(set(items)) for items in taken.values())
    last = {(record.step, record.item): record for record in put}
    ready = {key for key, each in last.items() if each.state == "waiting" and each.delay is None}
    assert ready <= {(name, item) for name, items in taken.items() for item in items}
    assert not steps.names_that_wait()


def test_a_step_is_ready_once_its_delay_is_over() -> None:
    record = StepRecord("a", None, "waiting", 2, delay=DELAY)
    steps = RunSteps([record])
    assert steps.next_ready("a") is None
    steps.let_begin(record)
    assert steps.next_ready("a") == record


def test_the_end_of_a_delay_of_an_attempt_before_lets_nothing_begin() -> None:
    first = StepRecord("a", None, "waiting", 1, delay=DELAY)
    steps = RunSteps([first, first._replace(attempt=2)])
    steps.let_begin(first)
    assert steps.next_ready("a") is None


def test_what_is_counted_stays_the_same_steps() -> None:
    record = StepRecord("a", None, "running")
    steps = counted({("a", None): record})
    assert counted(steps) is steps
