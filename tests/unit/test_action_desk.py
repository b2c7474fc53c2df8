"""Orders of steps, asks and their performers: what the desk gives, and what ends make of a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flow_world import action
from nowcast_cli.config.registry import registry_of
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.action_mapping import ActionMapping, Component
from nowcast_cli.flows.advance import MOST_LOST
from nowcast_cli.flows.definition import Flow, Parameter, Step, SubFlow
from nowcast_cli.flows.owners import Owners
from nowcast_cli.manager.action_desk import NEW
from nowcast_cli.manager.action_directory import PATIENCE_WITH_SERVICES
from nowcast_cli.messages.performing import (
    Answer,
    Ask,
    Done,
    Progress,
    Result,
    frames_of,
    to_performer,
)
from nowcast_cli.store.flow_records import StepRecord
from performer_world import ActionWorld, Performer

MAPPED = {"?A?work": "m.f", "?A@PUBLISH?tell": "m.g", "?A@ASYNC?ask": "m.h"}
OWNED = {"?S?work": "ingest", "?S@PUBLISH?tell": "ingest", "?S@ASYNC?ask": "ingest"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ActionWorld]:
    world = ActionWorld(tmp_path, mapped=MAPPED, owned=OWNED)
    yield world
    world.store.close()


def host(world: ActionWorld, takes: int = 2) -> Performer:
    return meet(world, world.start("action_workers", takes=takes))


def service(world: ActionWorld, *serves: str) -> Performer:
    return meet(world, world.start("ingest", serves))


def meet(world: ActionWorld, performer: Performer) -> Performer:
    world.turn()
    world.deliver()
    assert performer.welcomed
    return performer


def run(world: ActionWorld, *steps: Step, **values: Any) -> str:
    parameters = tuple(Parameter(name, "text") for name in values)
    run_id = world.run(Flow("f", steps, parameters), **values)
    exchange(world)
    return run_id


def exchange(world: ActionWorld) -> None:
    world.turn()
    world.deliver()


def do(world: ActionWorld, performer: Performer, state: str = "done", gave: Any = None) -> None:
    """Have the next order carried out, and its end taken in."""
    world.begin_order(performer)
    world.end_order(performer, state, gave)
    exchange(world)


def step(world: ActionWorld, run_id: str, name: str = "a") -> StepRecord:
    return world.record(run_id).steps[(name, None)]


def test_the_message_that_travels_is_overlaid_by_what_steps_gave(world: ActionWorld) -> None:
    there = host(world)
    run_id = run(
        world, action("?A?work", "a"), action("?A?work", "b", "a"),
        action("?A?work", "c", "b", values={"only": "{b.y}"}), x="1", y="2",
    )  # fmt: skip
    (first,) = there.in_hand.values()
    assert (first.values, first.implied, first.component) == ({"x": "1", "y": "2"}, True, "m.f")
    assert (first.run, first.flow, first.step, first.attempt) == (run_id, "f", "a", 1)
    do(world, there, gave={"y": "3", "z": 4})
    (second,) = there.in_hand.values()
    assert second.values == {"x": "1", "y": "3", "z": 4}
    do(world, there, gave={"y": 5})
    (third,) = there.in_hand.values()
    assert (third.values, third.implied) == ({"only": 5}, False)
    do(world, there, gave="a text")
    assert world.record(run_id).state == "done"


def test_an_order_waits_for_room_and_no_time_is_counted(world: ActionWorld) -> None:
    run_id = run(world, action("?A?work", "a", for_each=3, timeout=1.0))
    world.tick(1000.0)
    assert set(world.states(run_id).values()) == {"running"}
    there = host(world, takes=2)
    assert len(there.in_hand) == 2
    assert [order.seconds for order in there.in_hand.values()] == [1.0, 1.0]
    (told,) = [
        order
        for order in world.desk.told(str(token) for token in world.running()).values()
        if order["where"] == "waiting"
    ]
    assert (told["performer"], told["there"], told["takes"]) == ("action_workers", True, 2)
    for _ in range(3):
        do(world, there)
    assert world.record(run_id).state == "done"


def test_a_result_ends_a_step_and_its_traceback_is_kept(world: ActionWorld) -> None:
    there = host(world)
    run_id = run(world, action("?A?work", "a"))
    (order,) = there.in_hand
    world.say(there, Done((Result(order, "failed", reason="it broke", traceback="line 3"),)))
    world.turn()
    record = step(world, run_id)
    assert (record.state, record.reason, record.traceback) == ("failed", "it broke", "line 3")
    again = world.store.flow_run(run_id)
    assert again is not None
    assert again.steps[("a", None)].traceback == "line 3"


def test_an_action_that_ends_its_worker_each_time_fails_in_the_end(world: ActionWorld) -> None:
    there = host(world)
    run_id = run(world, action("?A?work", "a"))
    for _ in range(MOST_LOST):
        assert step(world, run_id).state == "running"
        do(world, there, "lost")
    assert step(world, run_id).state == "failed"
    assert step(world, run_id).attempt == MOST_LOST


def test_an_attempt_that_dies_with_its_host_is_no_try_one_that_dies_with_a_service_is(
    world: ActionWorld,
) -> None:
    here, there = run(world, action("?A?work", "a")), run(world, action("?S?work", "a"))
    for _ in range(MOST_LOST + 2):
        host(world)
        service(world)
    assert step(world, here).state == "running"
    assert (step(world, here).attempt, step(world, here).tried) == (MOST_LOST + 2, 1)
    assert step(world, there).state == "failed"


def test_what_is_published_is_an_event_of_the_commit_that_ends_the_step(
    world: ActionWorld,
) -> None:
    there, owner = host(world), service(world)
    run(world, action("?A@PUBLISH?tell", "a", values={"x": 1}))
    assert not world.events
    do(world, there, gave={"said": 2})
    run(world, action("?S@PUBLISH?tell", "a", values={"x": 3}))
    do(world, owner, gave={"taken": True})
    run(world, action("me?N@PUBLISH?tell", "a", values={"x": 4}))
    assert [event.topic for event in world.events] == [
        "f~PUBLISH~~A~tell", "f~PUBLISH~~S~tell", "f~PUBLISH~me~N~tell"
    ]  # fmt: skip
    assert [event.payload for event in world.events] == [{"said": 2}, {"x": 3}, {"x": 4}]


def test_what_nobody_takes_in_time_has_no_consumer(world: ActionWorld) -> None:
    run_id = run(world, action("?S@PUBLISH?tell", "a", timeout=5.0))
    world.tick(4.0)
    assert step(world, run_id).state == "running"
    world.tick(2.0)
    record = step(world, run_id)
    assert (record.state, str(record.reason)[:13]) == ("failed", "no-consumer: ")
    owner = service(world)
    assert not owner.in_hand, "nobody wants it any more"
    assert not world.events


def test_an_owner_that_has_it_counts_its_time_itself(world: ActionWorld) -> None:
    owner = service(world)
    run_id = run(world, action("?S@PUBLISH?tell", "a", timeout=5.0))
    world.tick(6.0)
    assert step(world, run_id).state == "running"
    do(world, owner, "timed out")
    assert step(world, run_id).state == "timed out"


def test_what_a_component_gives_does_not_end_a_step_that_waits_for_a_word(
    world: ActionWorld,
) -> None:
    there = host(world)
    run_id = run(world, action("?A@ASYNC?ask", "a"))
    (order,) = there.in_hand.values()
    assert order.asynchronous
    do(world, there, gave={"n": 1})
    assert step(world, run_id).state == "running"
    world.restart()
    meet(world, world.start("action_workers"))
    assert (step(world, run_id).state, step(world, run_id).attempt) == ("running", 1)
    world.end(world.running()[0], gave={"by": "Susan"})
    assert step(world, run_id).gave == {"by": "Susan"}


def test_a_word_may_come_before_the_component_has_returned_or_been_called(
    world: ActionWorld,
) -> None:
    early = run(world, action("?A@ASYNC?ask", "a"))
    world.end(world.running()[0], gave={"by": "Susan"})
    assert step(world, early).state == "done"
    there = host(world)
    assert not there.in_hand
    run_id = run(world, action("?A@ASYNC?ask", "a"))
    world.begin_order(there)
    world.end(world.running()[0], gave={"by": "Bob"})
    world.end_order(there, "failed", None)
    exchange(world)
    assert step(world, run_id).gave == {"by": "Bob"}
    assert not there.kept


def test_an_exception_of_the_component_fails_a_step_that_waits(world: ActionWorld) -> None:
    there = host(world)
    run_id = run(world, action("?A@ASYNC?ask", "a"))
    do(world, there, "failed")
    assert step(world, run_id).state == "failed"


def test_to_cancel_a_run_withdraws_its_orders(world: ActionWorld) -> None:
    there = host(world, takes=1)
    run_id = run(world, action("?A?work", "a", for_each=2))
    world.begin_order(there)
    world.take(world.runs.cancel(world.state, world.runs.open[run_id], "by hand"))
    exchange(world)
    assert not there.in_hand
    other = run(world, action("?A?work", "a"))
    assert [order.run for order in there.in_hand.values()] == [other]


@pytest.mark.parametrize("key", ["?N?work", "?N@PUBLISH?tell"])
def test_a_service_that_has_not_said_hello_may_own_what_nobody_does(
    tmp_path: Path, key: str
) -> None:
    world = ActionWorld(tmp_path, services=("ingest",))
    run_id = run(world, action(key, "a"))
    assert step(world, run_id).performer == ""
    world.restart()
    owner = service(world, key)
    exchange(world)
    assert [order.id for order in owner.in_hand.values()] == [f"{run_id}/a//1"]
    world.store.close()


def test_when_all_have_said_hello_what_is_nobodys_fails_in_a_sentence(tmp_path: Path) -> None:
    world = ActionWorld(tmp_path, services=("ingest",))
    run_id = run(world, action("?N?work", "a"))
    told = run(world, action("?N@PUBLISH?tell", "a"))
    assert step(world, run_id).state == "running"
    world.tick(PATIENCE_WITH_SERVICES + 0.1)
    assert step(world, run_id).reason is not None
    assert "actions.ini does not map it, and no service owns it" in str(step(world, run_id).reason)
    assert step(world, told).state == "done"
    world.store.close()


def test_what_waits_goes_to_who_is_configured_for_it_by_now(world: ActionWorld) -> None:
    there = host(world, takes=1)
    run_id = run(world, action("?S?work", "a", for_each=2))
    other = run(world, action("?A?work", "a", for_each=2))
    (in_hand,) = there.in_hand
    mapped = {ActionKey.parse("?S?work"): Component("m.f")}
    world.desk.directory.use(ActionMapping(mapped), Owners(), ())
    world.runs.use(registry_of({}))
    exchange(world)
    states = world.states(run_id)
    assert set(states.values()) == {"running"}
    assert {r.performer for r in world.record(run_id).steps.values()} == {"action_workers"}
    assert {r.attempt for r in world.record(run_id).steps.values()} == {1}
    assert list(there.in_hand) == [in_hand], "what is in hand goes on"
    assert sorted(world.states(other).values()) == ["failed", "running"]
    for _ in range(3):
        do(world, there)
    assert world.record(run_id).state == "done"


def test_what_a_service_may_have_that_is_configured_no_more_is_lost(world: ActionWorld) -> None:
    owner = service(world)
    run_id = run(world, action("?S?work", "a"))
    assert owner.in_hand
    world.restart()
    there = host(world)
    mapped = {ActionKey.parse("?S?work"): Component("m.f")}
    world.desk.directory.use(ActionMapping(mapped), Owners(), ())
    world.runs.use(registry_of({}))
    exchange(world)
    record = step(world, run_id)
    assert (record.attempt, record.tried, record.performer) == (2, 1, "action_workers")
    assert list(there.in_hand) == [f"{run_id}/a//2"]


def test_of_a_service_that_is_configured_no_more_after_a_restart_nothing_is_expected_for_ever(
    world: ActionWorld,
) -> None:
    owner = service(world)
    run_id = run(world, action("?S?work", "a"))
    assert owner.in_hand
    world.owned, world.mapped = {}, {"?S?work": "m.f"}
    world.restart()
    there = host(world)
    assert step(world, run_id).performer == "ingest", "it may say hello yet"
    world.tick(NEW)
    exchange(world)
    assert list(there.in_hand) == [f"{run_id}/a//2"]
    do(world, there)
    assert world.record(run_id).state == "done"


def test_a_first_line_that_stands_for_the_request_is_done_at_once(world: ActionWorld) -> None:
    assert world.record(run(world, action("?Any?Push", "a"))).state == "done"


def test_values_that_are_not_json_fail_the_step(world: ActionWorld) -> None:
    run_id = run(world, action("?A?work", "a", values={"x": float("nan")}))
    assert "are not JSON" in str(step(world, run_id).reason)


def test_the_orders_of_a_flow_in_a_flow_name_the_outermost_run(world: ActionWorld) -> None:
    there = host(world)
    world.flows["f"] = Flow("f", (action("?A?work", "a"),))
    outer = world.run(Flow("outer", (Step("inner", SubFlow("f")),)))
    exchange(world)
    (order,) = there.in_hand.values()
    assert (order.correlation, order.run == outer) == (outer, False)


def test_progress_is_told_as_an_event_and_not_too_often(world: ActionWorld) -> None:
    there = host(world)
    run(world, action("?A?work", "a"))
    (order,) = there.in_hand
    for part in (0.1, 0.2, 0.3):
        world.say(there, Progress(order, "on its way", part))
        world.turn()
    (event,) = world.events
    assert (event.topic, event.payload["fraction"]) == ("flows~f~step~a~progress", 0.1)
    assert world.desk.told([order])[order]["fraction"] == 0.3


def test_how_an_order_ended_is_not_for_another_performer_to_say(world: ActionWorld) -> None:
    there, other = host(world, takes=1), service(world)
    run_id = run(world, action("?A?work", "a", for_each=2))
    for number in (0, 1):
        world.say(other, Done((Result(f"{run_id}/a/{number}/1", "done", "nonsense"),)))
    exchange(world)
    assert set(world.states(run_id).values()) == {"running"}
    for _ in range(2):
        do(world, there, gave="sense")
    assert [record.gave for record in world.record(run_id).steps.values()] == ["sense", "sense"]


def test_who_changes_its_name_has_lost_what_it_had_by_the_former_one(world: ActionWorld) -> None:
    owner = service(world)
    run_id = run(world, action("?S?work", "a"))
    other = Performer("another", owner.incarnation)
    world.to_manager.append((owner.identity, frames_of(other.hello())))
    exchange(world)
    world.gone(owner)
    exchange(world)
    owner = service(world)
    exchange(world)
    assert list(owner.in_hand) == [f"{run_id}/a//2"]


def test_of_two_of_one_name_the_one_that_does_not_answer_gives_way(world: ActionWorld) -> None:
    dead = host(world)
    there = world.start("action_workers")
    exchange(world)
    world.restart()
    world.say(there, there.hello())
    world.say(dead, dead.hello())  # it was on its way for longer, and tells of nobody any more
    exchange(world)
    run_id = run(world, action("?A?work", "a"))
    for _ in range(4):
        world.say(there, there.hello())
        exchange(world)
        world.seconds += 2.0
    assert there.welcomed
    do(world, there)
    assert world.record(run_id).state == "done"


# --- asks


def answers(world: ActionWorld) -> list[Answer]:
    words = [to_performer(frames) for _, frames in world.to_performers]
    return [word for word in words if isinstance(word, Answer)]


def test_an_action_asks_a_service_in_the_middle_of_its_work(world: ActionWorld) -> None:
    there, owner = host(world), service(world)
    world.say(there, Ask("ask-1", "?S?work", {"x": 1}, 5.0))
    world.say(there, Ask("ask-1", "?S?work", {"x": 1}, 5.0))
    exchange(world)
    (order,) = owner.in_hand.values()
    assert (order.id, order.values, order.seconds, order.run) == ("ask-1", {"x": 1}, 5.0, "")
    world.begin_order(owner)
    world.end_order(owner, "done", {"y": 2})
    world.turn()
    assert answers(world) == [Answer("ask-1", "done", {"y": 2})]
    world.deliver()
    assert not owner.kept


def test_an_ask_may_take_longer_than_a_poll_can_wait(world: ActionWorld) -> None:
    there = host(world)
    world.say(there, Ask("ask-1", "?S?work", {}, 1e299))
    exchange(world)
    due = world.desk.due_in()
    assert due is not None
    assert due * 1000 < 2**63


def test_an_ask_that_nobody_can_answer_is_answered_in_a_sentence(world: ActionWorld) -> None:
    there = host(world)
    world.say(there, Ask("ask-1", "?N?work", {}, 5.0))
    world.say(there, Ask("ask-2", "nonsense", {}, 5.0))
    world.say(there, Ask("ask-3", "?S?work", {}, 5.0))
    world.turn()
    assert [(answer.id, answer.state) for answer in answers(world)] == [
        ("ask-1", "failed"), ("ask-2", "failed")
    ]  # fmt: skip
    world.deliver()
    world.seconds += 5.0
    world.turn()
    (answer,) = answers(world)
    assert (answer.id, str(answer.reason)[:12]) == ("ask-3", "no-consumer:")


def test_an_ask_dies_with_who_asks_and_is_lost_with_who_answers(world: ActionWorld) -> None:
    there, owner = host(world), service(world)
    world.say(there, Ask("ask-1", "?S?work", {}, 5.0))
    exchange(world)
    owner = world.start("ingest", ())
    world.turn()
    assert [(answer.id, answer.state) for answer in answers(world)] == [("ask-1", "lost")]
    world.deliver()
    assert not owner.in_hand
    world.say(there, Ask("ask-2", "?S?work", {}, 5.0))
    exchange(world)
    assert list(owner.in_hand) == ["ask-2"]
    host(world)
    assert not owner.in_hand, "it is withdrawn"


def test_an_ask_goes_on_when_the_manager_is_started_anew(world: ActionWorld) -> None:
    there, owner = host(world), service(world)
    ask = Ask("ask-1", "?S?work", {}, 5.0)
    world.say(there, ask)
    exchange(world)
    world.begin_order(owner)
    world.restart()
    world.ask_hello()
    exchange(world)
    world.say(there, ask)  # as the link does after each welcome
    exchange(world)
    assert world.begun_orders == {"ask-1": 1}
    world.end_order(owner, "done", 2)
    world.turn()
    assert answers(world) == [Answer("ask-1", "done", 2)]


def test_an_answer_may_come_before_the_ask_is_said_again(world: ActionWorld) -> None:
    there, owner = host(world), service(world)
    ask = Ask("ask-1", "?S?work", {}, 5.0)
    world.say(there, ask)
    exchange(world)
    world.begin_order(owner)
    world.restart()
    world.ask_hello()
    world.end_order(owner, "done", 2)
    exchange(world)
    exchange(world)
    world.say(there, ask)
    world.turn()
    assert answers(world) == [Answer("ask-1", "done", 2)]
    world.deliver()
    assert not owner.kept
    assert not owner.in_hand


def test_an_ask_waits_for_a_service_that_may_say_hello_yet(tmp_path: Path) -> None:
    world = ActionWorld(tmp_path, mapped=MAPPED, services=("ingest",))
    there = host(world)
    world.say(there, Ask("ask-1", "?N?work", {}, 50.0))
    exchange(world)
    owner = service(world, "?N?work")
    exchange(world)
    assert list(owner.in_hand) == ["ask-1"]
    world.store.close()


def test_an_ask_of_nobodys_is_answered_once_all_have_said_hello(tmp_path: Path) -> None:
    world = ActionWorld(tmp_path, mapped=MAPPED, services=("ingest",))
    there = host(world)
    world.say(there, Ask("ask-1", "?N?work", {}, 50.0))
    world.turn()
    assert not answers(world)
    world.tick(PATIENCE_WITH_SERVICES)
    world.turn()
    assert [answer.state for answer in answers(world)] == ["failed"]
    world.store.close()


def test_an_ask_that_waits_for_a_hello_dies_with_who_asks(tmp_path: Path) -> None:
    world = ActionWorld(tmp_path, mapped=MAPPED, services=("ingest",))
    there = host(world)
    world.say(there, Ask("ask-1", "?N?work", {}, 50.0))
    world.turn()
    host(world)
    owner = service(world, "?N?work")
    exchange(world)
    assert not owner.in_hand
    world.store.close()
