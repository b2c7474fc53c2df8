"""Agents at a real broker and a real manager; what happens on their hosts is said by the test."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from helpers import wait_until
from nowcast_cli.messages.agent_messages import AgentMessageError, Limits, Look, Picture, picture_in
from nowcast_cli.messages.agent_messages import over_broker as carried
from nowcast_cli.messages.message import Message
from nowcast_command import nowcast
from simulated_agents import SimulatedAgent, SimulatedHost, SimulatedJob, claim_text

ALL_ON_AGENTS = {"executors": {"default": "agents"}}
QUICK = {"agents": {"lease": "3s", "report every": "0.5s"}}


@pytest.fixture
def agents(request):
    """Give a function that makes agents of a system, each with a key where the system has keys."""
    made = []

    def make(system, name, **host):
        key = None
        if system.settings.get("security") == "curve":
            if system.keys.roster().current(name) is None:
                system.keys.add(name, "agent")
            key = system.paths.keys / f"{name}.key"
        made.append(SimulatedAgent(SimulatedHost(name, **host), system.port, key))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def picture(system) -> Picture:
    return picture_in(system.send(carried(Look())))


def placed_on(system, job_id):
    native = system.job(job_id).native
    return None if native is None else native["id"]


def wait_until_placed(system, job_id):
    return wait_until(lambda: placed_on(system, job_id), what="the job to be placed")


def wait_until_offline(system, name):
    def is_offline():
        return next(agent for agent in picture(system).agents if agent.name == name).state

    wait_until(lambda: is_offline() == "offline", timeout=20, what=f"{name} to be offline")


def test_a_job_goes_to_an_agent_and_its_end_comes_back(make_system, agents):
    system = make_system(settings={"security": "curve", **ALL_ON_AGENTS}).start()
    east = agents(system, "east")
    east.register()
    job = system.launch("first")
    east.work()
    assert east.host.begun == [job]
    running = system.wait_for_job(job, "running")
    assert running.native["id"] == "east"
    assert running.submitted is not None
    east.host.jobs[job].outbox["m1.yaml"] = (
        f"source: first\ntype: success\npayload: 3\nid: m1\njob: {job}\noutcome: success\n"
    )
    east.end(job)
    assert system.wait_for_process_end(job).state == "succeeded"
    assert system.checklist() == {"first": 3}
    assert picture(system).agents[0].jobs == ()


def test_a_job_that_its_agent_says_has_gone_is_lost(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east = agents(system, "east")
    east.register()
    job = system.launch("first")
    east.work()
    system.wait_for_job(job, "running")
    east.host.jobs[job].gone = True
    east.answer()
    assert "without a word" in system.wait_for_process_end(job).reason
    assert system.job(job).state == "lost"


def test_an_agent_says_nothing_that_is_not_its_to_say(make_system, agents):
    system = make_system(settings={"security": "curve", **ALL_ON_AGENTS}).start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    west.register()
    job = system.launch("first")
    holder, other = (east, west) if wait_until_placed(system, job) == "east" else (west, east)
    holder.work()
    system.wait_for_job(job, "running")
    # The other one tells that it has ended: nobody has asked it.
    other.pull()
    other.host.take(holder.host.order)
    other.host.jobs[job] = SimulatedJob(claim_text(), gone=True)
    other.answer()
    holder.answer()
    assert system.job(job).state == "running"
    # In another's name, or a message of a worker, it says nothing at all.
    with pytest.raises(AgentMessageError, match="for no agent west"):
        east.say(west.host.report())
    refused = east.client.ask(Message("nowcast", "cancel", {"job": job}))
    assert (refused.type, "an agent may register" in refused.payload["what"]) == ("refused", True)


def test_reports_are_not_journalled_and_are_seen_at_once(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east = agents(system, "east")
    east.register()
    with system.reader() as reader:
        before = reader.last_number()
    east.host.load = 2.5
    said = east.report("Traceback: it fell over")
    assert said.talkback.state == "online"
    assert abs(said.talkback.clock_offset) < 5
    seen = picture(system).agents[0]
    assert seen.report.load == 2.5
    assert seen.errors == ("Traceback: it fell over",)
    assert "it fell over" in system.log()
    with system.reader() as reader:
        assert reader.last_number() == before


def test_an_agent_that_is_cut_off_keeps_its_jobs_and_decides_on_its_return(make_system, agents):
    system = make_system(settings={**ALL_ON_AGENTS, **QUICK}).start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    job = system.launch("first")
    east.work()
    system.wait_for_job(job, "running")
    wait_until_offline(system, "east")
    west.register()
    west.pull(wait=1.0)
    assert west.host.begun == []
    held = wait_until(
        lambda: (found := system.job(job)).native["unknown"] and found, what="it to be unknown"
    )
    assert held.state == "running"
    assert "agent east is not heard of" in system.health()["trouble"]
    # It returns with finished work.
    east.register()
    east.pull()
    east.end(job)
    assert system.wait_for_process_end(job).exit["code"] == 0
    assert (east.host.begun, west.host.begun) == ([job], [])


def test_a_job_that_its_agent_never_heard_of_goes_to_another(make_system, agents):
    system = make_system(settings={**ALL_ON_AGENTS, **QUICK}).start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    job = system.launch("first")
    assert wait_until_placed(system, job) == "east"
    wait_until_offline(system, "east")
    west.register()
    west.work()
    assert west.host.begun == [job]
    system.wait_for_job(job, "running")
    east.register()
    east.pull(wait=0.1)
    assert east.host.begun == []


def test_a_manager_that_begins_anew_doubts_nobody_for_a_lease(make_system, agents):
    system = make_system(settings={**ALL_ON_AGENTS, **QUICK}).start()
    east = agents(system, "east")
    east.register()
    job = system.launch("first")
    east.work()
    system.wait_for_job(job, "running")
    system.restart()
    there = picture(system).agents[0]
    assert (there.name, there.state, there.jobs) == ("east", "online", (job,))
    assert not east.report().talkback.register  # the instance is known from the store
    east.pull()
    east.end(job)
    assert system.wait_for_process_end(job).exit["code"] == 0
    assert east.host.begun == [job]
    assert east.host.cancelled == []


def test_an_order_that_was_on_its_way_when_the_manager_died_is_not_given_to_another(
    make_system, agents
):
    system = make_system(settings={**ALL_ON_AGENTS, **QUICK}).start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    job = system.launch("first")
    assert east.begin() == job  # and nobody is told
    system.restart()
    west.register()
    wait_until_offline(system, "east")
    west.pull(wait=1.0)
    assert west.host.begun == []
    east.register()
    east.pull()
    east.answer()
    system.wait_for_job(job, "running")
    assert east.host.begun == [job]


def test_draining_lets_jobs_end_and_then_disables(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east = agents(system, "east")
    east.register()
    job = system.launch("first")
    east.work()
    reply = system.request("agent standing", {"agent": "east", "standing": "draining"})
    assert reply.payload == {"agent": "east", "standing": "draining", "limits": {}, "jobs": 1}
    waiting = system.launch("second")
    assert east.report().talkback.state == "draining"
    east.end(job)
    assert east.report().talkback.state == "disabled"
    east.pull(wait=0.5)
    assert east.host.begun == [job]
    assert "no agent takes jobs" in system.health()["trouble"]
    system.restart()
    assert picture(system).agents[0].state == "disabled"
    east.report()
    system.request("agent standing", {"agent": "east", "standing": "online"})
    east.work()
    assert east.host.begun == [job, waiting]


def test_limits_of_operators_go_before_those_of_the_agent(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east = agents(system, "east", cpus=8)
    east.host.limits = Limits(slots=2)
    east.register()
    jobs = [system.launch("first") for _ in range(4)]
    wait_until(lambda: picture(system).waiting == 2, what="two jobs to be placed")
    while len(east.host.begun) < 2:
        east.work()
    reply = system.request("agent limit", {"agent": "east", "limits": {"slots": 3}})
    assert reply.payload["limits"] == {"slots": 3}
    wait_until(lambda: picture(system).waiting == 1, what="one more to be placed")
    system.restart()
    assert picture(system).agents[0].limits == Limits(slots=3)
    east.report()
    system.request("agent limit", {"agent": "east", "limits": {"slots": None}})
    assert picture(system).agents[0].limits == Limits(slots=2)
    assert jobs[:2] == east.host.begun
    wrong = system.request("agent limit", {"agent": "east", "limits": {"slots": -1}})
    assert wrong.type == "refused"


def test_who_is_asked_for_decides_where_a_job_goes(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS)
    system.registry["first"]["requires"] = {"tags": ["gpu", "!old"]}
    system.registry["second"]["resources"] = {"cpus": 8}
    system.write_config()
    system.start()
    hosts = {"east": ("gpu", "old"), "west": ("gpu",), "north": ()}
    for name, tags in hosts.items():
        agent = agents(system, name, cpus=8 if name == "north" else 4)
        agent.host.tags = tags
        agent.register()
    first, second = system.launch("first"), system.launch("second")
    assert wait_until_placed(system, first) == "west"
    assert wait_until_placed(system, second) == "north"


def test_where_a_job_failed_before_it_goes_last(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS)
    system.registry["first"]["retry"] = {"tries": 3}
    system.write_config()
    system.start()
    hosts = [agents(system, name) for name in ("east", "west")]
    for agent in hosts:
        agent.register()
    tried = []
    job = system.launch("first")
    for _ in range(3):
        where = wait_until_placed(system, job)
        agent = next(agent for agent in hosts if agent.host.name == where)
        agent.work()
        agent.end(job, 3)
        tried.append(where)
        system.wait_for_process_end(job)
        job = system.jobs("first")[-1].id
    assert len(tried) == 3
    assert set(tried[:2]) == {"east", "west"}


def test_an_operator_assigns_a_job_that_waits_and_none_that_may_run(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS)
    system.registry["second"]["requires"] = {"tags": ["nowhere"]}
    system.write_config()
    system.start()
    east = agents(system, "east")
    east.register()
    waiting, running = system.launch("second"), system.launch("first")
    assert east.work() == running
    assert "no agent that takes jobs has nowhere" in system.health()["trouble"]
    refused = system.request("assign", {"job": running, "agent": "east"})
    assert "is on agent east already" in refused.payload["what"]
    unknown = system.request("assign", {"job": waiting, "agent": "aest"})
    assert "did you mean 'east'" in unknown.payload["what"]
    system.restart()  # an order of an operator outlasts it, too
    assert system.request("assign", {"job": waiting, "agent": "east"}).type == "ack"
    east.report()
    assert east.work() == waiting


def test_a_job_is_cancelled_wherever_it_is(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS)
    system.registry["second"]["requires"] = {"tags": ["nowhere"]}
    system.write_config()
    system.start()
    east = agents(system, "east")
    east.register()
    waiting, running = system.launch("second"), system.launch("first")
    east.work()
    system.wait_for_job(running, "running")
    for job in (waiting, running):
        assert system.request("cancel", {"job": job}).type == "ack"
    assert system.wait_for_process_end(waiting).state == "cancelled"
    wait_until(lambda: east.pull(1.0) and east.host.cancelled, what="the job to be cancelled")
    assert east.host.cancelled == [running]
    east.end(running, 1)
    assert system.wait_for_process_end(running).state == "cancelled"


def test_an_operator_gives_up_on_a_host_and_its_jobs_are_ended_when_it_comes_back(
    make_system, agents
):
    system = make_system(settings={**ALL_ON_AGENTS, **QUICK})
    system.registry["first"] |= {"idempotent": True, "retry": {"tries": 2}}
    system.write_config()
    system.start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    job = system.launch("first")
    east.work()
    system.wait_for_job(job, "running")
    east.report()  # of the job, too: it is not news any more when the host comes back
    refused = system.request("agent forget", {"agent": "east", "lost": True})
    assert "is heard of" in refused.payload["what"]
    wait_until_offline(system, "east")
    refused = system.request("agent forget", {"agent": "east"})
    assert "which may run still: 1" in refused.payload["what"]
    assert "nowcast agent forget east --lost" in refused.payload["hint"]
    assert system.request("agent forget", {"agent": "east", "lost": True}).payload["jobs"] == [job]
    lost = system.wait_for_process_end(job)
    assert (lost.state, "given up by hand" in lost.reason) == ("lost", True)
    west.register()
    west.work()
    (again,) = west.host.begun
    assert system.job(again).predecessor == job
    # The host was only asleep. What it runs is not to go on beside the second attempt.
    east.register()
    wait_until(lambda: east.pull(1.0) and east.host.cancelled, what="the job to be ended")
    assert east.host.cancelled == [job]
    assert east.host.begun == [job]
    east.host.jobs[job].gone = True
    east.answer()
    assert system.job(job).state == "lost"
    assert system.job(again).state in ("submitting", "running")


def test_one_name_is_of_one_host(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east, twin = agents(system, "east"), agents(system, "east")
    east.register()
    twin.host.machine = "another"
    assert "is at work on east.sea" in twin.say(twin.host.register()).talkback.refused
    # The same host, begun anew: the older process is to end.
    later = agents(system, "east")
    assert later.register().talkback.refused is None
    assert "started after this one" in east.report().talkback.refused
    assert "started after this one" in east.say(east.host.register()).talkback.refused


def test_nonsense_is_answered(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east = agents(system, "east")
    assert east.report().talkback.register  # nobody knows it
    assert east.pull().talkback.register
    for payload in (None, 3, "{", '{"what": "acknowledge"}', '{"what": "pull", "agent": "/"}'):
        reply = system.send(Message("nowcast", "agent", payload))
        assert reply.type == "refused", payload
    east.register()
    job = system.launch("first")
    assert east.begin() == job
    answer = east.host.answer()
    answer.exchange["jobs"][job] = {"pid": 3}
    east.say(answer)
    wait_until(lambda: "what cannot be" in system.log(), what="the nonsense to be told of")
    east.answer()
    assert system.health()["state"] == "ready"


def damage_the_journal(system):
    with contextlib.closing(sqlite3.connect(system.paths.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((page,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'message'"
        ).fetchall()
    with system.paths.database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"x" * 4096)


def test_a_repaired_store_still_knows_where_jobs_are(make_system, agents):
    system = make_system(settings=ALL_ON_AGENTS).start()
    east, west = agents(system, "east"), agents(system, "west")
    east.register()
    job = system.launch("first")
    assert east.begin() == job  # and nobody is told
    system.request("agent limit", {"agent": "east", "limits": {"slots": 7}})
    for name in ("manager", "message_broker"):
        system.stop(name)
    damage_the_journal(system)
    repaired = nowcast(system.folder, "store", "repair", "--yes")
    assert repaired.code == 0, repaired.err
    assert "rebuilt" in repaired.out + repaired.err
    system.start()
    west.register()
    west.pull(wait=1.0)
    assert west.host.begun == []
    known = {agent.name: agent for agent in picture(system).agents}
    assert (known["east"].jobs, known["east"].limits.slots) == ((job,), 7)
    east.report()
    east.pull()
    east.answer()
    system.wait_for_job(job, "running")
