"""Runs of flows: generated flows, whose steps end in any order and way, with restarts between."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.config.job_settings import Retry
from nowcast_cli.config.registry import registry_of
from nowcast_cli.errors import NotFound
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.advance import name_of
from nowcast_cli.flows.definition import (
    Action,
    Conflict,
    Flow,
    Parameter,
    Step,
    SubFlow,
    Trigger,
    Work,
    ancestors,
)
from nowcast_cli.flows.tokens import BadToken, Token
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.flow_runs import LONGEST_WAIT, FlowRuns, Outside
from nowcast_cli.manager.state import State
from nowcast_cli.manager.state import Step as Transition
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import (
    ENDED_WELL,
    OPEN,
    FlowRunPut,
    FlowRunRecord,
    FlowStepPut,
    StepRecord,
)
from nowcast_cli.store.pruning import Prunable, Pruner
from nowcast_cli.store.records import (
    Delay,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    RowsRemoved,
)

ANY = frozenset({"crash", "failure", "lost"})


@dataclass
class World:
    """A store, the runs on it, and a clock that the test sets."""

    folder: Path
    flows: dict[str, Flow] = field(default_factory=dict)
    seconds: float = 1000.0
    state: State = field(default_factory=State)
    ended: dict[str, FlowRunRecord] = field(default_factory=dict)
    begun: list[tuple[str, str, int | None, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = count(1)
        self.store = Store(self.folder / "nowcast.db")
        self.runs = self._runs()

    def _runs(self) -> FlowRuns:
        outside = Outside(
            now=lambda: f"2026-11-22T00:00:{self.seconds:09.3f}Z",
            today=lambda: date(2026, 11, 22),
            uptime=lambda: Uptime("boot", self.seconds),
            new_id=lambda: f"id-{next(self._ids):06}",
            module_of=self._module_of,
            flow_named=self._named,
            flows=self.flows.values,
        )
        return FlowRuns(self.store, registry_of({}), outside)

    def _module_of(self, worker: str) -> str:
        if worker == "nowhere":
            raise NotFound("there is no worker nowhere")
        return f"workers.{worker}"

    def _named(self, name: str) -> Flow:
        if name not in self.flows:
            raise NotFound(f"there is no flow {name!r}")
        return self.flows[name]

    def restart(self) -> None:
        """Go on as a manager that was killed would: from the store alone."""
        self.store.close()
        self.store = Store(self.folder / "nowcast.db")
        jobs = {job.id: job for job in self.store.open_jobs()}
        self.state = State(jobs=jobs, last_message=self.store.last_number())
        before = self.runs.open
        self.runs = self._runs()
        assert self.runs.open == before

    def take(self, step: Transition) -> None:
        self.store.commit(step.changes)
        self.state = step.state
        for change in step.changes:
            if isinstance(change, FlowStepPut) and change.step.state == "running":
                record = change.step
                self.begun.append((change.run, record.step, record.item, record.attempt))

    def run(self, flow: Flow, **given_values: Any) -> str:
        step, run = self.runs.begin(self.state, flow, given_values, "a test")
        self.take(step)
        return run.id

    def record(self, run_id: str) -> FlowRunRecord:
        found = self.runs.open.get(run_id) or self.store.flow_run(run_id)
        assert found is not None
        return found

    def states(self, run_id: str) -> dict[str, str]:
        return {
            record.step + ("" if record.item is None else str(record.item)): record.state
            for record in self.record(run_id).steps.values()
        }

    def running(self) -> list[Token]:
        return [
            Token(run.id, record.step, record.item, record.attempt)
            for run in self.runs.open.values()
            for record in run.steps.values()
            if record.state == "running"
        ]

    def end(self, token: Token, state: str = "done", gave: Any = None) -> None:
        """Say how an attempt ended: by its job where it is one, from outside else."""
        record = self.record(token.run).steps[(token.step, token.item)]
        job = self.state.jobs.get(record.job or "")
        if job is None:
            word: Any = "done" if state == "done" else "failed"
            self.take(self.runs.complete(self.state, token, word, gave, "said so"))
            return
        turn = Turn(self.state)
        end_job(turn, job, state, gave)
        self.runs.follow(turn)
        self.take(Transition(turn.state, tuple(turn.changes)))

    def tick(self, seconds: float) -> None:
        self.seconds += seconds
        turn = Turn(self.state)
        self.runs.follow(turn)
        self.take(Transition(turn.state, tuple(turn.changes)))


def end_job(turn: Turn, job: JobRecord, state: str, gave: Any) -> None:
    number = turn.state.last_message + 1
    body = f"source: w\ntype: success\npayload: {gave!r}\n" if gave is not None else None
    message = MessageRecord(
        number, f"m{number}", "2026", job.worker, "success", body, job.id, job.chain, "success",
        "decided",
    )  # fmt: skip
    words: Any = {"done": "succeeded", "failed": "failed"}.get(state, state)
    ended = replace(job, state=words, exit={}, final_message=number, reason="because")
    rest = {key: each for key, each in turn.state.jobs.items() if key != job.id}
    turn.add(
        Transition(
            replace(turn.state, jobs=rest, last_message=number),
            (MessageReceived(message), JobPut(ended)),
            journalled=message,
        )
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def work(name: str, *after: str, **more: Any) -> Step:
    return Step(name, Work("w", more.pop("arguments", ())), after, **more)


def asked(name: str, *after: str, **more: Any) -> Step:
    return Step(name, Action(ActionKey.parse(f"?A@ASYNC?{name}")), after, **more)


# --- generated runs


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    names = "abcdef"[: draw(st.integers(1, 6))]
    steps: list[Step] = []
    for index, name in enumerate(names):
        after = tuple(other for other in names[:index] if draw(st.booleans()))
        does = draw(st.sampled_from(["work", "ask"]))
        tries = draw(st.sampled_from([1, 1, 2, 3]))
        failure = draw(st.sampled_from(["fail", "fail", "continue", names[-1]]))
        step = (work if does == "work" else asked)(
            name,
            *after,
            for_each=draw(st.sampled_from([None, None, 0, 2, [5, 6, 7]])),
            when=draw(st.sampled_from([None, None, None, "1 > 2", "n == 3"])),
            concurrency=draw(st.sampled_from([None, None, 1, 2])),
            retry=Retry(tries, draw(st.sampled_from([0.0, 5.0])), 1.0, ANY) if tries > 1 else None,
            on_failure=failure if failure != name else "fail",
            conflicts=tuple(
                Conflict("f", other) for other in names[:index] if draw(st.integers(0, 5)) == 0
            ),
        )
        steps.append(step)
    return Flow("f", tuple(steps), (Parameter("n", "whole", 3, required=False),))


@settings(max_examples=60, deadline=None)
@given(flows(), st.data())
def test_every_run_ends_once_and_each_step_in_its_turn(flow: Flow, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        run_ids = [world.run(flow) for _ in range(data.draw(st.integers(1, 2)))]
        for _ in range(400):
            check(world, flow, run_ids)
            running = world.running()
            if not world.runs.open:
                break
            if data.draw(st.integers(0, 9)) == 0:
                world.restart()
            if not running:
                world.tick(5.0)
                continue
            state = data.draw(st.sampled_from(["done", "done", "failed"]))
            world.end(data.draw(st.sampled_from(running)), state)
        assert not world.runs.open, "a run does not come to its end"
        for run_id in run_ids:
            check_end(flow, world.record(run_id))
        assert len(world.begun) == len(set(world.begun)), "an attempt has begun twice"
        assert not +world.runs._runs.running
        world.store.close()


def check(world: World, flow: Flow, run_ids: list[str]) -> None:
    """What holds at any time."""
    at_once = Counter(token.step for token in world.running())
    for step in flow.steps:
        if step.concurrency is not None:
            assert at_once[step.name] <= step.concurrency
        for conflict in step.conflicts:
            assert not (at_once[step.name] and at_once[conflict.step])
    for run_id in run_ids:
        records = world.record(run_id).steps.values()
        by_step: dict[str, list[str]] = {}
        for record in records:
            by_step.setdefault(record.step, []).append(record.state)
        for name in by_step:
            for before in flow.step(name).after:
                over = all(state not in OPEN for state in by_step.get(before, ["waiting"]))
                well = all(state in ENDED_WELL for state in by_step.get(before, ["waiting"]))
                assert well or (over and flow.step(before).on_failure == "continue")
        for record in records:
            retry = flow.step(record.step).retry
            assert record.attempt <= (1 if retry is None else retry.tries)


def check_end(flow: Flow, run: FlowRunRecord) -> None:
    """What holds of a run that has ended."""
    assert run.state in ("done", "failed")
    assert not any(record.state in OPEN for record in run.steps.values())
    bad = {record.step for record in run.steps.values() if record.state == "failed"}
    fatal = {name for name in bad if flow.step(name).on_failure != "continue"}
    assert (run.state == "failed") == bool(fatal)
    if not bad:
        never = {step.name for step in flow.steps} - {step for step, _ in run.steps}
        stand_ins = flow.stand_ins()
        assert all(name in stand_ins or ancestors(flow, name) & stand_ins for name in never)
    for name in fatal:
        stand_in = flow.step(name).on_failure
        if stand_in != "fail" and not flow.step(stand_in).after:
            assert any(step == stand_in for step, _ in run.steps)


# --- one by one


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
    assert set(world.states(run).values()) == {"failed"} or world.record(run).state == "failed"


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
    assert (cancelled.state, cancelled.reason) == ("cancelled", "it took longer than its timeout")


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


@pytest.mark.parametrize("text", ["", "a", "a/b/c", "a/b/c/1", "a/b//x", "/b//1", "a///1"])
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
