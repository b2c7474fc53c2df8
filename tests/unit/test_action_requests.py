"""Requests about actions: call one, and end a step that waits for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flow_world import action
from nowcast_cli.flows.definition import Flow
from nowcast_cli.manager import flow_requests
from nowcast_cli.manager.requests import RequestError
from performer_world import ActionWorld, Performer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ActionWorld]:
    world = ActionWorld(tmp_path, mapped={"?A?work": "m.f", "?A@ASYNC?ask": "m.g"})
    yield world
    world.store.close()


@pytest.fixture
def host(world: ActionWorld) -> Performer:
    host = world.start("action_workers", takes=5)
    exchange(world)
    return host


def exchange(world: ActionWorld) -> None:
    world.turn()
    world.deliver()


def call(world: ActionWorld, **payload: Any) -> str:
    step = flow_requests.call(world.state, world.runs, payload, world.desk.directory)
    world.take(step)
    assert step.reply is not None
    exchange(world)
    return str(step.reply.payload["run"])


def test_a_call_is_a_run_of_one_step_with_these_very_values(
    world: ActionWorld, host: Performer
) -> None:
    values = {"place": {"name": "Tofino"}, "hours": [1, 2], "none": None}
    run = call(world, key="?A?work", values=values, origin="a test")
    (order,) = host.in_hand.values()
    assert (order.values, order.implied, order.flow) == (values, False, "?A?work")
    world.restart()
    world.ask_hello()
    exchange(world)
    world.begin_order(host)
    world.end_order(host, "done", 7)
    exchange(world)
    record = world.record(run)
    assert (record.state, record.origin) == ("done", "a test")
    assert record.steps[("call", None)].gave == 7


def test_calls_with_the_same_names_follow_one_definition(
    world: ActionWorld, host: Performer
) -> None:
    runs = [call(world, key="?A?work", values={"x": x}) for x in (1, "{no placeholder}")]
    first, second = (world.record(run) for run in runs)
    assert first.digest == second.digest
    assert [order.values["x"] for order in host.in_hand.values()] == [1, "{no placeholder}"]


def test_nothing_is_remembered_of_the_time_that_a_call_was_given(
    world: ActionWorld, host: Performer
) -> None:
    for seconds in (7.5, 7.25):
        call(world, key="?A?work", seconds=seconds)
        world.begin_order(host)
        world.end_order(host, "done", None)
        exchange(world)
    assert not world.runs.open
    assert not world.runs._runs._definitions


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "the request has no 'key'"),
        ({"key": "nonsense"}, "the action key 'nonsense' has no question mark"),
        ({"key": "?N?work"}, "nobody carries out ?N?work"),
        ({"key": "?A?work", "values": [1]}, "are names with values"),
        ({"key": "?A?work", "values": {"a b": 1}}, "'a b' is no name of a value"),
        ({"key": "?A?work", "seconds": 0}, "are a number above 0"),
        ({"key": "?A?work", "seconds": 10**400}, "are a number above 0"),
        ({"key": "?A?work", "seconds": float("inf")}, "are a number above 0"),
        ({"key": "?A?work", "seconds": float("nan")}, "are a number above 0"),
    ],
)
def test_a_call_that_cannot_be_is_refused(
    world: ActionWorld, payload: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError) as error:
        flow_requests.call(world.state, world.runs, payload, world.desk.directory)
    assert words in error.value.what


def test_a_call_that_is_nobodys_may_be_told_or_be_ended_from_outside(world: ActionWorld) -> None:
    assert world.record(call(world, key="?N@PUBLISH?tell")).state == "done"
    assert world.record(call(world, key="?N@ASYNC?ask")).state == "running"


def test_only_a_step_that_waits_for_it_is_ended_from_outside(
    world: ActionWorld, host: Performer
) -> None:
    run = world.run(Flow("f", (action("?A?work", "a"), action("?A@ASYNC?ask", "b"))))
    exchange(world)

    def complete(step: str) -> None:
        payload = {"token": f"{run}/{step}//1", "result": {"by": "Susan"}}
        world.take(flow_requests.complete(world.state, world.runs, payload, world.store.flow_run))

    complete("b")
    assert world.states(run) == {"a": "running", "b": "done"}
    with pytest.raises(RequestError) as error:
        complete("a")
    assert error.value.what == "step a is ended by who carries it out, not from outside"
