"""Generated flows, whose steps end in any order and way, with restarts between."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flow_world import ANY, World, asked, work
from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.definition import (
    Conflict,
    Flow,
    Parameter,
    Step,
    ancestors,
)
from nowcast_cli.store.flow_records import (
    ENDED_WELL,
    OPEN,
    FlowRunRecord,
)


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
        stand_ins = flow.stand_ins
        assert all(name in stand_ins or ancestors(flow, name) & stand_ins for name in never)
    for name in fatal:
        stand_in = flow.step(name).on_failure
        if stand_in != "fail" and not flow.step(stand_in).after:
            assert any(step == stand_in for step, _ in run.steps)
