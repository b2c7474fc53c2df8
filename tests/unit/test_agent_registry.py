"""Which agents are there: leases, who may have a name, and what of a host is left for jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.manager.agent_placement import Wanted
from nowcast_cli.manager.agent_registry import AgentRegistry, limits_kept, room_of, whole_room
from nowcast_cli.messages.agent_messages import Gpu, Limits, Register, Report, to_json
from nowcast_cli.store.records import AgentRecord

LEASE = 60.0
EAST = Register(
    agent="east", instance="i1", boot="b", machine="m", hostname="h", version="1", python="3",
    state_directory="/s", cpus=4, memory=100, clock=1000.0, tags=("gpu",),
)  # fmt: skip


def report(instance="i1", **given):
    return Report(
        **{"agent": "east", "instance": instance, "number": 1, "clock": 0.0, "memory_free": 100,
           "load": 0.0, **given}
    )  # fmt: skip


def registry(*known, now=0.0):
    return AgentRegistry(LEASE, known, now)


def with_east(now=0.0, register=EAST):
    found = registry(now=now)
    found.registered(register, now, 990.0, "at")
    return found


def offline(found, now):
    return [agent.name for agent in found.expired(now)]


def test_an_agent_is_offline_when_its_lease_is_over_and_that_is_told_once():
    found = with_east()
    assert offline(found, 59.9) == []
    assert found.due_in(58.0) == 2.0
    assert offline(found, 60.0) == ["east"]
    assert offline(found, 61.0) == []
    assert found.agents["east"].state == "offline"
    assert found.due_in(61.0) is None
    assert found.reported(report(), 62.0, 0.0) is found.agents["east"]
    assert found.agents["east"].state == "online"


def test_those_of_the_store_are_not_doubted_for_a_lease_and_take_no_job_before_they_speak():
    found = registry(AgentRecord("east", described=to_json(EAST), seen="at"), now=100.0)
    assert offline(found, 159.0) == []
    assert found.agents["east"].state == "online"
    assert found.rooms({}) == []
    assert offline(found, 160.0) == ["east"]
    assert found.reported(report(), 161.0, 0.0) is not None  # its instance is known
    assert [room.name for room in found.rooms({})] == ["east"]


def test_what_nobody_listened_to_was_not_silence():
    found = with_east()
    found.listened(1.0)
    found.listened(100.0)  # the manager was stopped for so long
    assert offline(found, 100.0) == []
    found.listened(104.0)
    assert offline(found, 159.0) == ["east"]


def test_an_idle_manager_listens_and_sees_a_lease_end():
    """It has no turns but those that it asks for."""
    found, now = with_east(), 0.0
    while not offline(found, now):
        now += found.due_in(now)
        found.listened(now)
    assert now == 60.0


@given(st.lists(st.tuples(st.sampled_from(["heard", "listened", "look"]), st.floats(0, 40))))
def test_no_agent_is_doubted_that_was_heard_within_its_lease(history):
    found = with_east()
    now = heard = 0.0
    for what, wait in history:
        now += wait
        if what == "heard":
            found.listened(now)
            found.reported(report(), now, 0.0)
            heard = now
        elif what == "listened":
            found.listened(now)
        elif offline(found, now):
            assert now - heard >= LEASE
        assert found.agents["east"].heard <= now


def test_an_instance_that_has_not_registered_is_not_known():
    found = with_east()
    assert found.reported(report("i2"), 1.0, 0.0) is None
    assert found.speaking("west", "i1", 1.0) is None


def test_a_later_instance_replaces_one_on_the_same_host():
    found = with_east()
    later = replace(EAST, instance="i2")
    assert found.refusal(later, {"east"}, 1.0) is None
    found.registered(later, 1.0, 0.0, "at")
    assert found.is_replaced("east", "i1")
    assert not found.is_replaced("east", "i3")
    assert found.reported(report("i1"), 2.0, 0.0) is None


@pytest.mark.parametrize("there", [{"machine": "other"}, {"state_directory": "/elsewhere"}])
def test_another_host_has_the_name_only_once_nothing_is_left_of_the_first(there):
    found, other = with_east(), replace(EAST, instance="i2", **there)
    assert "is at work on h (/s)" in found.refusal(other, (), 1.0)
    assert "is at work" in found.refusal(other, {"east"}, 59.0)
    offline(found, 61.0)
    assert "has jobs on h" in found.refusal(other, {"east"}, 61.0)
    assert found.refusal(other, (), 61.0) is None


def test_clocks_are_compared():
    found = with_east()
    assert found.agents["east"].offset == 10.0
    found.reported(report(clock=95.0), 1.0, 100.0)
    assert found.agents["east"].offset == -5.0


def test_what_operators_set_goes_before_what_the_agent_was_started_with():
    found = with_east(register=replace(EAST, limits=Limits(cpus=3, slots=2)))
    agent = found.agents["east"]
    agent.record = replace(agent.record, limits=limits_kept(Limits(slots=5, memory=50)))
    assert agent.limits == Limits(cpus=3, memory=50, slots=5)
    assert agent.record.limits == {"memory": 50, "slots": 5}


def test_what_is_left_counts_jobs_and_what_others_use():
    register = replace(EAST, gpus=(Gpu("a"), Gpu("b")), limits=Limits(slots=3, max_load=9.0))
    found = with_east(register=register)
    agent = found.agents["east"]
    taken = {"1": Wanted(cpus=2, memory=30, gpus=1)}
    room = room_of(agent, taken)
    assert (room.cpus, room.memory, room.gpus, room.slots) == (2, 70, 1, 2)
    assert (room.load, room.all_cpus, room.max_load) == (2.0, 4, 9.0)
    found.reported(report(memory_free=40, load=3.5), 1.0, 0.0)
    room = room_of(agent, taken)
    assert (room.memory, room.load) == (40, 3.5)
    # What was placed after the report is not in it.
    agent.since_report.add("2")
    room = room_of(agent, {**taken, "2": Wanted(memory=15)})
    assert (room.memory, room.load) == (25, 4.5)
    assert (whole_room(agent).cpus, whole_room(agent).memory) == (4, 100)


@pytest.mark.parametrize("standing", ["draining", "disabled"])
def test_only_agents_that_are_online_take_jobs(standing):
    found = with_east()
    assert len(found.rooms({})) == 1
    agent = found.agents["east"]
    agent.record = replace(agent.record, standing=standing)
    assert found.rooms({}) == []
    assert agent.state == standing


def test_a_description_that_cannot_be_read_is_as_none():
    found = registry(AgentRecord("east", described={"what": "register", "cpus": "x"}))
    assert found.agents["east"].register is None
