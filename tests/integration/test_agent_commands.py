"""`nowcast agent list|show|limit|drain|disable|enable|forget` and `nowcast job assign`."""

from __future__ import annotations

import pytest

from helpers import wait_until
from nowcast_cli.messages.agent_messages import Limits
from nowcast_command import nowcast
from simulated_agents import SimulatedAgent, SimulatedHost


@pytest.fixture
def there(make_system):
    """Give a system with an agent ``east`` that has one job, and that job's id."""
    system = make_system(settings={"security": "curve", "executors": {"default": "agents"}})
    system.registry["second"]["requires"] = {"tags": ["nowhere"]}
    system.write_config()
    system.keys.add("east", "agent")
    system.start()
    host = SimulatedHost("east", cpus=8, memory=16_000_000_000)
    host.tags, host.load, host.limits = ("gpu", "linux"), 1.5, Limits(slots=6)
    agent = SimulatedAgent(host, system.port, system.paths.keys / "east.key")
    agent.register()
    job = system.launch("first")
    agent.work()
    system.wait_for_job(job, "running")
    agent.report("Traceback\nValueError: it fell over")
    yield system, agent, job
    agent.close()


def test_what_is_known_is_shown_with_the_system_up_and_down(there):
    system, _, job = there
    listed = nowcast(system.folder, "agent", "list")
    assert listed.code == 0, listed.err
    row = listed.out.splitlines()[1].split()
    assert row[:6] == ["east", "●", "online", "east.sea", "1", "8"]
    assert "gpu, linux" in listed.out
    shown = nowcast(system.folder, "agent", "show", "east")
    for words in ("east.sea", "16 GB", "right, to 2 s", job[-8:], "ValueError: it fell over"):
        assert words in shown.out, shown
    for name in ("manager", "message_broker"):
        system.stop(name)
    listed = nowcast(system.folder, "agent", "list", "--json").json
    assert (listed["live"], listed["agents"][0]["jobs"]) == (False, [job])
    assert listed["agents"][0]["register"]["cpus"] == 8
    shown = nowcast(system.folder, "agent", "show", "east")
    assert "this is what it last knew" in shown.err
    assert job[-8:] in shown.out
    unknown = nowcast(system.folder, "agent", "show", "aest")
    assert (unknown.code, "did you mean 'east'" in unknown.err) == (4, True)
    assert nowcast(system.folder, "agent", "drain", "east").code == 3


def test_operators_limit_drain_disable_and_enable(there):
    system, agent, job = there
    said = nowcast(system.folder, "agent", "limit", "east", "--cpus", "3", "--memory", "4 GB")
    assert said.out == "east is limited to: cpus 3, memory 4.0 GB, slots 6\n"
    listed = nowcast(system.folder, "agent", "list", "--json").json["agents"][0]
    assert listed["limits"] == {
        "cpus": 3, "memory": 4_000_000_000, "max_load": None, "slots": 6,
    }  # fmt: skip
    said = nowcast(system.folder, "agent", "limit", "east", "--reset", "--slots", "2")
    assert said.out == "east is limited to: slots 2\n"
    assert nowcast(system.folder, "agent", "limit", "east").code == 2
    said = nowcast(system.folder, "agent", "drain", "east")
    assert said.out == "east is draining: jobs that are there and go on: 1\n"
    agent.end(job)
    wait_until(
        lambda: "disabled" in nowcast(system.folder, "agent", "list").out, what="it to be drained"
    )
    assert nowcast(system.folder, "agent", "enable", "east").out == "east takes jobs again\n"
    said = nowcast(system.folder, "agent", "disable", "east")
    assert said.out == "east is disabled: no job is there\n"
    assert nowcast(system.folder, "executor", "list").out.count("no agent takes jobs") == 1
    refused = nowcast(system.folder, "agent", "forget", "east")
    assert (refused.code, "is heard of" in refused.err) == (1, True)


def test_a_job_that_no_agent_may_have_is_told_of_and_assigned(there):
    system, agent, _ = there
    job = system.launch("second")
    listed = wait_until(
        lambda: (found := nowcast(system.folder, "agent", "list")).err and found,
        what="the job to wait",
    )
    assert "jobs that wait for an agent: 1" in listed.err
    assert "1 job waits: no agent that takes jobs has nowhere" in listed.err
    assert "no agent that takes jobs has nowhere" in nowcast(system.folder, "status").out
    said = nowcast(system.folder, "job", "assign", job[-8:], "east")
    assert said.out == f"second (job {job[-8:]}) goes to east\n"
    assert agent.work() == job
    again = nowcast(system.folder, "job", "assign", job[-8:], "east")
    assert (again.code, "is on agent east already" in again.err) == (1, True)


def test_an_agents_key_brings_one_for_its_jobs(there):
    system, _, _ = there
    said = nowcast(system.folder, "key", "add", "ocean1", "--role", "agent")
    assert "made the key ocean1 of an agent" in said.out
    keys = {
        key["name"]: key for key in nowcast(system.folder, "key", "list", "--json").json["keys"]
    }
    assert (keys["ocean1.jobs"]["role"], keys["ocean1.jobs"]["host"]) == ("worker", "ocean1")


def test_an_agent_is_given_the_key_of_its_jobs(there):
    system, agent, _ = there
    assert agent.host.order.order["key"] is None  # it was added without one
    nowcast(system.folder, "key", "add", "--host", "east", "east.jobs")
    for _ in range(2):  # the roster is looked at now and then
        system.restart()
        agent.report()
        agent.pull(0.5)
    key = agent.host.order.order["key"]
    assert (system.paths.keys / "east.jobs.key").read_text() == key["text"]
