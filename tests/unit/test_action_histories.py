"""Generated histories of runs with actions: whatever dies, comes twice or late, each ends once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flow_world import ANY, action
from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.definition import Flow, Step
from nowcast_cli.messages.performing import MAPPING, Done, Result
from nowcast_cli.store.flow_records import OPEN
from performer_world import ActionWorld

MAPPED = {"?A?work": "m.f", "?A@PUBLISH?tell": "m.g", "?A@ASYNC?ask": "m.h"}
OWNED = {"?S?work": "ingest", "?S@PUBLISH?tell": "ingest", "?S@ASYNC?ask": "ingest"}
KEYS = [*MAPPED, *OWNED, "?N@PUBLISH?tell", "?N@ASYNC?ask"]
HAPPENINGS = [
    "turn", "turn", "turn", "deliver", "deliver", "deliver", "begin", "begin", "begin", "end",
    "end", "end", "repeat", "other payload", "kill performer", "freeze", "kill broker",
    "kill manager", "kill manager before it acts", "complete", "cancel", "wait",
]  # fmt: skip


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    steps: list[Step] = []
    names = "abcd"[: draw(st.integers(1, 4))]
    for index, name in enumerate(names):
        tries = draw(st.sampled_from([1, 1, 2]))
        steps.append(
            action(
                draw(st.sampled_from(KEYS)),
                name,
                *(other for other in names[:index] if draw(st.booleans())),
                for_each=draw(st.sampled_from([None, None, 3])),
                concurrency=draw(st.sampled_from([None, 1])),
                retry=Retry(tries, 0.0, 1.0, ANY) if tries > 1 else None,
            )
        )
    return Flow("f", tuple(steps))


@settings(max_examples=120, deadline=None)
@given(flows(), st.data())
def test_each_attempt_is_given_once_and_each_run_ends_once(flow: Flow, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = ActionWorld(Path(folder), mapped=MAPPED, owned=OWNED)
        try:
            History(world, flow, data).go()
        finally:
            world.store.close()


class History:
    """One history; what has ended is noted, and never changes."""

    def __init__(self, world: ActionWorld, flow: Flow, data: st.DataObject) -> None:
        self.world = world
        self.data = data
        self.flow = flow
        self.done: dict[tuple[str, str, int | None], tuple[int, Any]] = {}
        self.ended: dict[str, tuple[str, str | None]] = {}

    def go(self) -> None:
        world = self.world
        self.start("action_workers")
        self.start("ingest")
        self.runs = [world.run(self.flow) for _ in range(self.data.draw(st.integers(1, 3)))]
        for _ in range(self.data.draw(st.integers(0, 60))):
            self.happen(self.data.draw(st.sampled_from(HAPPENINGS)))
            self.check()
        world.work_off()
        self.check()
        assert not world.runs.open, "a run does not come to its end"
        assert set(self.ended) == set(self.runs)
        assert not +world.runs._runs.running
        for performer in world.performers.values():
            assert not performer.kept, "a result is never acknowledged"
        self.check_events()

    def start(self, name: str) -> None:
        serves = MAPPING if name == "action_workers" else ()
        self.world.start(name, serves, takes=self.data.draw(st.integers(1, 3)))

    def happen(self, what: str) -> None:
        world, draw = self.world, self.data.draw
        performer = world.performers[draw(st.sampled_from(["action_workers", "ingest"]))]
        match what:
            case "turn":
                world.turn()
            case "deliver":
                world.deliver()
            case "begin":
                world.begin_order(performer)
            case "end":
                state = draw(st.sampled_from(["done", "done", "done", "failed", "lost"]))
                world.end_order(performer, state, {"n": draw(st.integers(0, 9))})
            case "repeat":
                if performer.kept:
                    world.say(performer, Done(tuple(performer.kept.values())))
            case "other payload":
                for order in list(world.said)[:1]:
                    world.said[order].append({"other": True})
                    world.say(performer, Done((Result(order, "done", {"other": True}),)))
            case "kill performer":
                if draw(st.booleans()):
                    world.gone(performer)
                self.start(performer.name)
            case "freeze":
                world.gone(performer)
                world.say(performer, performer.hello())
            case "kill broker":
                world.lose_wires()
                world.ask_hello()
            case "kill manager":
                self.kill_manager()
            case "kill manager before it acts":
                world.turn(acts=False)
                self.kill_manager()
            case "complete":
                self.complete()
            case "cancel":
                if world.runs.open and draw(st.integers(0, 3)) == 0:
                    run = world.runs.open[draw(st.sampled_from(sorted(world.runs.open)))]
                    world.take(world.runs.cancel(world.state, run, "by hand"))
            case "wait":
                world.tick(1.0)

    def kill_manager(self) -> None:
        self.world.restart()
        self.world.ask_hello()

    def complete(self) -> None:
        world = self.world
        running = [
            token
            for token in world.running()
            if "@ASYNC" in str(self.flow.step(token.step).does.key)  # type: ignore[union-attr]
        ]
        if running:
            token = self.data.draw(st.sampled_from(running))
            world.said.setdefault(str(token), []).append({"by": "Susan"})
            world.take(world.runs.complete(world.state, token, "done", {"by": "Susan"}, ""))

    def check(self) -> None:
        """What holds at any time."""
        world = self.world
        for run_id in self.runs:
            run = world.record(run_id)
            if run.state != "running":
                assert self.ended.setdefault(run_id, (run.state, run.ended)) == (
                    run.state, run.ended
                )  # fmt: skip
                assert not any(record.state in OPEN for record in run.steps.values())
            for (step, item), record in run.steps.items():
                if record.state == "done":
                    key = (run_id, step, item)
                    taken = (record.attempt, record.gave)
                    assert self.done.setdefault(key, taken) == taken, "a result is taken twice"
                    self.check_gave(run_id, step, item, record.attempt, record.gave)

    def check_gave(self, run: str, step: str, item: int | None, attempt: int, gave: Any) -> None:
        """What a step gave is what was said of this very attempt."""
        key = str(self.flow.step(step).does.key)  # type: ignore[union-attr]
        token = f"{run}/{step}/{'' if item is None else item}/{attempt}"
        if key in ("?N@PUBLISH?tell", "?N@ASYNC?ask"):
            return
        assert gave in self.world.said.get(token, [{"late": True}]), token

    def check_events(self) -> None:
        """Each step that publishes and is done has one event, and no other step has any."""
        published = [
            (key[1], taken[0])
            for key, taken in self.done.items()
            if "@PUBLISH" in str(self.flow.step(key[1]).does.key)  # type: ignore[union-attr]
        ]
        assert len(self.world.events) == len(published)
