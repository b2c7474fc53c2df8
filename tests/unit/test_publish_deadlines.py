"""Events for the service that owns their key: how long they wait for it, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flow_world import action
from nowcast_cli.flows.definition import Flow
from nowcast_cli.messages.performing import Answer, Ask, to_performer
from nowcast_cli.store.flow_records import StepRecord
from performer_world import ActionWorld, Performer

TELL = "?S@PUBLISH?tell"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ActionWorld]:
    world = ActionWorld(tmp_path, owned={TELL: "ingest"})
    yield world
    world.store.close()


def service(world: ActionWorld) -> Performer:
    performer = world.start("ingest", (), takes=1)
    exchange(world)
    assert performer.welcomed
    return performer


def exchange(world: ActionWorld) -> None:
    world.turn()
    world.deliver()


def run(world: ActionWorld) -> str:
    run_id = world.run(Flow("f", (action(TELL, "tell", timeout=5.0),)))
    exchange(world)
    return run_id


def step(world: ActionWorld, run_id: str) -> StepRecord:
    return world.record(run_id).steps[("tell", None)]


def end_one(world: ActionWorld, owner: Performer) -> None:
    world.begin_order(owner)
    world.end_order(owner, "done", {})
    exchange(world)


def test_an_event_waits_for_room_with_an_owner_that_is_there(world: ActionWorld) -> None:
    owner = service(world)
    first, second = run(world), run(world)
    for _ in range(5):
        world.tick(6.0)
        assert [step(world, each).state for each in (first, second)] == ["running", "running"]
    end_one(world, owner)
    end_one(world, owner)
    assert [step(world, each).state for each in (first, second)] == ["done", "done"]
    assert step(world, second).attempt == 1


def test_an_owner_that_was_busy_and_is_gone_by_the_next_deadline_is_no_consumer(
    world: ActionWorld,
) -> None:
    owner = service(world)
    run(world)
    second = run(world)
    world.tick(6.0)
    world.gone(owner)
    exchange(world)
    assert step(world, second).state == "running"
    world.tick(6.0)
    record = step(world, second)
    assert record.state == "failed"
    assert str(record.reason).startswith("no-consumer: ingest, which owns ?S@PUBLISH?tell, was not")


def test_a_manager_that_was_down_over_the_deadline_waits_for_owners_to_say_hello(
    world: ActionWorld,
) -> None:
    owner = service(world)
    in_hand, waits = run(world), run(world)
    (order,) = owner.in_hand
    world.begin_order(owner)
    world.seconds += 60.0
    world.restart()
    world.tick(0.1)
    assert [step(world, each).state for each in (in_hand, waits)] == ["running", "running"]
    world.say(owner, owner.hello())
    exchange(world)
    world.end_order(owner, "done", {})
    exchange(world)
    assert isinstance(world.said[order][0], dict)
    assert (step(world, in_hand).state, step(world, in_hand).attempt) == ("done", 1)
    exchange(world)
    end_one(world, owner)
    assert step(world, waits).state == "done"


def test_an_owner_that_says_no_hello_to_a_new_manager_is_no_consumer(world: ActionWorld) -> None:
    service(world)
    run_id = run(world)
    world.seconds += 60.0
    world.restart()
    world.tick(0.1)
    assert step(world, run_id).state == "running"
    world.tick(11.0)
    assert str(step(world, run_id).reason).startswith("no-consumer")


def test_an_ask_for_which_there_is_no_room_in_time_says_so(world: ActionWorld) -> None:
    owner = service(world)
    run(world)
    world.say(owner, Ask("ask-1", TELL, {}, 5.0))
    exchange(world)
    world.seconds += 6.0
    world.turn()
    words = [to_performer(frames) for _, frames in world.to_performers]
    (answer,) = [word for word in words if isinstance(word, Answer)]
    assert (answer.state, answer.reason) == ("failed", f"there was no room in time for {TELL}")
