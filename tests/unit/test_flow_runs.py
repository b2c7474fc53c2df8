"""Runs of flows, one behaviour after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_world import ANY, World, asked, end_job, work
from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.advance import name_of
from nowcast_cli.flows.definition import (
    Conflict,
    Flow,
    Parameter,
    Step,
    SubFlow,
    Trigger,
    Work,
)
from nowcast_cli.flows.tokens import BadToken, Token
from nowcast_cli.manager.flow_actions import LONGEST_WAIT
from nowcast_cli.manager.state import Step as Transition
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.flow_records import (
    FlowRunPut,
    StepRecord,
)
from nowcast_cli.store.pruning import Prunable, Pruner
from nowcast_cli.store.records import (
    Delay,
    JobPut,
    MessageReceived,
    MessageRecord,
    RowsRemoved,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_a_step_gave_fills_what_comes_after(world: World) -> None:
    flow = Flow(
        "f",
        (
            work("a", arguments=("{date}",)),
            work("b", "a", arguments=("--rows", "{a.rows}", "{a.names}"), for_each="{a.names}"),
            work("c", "b", arguments=("{item}", "{b.x}"), for_each=1),
        ),
        (Parameter("date", "date", "today", required=False),),
    )
    run = world.run(flow)
    assert [job.arguments for job in world.state.jobs.values()] == [("2026-11-22",)]
    world.end(Token(run, "a", None, 1), gave={"rows": 3, "names": ["x", "y"]})
    assert [job.arguments for job in world.state.jobs.values()] == [
        ("--rows", "3", '["x", "y"]'), ("--rows", "3", '["x", "y"]'),
    ]  # fmt: skip
    world.end(Token(run, "b", 1, 1), gave={"x": 2})
    world.end(Token(run, "b", 0, 1), gave={"x": 1})
    assert [job.arguments for job in world.state.jobs.values()] == [("1", "[1, 2]")]


def test_a_value_that_is_missing_fails_the_step_and_says_which(world: World) -> None:
    run = world.run(Flow("f", (asked("a"), work("b", "a", arguments=("{a.rows}",)))))
    world.end(Token(run, "a", None, 1), gave={"lines": 3})
    assert world.record(run).reason == "step b: a.rows has no value"
    assert world.record(run).state == "failed"


def test_many_items_that_cannot_begin_fail_one_by_one(world: World) -> None:
    step = Step("a", Work("nowhere"), for_each=3000, concurrency=1)
    run = world.run(Flow("f", (step,)))
    assert world.record(run).state == "failed"
    assert Counter(world.states(run).values()) == {"failed": 1, "cancelled": 2999}


@pytest.mark.parametrize("many", [10**12, list(range(10_001))])
def test_a_step_is_not_run_for_more_than_can_be(world: World, many: Any) -> None:
    run = world.run(Flow("f", (asked("a"), work("b", "a", for_each="{a}"))))
    world.end(Token(run, "a", None, 1), gave=many)
    assert "more than the 10,000 that a step may be run for" in str(world.record(run).reason)


def test_a_step_that_fails_ends_the_run_and_what_runs_beside_it_ends_first(world: World) -> None:
    run = world.run(Flow("f", (work("a"), work("b"), work("c", "b"))))
    world.end(Token(run, "a", None, 1), "failed")
    assert world.record(run).state == "running"
    world.end(Token(run, "b", None, 1))
    assert world.record(run).state == "failed"
    assert world.states(run) == {"a": "failed", "b": "done"}
    assert world.record(run).reason == "step a: because"


def test_what_stands_in_runs_only_where_its_step_fails(world: World) -> None:
    flow = Flow("f", (work("a", on_failure="s"), work("b", "a"), work("s"), work("t", "s")))
    well, badly = world.run(flow), world.run(flow)
    world.end(Token(well, "a", None, 1))
    world.end(Token(well, "b", None, 1))
    assert (world.record(well).state, world.states(well)) == ("done", {"a": "done", "b": "done"})
    world.end(Token(badly, "a", None, 1), "failed")
    world.end(Token(badly, "s", None, 1))
    world.end(Token(badly, "t", None, 1))
    assert world.record(badly).state == "failed"
    assert world.states(badly) == {"a": "failed", "s": "done", "t": "done"}


def test_a_retry_waits_for_its_delay_and_for_the_process_of_the_attempt_before(
    world: World,
) -> None:
    run = world.run(Flow("f", (work("a", retry=Retry(2, 30.0, 1.0, ANY)),)))
    (first,) = world.state.jobs.values()
    world.end(Token(run, "a", None, 1), "failed")
    assert world.runs.due_in() == 30.0
    world.tick(29.0)
    assert not world.running()
    world.tick(1.5)
    (second,) = world.state.jobs.values()
    assert (second.attempt, second.predecessor) == (2, first.id)
    world.end(Token(run, "a", None, 2))
    assert world.record(run).state == "done"


def test_only_the_endings_that_are_named_are_tried_again(world: World) -> None:
    run = world.run(Flow("f", (work("a", retry=Retry(3, 0.0, 1.0, frozenset({"lost"}))),)))
    world.end(Token(run, "a", None, 1), "lost")
    world.end(Token(run, "a", None, 2), "crashed")
    assert world.record(run).state == "failed"


def test_a_step_that_takes_too_long_is_ended(world: World) -> None:
    run = world.run(Flow("f", (work("a", timeout=60.0),)))
    (job,) = world.state.jobs.values()
    world.tick(61.0)
    assert world.record(run).state == "timed out"
    cancelled = world.store.job(job.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.reason) == ("cancelled", "it took longer than 1 min")


def test_a_timeout_may_be_tried_again(world: World) -> None:
    run = world.run(Flow("f", (asked("a", timeout=60.0, on_timeout="retry"),)))
    world.restart()
    world.tick(61.0)
    assert world.running() == [Token(run, "a", None, 2)]
    world.tick(61.0)
    assert world.record(run).state == "timed out"


def test_a_wait_for_a_word_from_outside_has_an_end(world: World) -> None:
    run = world.run(Flow("f", (asked("a"),)))
    assert world.runs.due_in() == LONGEST_WAIT
    world.tick(LONGEST_WAIT + 1)
    assert world.record(run).state == "timed out"


def test_nothing_is_due_once_no_run_is_open(world: World) -> None:
    run = world.run(Flow("f", (asked("a", timeout=60.0),)))
    world.end(Token(run, "a", None, 1))
    assert world.record(run).state == "done"
    world.seconds += 61.0  # its deadline passes, and there is nobody to look at it
    assert world.runs.due_in() is None


def test_deadlines_of_another_boot_begin_anew(world: World) -> None:
    world.run(Flow("f", (asked("a", timeout=60.0),)))
    record = next(iter(next(iter(world.runs.open.values())).steps.values()))
    assert record.deadline == Delay(60.0, "boot", 1060.0)


def test_the_first_word_on_an_attempt_counts(world: World) -> None:
    run = world.run(Flow("f", (asked("a"), asked("b", "a"))))
    token = Token(run, "a", None, 1)
    world.end(token, gave={"x": 1})
    before = world.record(run)
    for late in (token, Token(run, "a", None, 2), Token(run, "z", None, 1), Token("x", "a", 1, 1)):
        step = world.runs.complete(world.state, late, "failed", None, "late")
        assert step.changes == ()
    assert world.record(run) == before


def test_a_flow_that_does_a_step_hands_on_what_its_steps_gave(world: World) -> None:
    world.flows["inner"] = Flow("inner", (asked("x"), asked("y", for_each=2)))
    flow = Flow("outer", (Step("a", SubFlow("inner")), work("b", "a", arguments=("{a.x.n}",))))
    run = world.run(flow)
    inner = world.record(run).steps[("a", None)].job
    assert inner is not None
    world.restart()
    world.end(Token(inner, "x", None, 1), gave={"n": 7})
    for item in (0, 1):
        world.end(Token(inner, "y", item, 1), gave=item)
    assert world.record(inner).state == "done"
    assert [job.arguments for job in world.state.jobs.values()] == [("7",)]


def test_a_flow_that_fails_fails_the_step_that_it_does(world: World) -> None:
    world.flows["inner"] = Flow("inner", (asked("x"),))
    run = world.run(Flow("outer", (Step("a", SubFlow("inner")), Step("c", SubFlow("gone")))))
    assert "there is no flow 'gone'" in str(world.record(run).steps[("c", None)].reason)
    inner = world.record(run).steps[("a", None)].job
    world.end(Token(str(inner), "x", None, 1), "failed")
    assert world.record(run).state == "failed"


def test_to_cancel_a_run_cancels_its_jobs_and_flows(world: World) -> None:
    world.flows["inner"] = Flow("inner", (work("x"),))
    run = world.run(Flow("outer", (Step("a", SubFlow("inner")), work("b"), asked("c"))))
    inner = world.record(run).steps[("a", None)].job
    world.take(world.runs.cancel(world.state, world.record(run), "by hand"))
    assert world.record(run).state == "cancelled"
    assert world.record(str(inner)).state == "cancelled"
    assert set(world.states(run).values()) == {"cancelled"}
    assert all(job.state == "cancelled" for job in world.state.jobs.values())
    assert not world.runs.open
    assert not +world.runs._runs.running


def test_a_run_that_failed_goes_on_with_what_ended_badly(world: World) -> None:
    flow = Flow("f", (work("a", for_each=2), work("b", "a"), work("c")))
    run = world.run(flow)
    world.end(Token(run, "a", 0, 1))
    world.end(Token(run, "a", 1, 1), "failed")
    world.end(Token(run, "c", None, 1))
    assert world.record(run).state == "failed"
    world.take(world.runs.again(world.state, world.record(run), None))
    assert world.running() == [Token(run, "a", 1, 2)]
    world.restart()
    world.end(Token(run, "a", 1, 2))
    world.end(Token(run, "b", None, 1))
    assert world.record(run).state == "done"


def test_a_run_goes_on_from_any_of_its_steps(world: World) -> None:
    run = world.run(Flow("f", (work("a"), work("b", "a"), work("c", "b"))))
    for name in "abc":
        world.end(Token(run, name, None, 1))
    world.take(world.runs.again(world.state, world.record(run), "b"))
    assert world.running() == [Token(run, "b", None, 2)]
    world.end(Token(run, "b", None, 2))
    assert world.states(run) == {"a": "done", "b": "done", "c": "running"}


@pytest.mark.parametrize(
    ("item", "value", "name"),
    [(None, None, "a"), (0, 1, "a[1]"), (2, "north", "a[north]"), (2, {"x": 1}, "a[3]")],
)
def test_one_of_several_goes_by_what_it_is_run_for(item: Any, value: Any, name: str) -> None:
    assert name_of(StepRecord("a", item, "running", value=value)) == name


def test_what_comes_after_a_step_that_is_done_again_waits_for_it(world: World) -> None:
    run = world.run(Flow("f", (work("a"), asked("b", "a"), work("c", "b"))))
    world.end(Token(run, "a", None, 1))
    world.take(world.runs.cancel(world.state, world.record(run), "by hand"))
    world.take(world.runs.again(world.state, world.record(run), "a"))
    assert world.states(run) == {"a": "running"}
    world.end(Token(run, "a", None, 2))
    assert world.states(run) == {"a": "done", "b": "running"}


def test_of_two_that_ended_badly_the_later_one_waits_for_the_first(world: World) -> None:
    run = world.run(Flow("f", (work("a", on_failure="continue"), work("b", "a"))))
    world.end(Token(run, "a", None, 1), "failed")
    world.end(Token(run, "b", None, 1), "failed")
    world.take(world.runs.again(world.state, world.record(run), None))
    assert world.running() == [Token(run, "a", None, 2)]


def test_runs_share_the_places_of_a_step(world: World) -> None:
    flow = Flow("f", (work("a", concurrency=1),))
    first, second = world.run(flow), world.run(flow)
    assert world.running() == [Token(first, "a", None, 1)]
    world.end(Token(first, "a", None, 1))
    assert world.running() == [Token(second, "a", None, 1)]


def test_steps_of_other_flows_exclude_each_other_whichever_says_so(world: World) -> None:
    quiet = Flow("quiet", (work("run"),))
    loud = Flow("loud", (work("run", conflicts=(Conflict("quiet", "run"),)),))
    first = world.run(loud)
    second = world.run(quiet)
    assert world.running() == [Token(first, "run", None, 1)]
    world.end(Token(first, "run", None, 1))
    assert world.running() == [Token(second, "run", None, 1)]


@given(
    st.builds(
        Token, st.text("ab-", min_size=1), st.text("xy?@", min_size=1),
        st.none() | st.integers(0, 99), st.integers(1, 9),
    )
)  # fmt: skip
def test_a_token_that_is_written_and_read_is_the_same(token: Token) -> None:
    assert Token.parse(str(token)) == token


@pytest.mark.parametrize(
    "text", ["", "a", "a/b/c", "a/b/c/1", "a/b//x", "/b//1", "a///1", "a/b//" + "9" * 5000]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        Token.parse(text)


def test_a_store_that_was_put_together_anew_tells_its_runs_of_the_ends(world: World) -> None:
    world.flows["inner"] = Flow("inner", (asked("x"),))
    flow = Flow("f", (work("a"), work("b", "a"), work("c"), Step("d", SubFlow("inner"))))
    run = world.run(flow)
    jobs = {job.flow_step: job for job in world.state.jobs.values()}
    turn = Turn(world.state)
    end_job(turn, jobs[f"{run}/a//1"], "done", {"n": 1})  # and nobody tells the run
    gone = replace(jobs[f"{run}/c//1"], id="other", exit={}, state="lost")
    inner = replace(world.record(str(world.record(run).steps[("d", None)].job)), state="cancelled")
    world.store.commit([*turn.changes, JobPut(gone), FlowRunPut(inner)])
    world.store.commit([RowsRemoved(jobs=(jobs[f"{run}/c//1"].id,))])
    del world.runs._runs.by_id[inner.id]
    world.restart()
    world.tick(0.0)
    assert world.states(run)["a"] == "done"
    assert world.record(run).steps[("a", None)].gave == {"n": 1}
    assert world.states(run)["c"] == "failed"
    assert "nothing is known any more" in str(world.record(run).steps[("c", None)].reason)
    assert world.states(run)["d"] == "failed"


def said(number: int, kind: str = "success", note: str | None = None) -> MessageRecord:
    body = "source: crop\ntype: success\npayload: {rows: 7}\n"
    return MessageRecord(
        number, f"said{number}", "2026", "crop", kind, body, None, "c", "success", "decided",
        note=note,
    )  # fmt: skip


def test_a_message_begins_a_run_with_what_it_brings(world: World) -> None:
    triggers = (
        Trigger("message", {"message": "crop", "parameters": {"n": "{payload.rows}"}}, ""),
        Trigger("message", {"message": "crop", "type": "failure"}, ""),
        Trigger("message", {"message": "model"}, ""),
    )
    parameters = (Parameter("n", "whole", 1, required=False),)
    world.flows["f"] = Flow("f", (asked("a"),), parameters, triggers)
    turn = Turn(world.state)
    for record in (said(1), said(2, "other"), said(3, note="tried again as job 7")):
        turn.journalled[record.id] = record
    world.runs.follow(turn)
    world.take(Transition(turn.state, tuple(turn.changes)))
    (run,) = world.runs.open.values()
    assert (run.parameters, run.origin) == ({"n": 7}, "message 1, success of crop")
    assert [token.step for token in world.running()] == ["a"]


def test_a_message_that_lacks_a_value_begins_nothing_and_says_so(world: World) -> None:
    trigger = Trigger("message", {"message": "crop", "parameters": {"n": "{payload.lines}"}}, "")
    parameters = (Parameter("n", "whole", 1, required=False),)
    world.flows["f"] = Flow("f", (asked("a"),), parameters, (trigger,))
    turn = Turn(world.state)
    turn.journalled["m"] = said(1)
    world.runs.follow(turn)
    assert not world.runs.open
    assert "does not begin by message 1" in turn.notes[0].text
    assert "payload.lines has no value" in turn.notes[0].text


def test_the_end_of_a_flow_begins_another(world: World) -> None:
    settings_of_trigger = {"flow": "one", "parameters": {"n": "{steps.a.rows}"}}
    parameters = (Parameter("n", "whole", 1, required=False),)
    world.flows["two"] = Flow(
        "two", (asked("b"),), parameters, (Trigger("flow", settings_of_trigger, ""),)
    )
    run = world.run(Flow("one", (asked("a"),)))
    world.end(Token(run, "a", None, 1), gave={"rows": 5})
    (second,) = world.runs.open.values()
    assert (second.flow, second.parameters) == ("two", {"n": 5})
    failing = world.run(Flow("one", (asked("a"),)))
    world.end(Token(failing, "a", None, 1), "failed")
    assert list(world.runs.open) == [second.id]


def test_runs_that_ended_long_ago_are_cleaned_away_with_what_only_they_follow(
    world: World,
) -> None:
    old, new = Flow("f", (asked("a"),)), Flow("f", (asked("b"),))
    ended, kept, still_open = world.run(old), world.run(new), world.run(new)
    world.end(Token(ended, "a", None, 1))
    world.seconds += 30.0
    world.end(Token(kept, "b", None, 1))
    message = said(1)
    world.store.commit([MessageReceived(message)])
    before = "2026-11-22T00:00:01020.000Z"
    pruner = Pruner(world.store.path, Prunable(before, 0, 0))
    while (rows := pruner.batch(100)) is not None:
        world.store.commit([rows])
    pruner.close()
    assert world.store.flow_run(ended) is None
    assert world.store.flow_definition(old.digest) is None
    assert world.store.flow_run(kept) is not None
    assert world.store.flow_run(still_open) is not None


def test_no_token_counts_twice_whatever_is_done_again(world: World) -> None:
    run = world.run(Flow("f", (asked("a"), asked("b", "a"))))
    world.end(Token(run, "a", None, 1))
    world.end(Token(run, "b", None, 1), "failed")
    world.take(world.runs.again(world.state, world.record(run), "a"))
    assert world.running() == [Token(run, "a", None, 2)]
    world.end(Token(run, "a", None, 2))
    (second,) = world.running()
    assert second.attempt > 1, "the word on its first attempt was given long ago"
    world.end(Token(run, "b", None, 1))
    assert world.running() == [second]


def test_what_is_done_again_by_order_has_all_its_tries(world: World) -> None:
    run = world.run(Flow("f", (work("a", retry=Retry(2, 0.0, 1.0, ANY)),)))
    for attempt in (1, 2):
        world.end(Token(run, "a", None, attempt), "failed")
    assert world.record(run).state == "failed"
    world.take(world.runs.again(world.state, world.record(run), None))
    world.end(Token(run, "a", None, 3), "failed")
    assert world.running() == [Token(run, "a", None, 4)]
