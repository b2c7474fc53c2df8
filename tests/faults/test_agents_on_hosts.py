"""Agents on hosts that share nothing with the manager's, while they are killed, frozen, cut off.

Nothing runs twice, and what has ended is known in the end. A lease of three seconds stands in for
one of a minute.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from agent_lab import LEASE
from executor_helpers import children_of
from helpers import wait_until
from lab.environment import build_clock
from nowcast_cli.executors.job_folder import read_claim


def test_jobs_are_placed_on_all_hosts_and_what_they_say_comes_back(lab):
    for name in ("east", "west", "north"):
        lab.add(name)
    jobs = [lab.launch("--payload", str(n), "--print", f"number {n}") for n in range(12)]
    for number, job in enumerate(jobs):
        assert lab.system.wait_for_job(job, "succeeded", timeout=60)
        lab.system.wait_for_process_end(job, 30)
        assert f"number {number}" in (lab.system.job_folder(job) / "stderr").read_text()
    assert all(agent.jobs() for agent in lab.agents.values())
    begun = Counter(job for agent in lab.agents.values() for job in agent.jobs())
    assert begun == dict.fromkeys(jobs, 1)
    assert lab.system.effects() == []  # nothing is shared


def test_an_agent_killed_in_mid_job_goes_on_with_it_once_it_is_started_again(lab):
    lab.add("east")
    job, east = lab.begin("--until", "high-water", "--os-exit", "3")
    east.kill()
    east.touch("high-water")
    wait_until((east.folder(job) / "exit").exists, timeout=30, what="the job to end")
    east.start()
    assert "code 3" in lab.system.wait_for_job(job, "crashed", timeout=30).reason
    assert lab.times_begun(job) == 1


def test_jobs_begin_once_while_agents_and_managers_are_killed(lab):
    for name in ("east", "west", "north"):
        lab.add(name)
    jobs = []
    for number in range(24):
        jobs.append(lab.launch("--payload", str(number)))
        if number % 6 == 2:
            agent = lab.agents[("east", "west", "north", "east")[number // 6]]
            wait_until(lambda agent=agent: agent.is_known(), timeout=30, what="the agent to begin")
            agent.kill()
            agent.start()
        if number == 12:
            lab.system.restart("manager")
    for job in jobs:
        assert lab.system.wait_for_process_end(job, 60).state == "succeeded"
    begun = Counter(job for agent in lab.agents.values() for job in agent.jobs())
    assert begun == dict.fromkeys(jobs, 1)


def test_an_agent_frozen_for_longer_than_its_lease_is_offline_and_keeps_its_jobs(lab):
    lab.add("east")
    job, east = lab.begin("--until", "high-water", "--payload", "7")
    east.freeze()
    lab.wait_for_log("agent east was not heard of for 3 s: it is offline, and its 1 job may be")
    lab.add("west")
    elsewhere, west = lab.begin("--payload", "8")
    assert west.name == "west"  # nothing new is given to who is not heard of
    east.touch("high-water")
    wait_until((east.folder(job) / "exit").exists, timeout=30, what="the job to end")
    assert lab.system.job(job).state in ("running", "succeeded")  # it told the broker by itself
    east.thaw()
    lab.wait_for_log("agent east is heard of again")
    assert lab.system.wait_for_process_end(job, 30).state == "succeeded"
    assert (lab.times_begun(job), lab.times_begun(elsewhere)) == (1, 1)


def test_an_agent_cut_off_returns_with_finished_work(lab):
    lab.add("east")
    job, east = lab.begin("--until", "high-water", "--os-exit", "3")
    east.host.plug(False)
    lab.wait_for_log("agent east was not heard of for 3 s: it is offline")
    native = lab.system.job(job).native
    assert lab.system.job(job).state == "running"
    assert native["unknown"], native
    assert "is not heard of: what became of its 1 job is not known" in str(
        lab.system.health()["trouble"]
    )
    east.touch("high-water")
    wait_until((east.folder(job) / "exit").exists, timeout=30, what="the job to end")
    waiting = lab.launch()
    east.host.plug(True)
    assert "code 3" in lab.system.wait_for_job(job, "crashed", timeout=60).reason
    assert lab.system.wait_for_process_end(waiting, 30).state == "succeeded"
    assert (lab.times_begun(job), lab.times_begun(waiting)) == (1, 1)
    wait_until(lambda: lab.system.health()["trouble"] is None, timeout=30, what="no more trouble")


def test_a_job_cancelled_while_its_agent_is_cut_off_is_ended_when_it_returns(lab):
    lab.add("east")
    job, east = lab.begin("--sleep", "600")
    east.host.plug(False)
    lab.wait_for_log("agent east was not heard of")
    assert lab.system.request("cancel", {"job": job}).type == "ack"
    claim = read_claim(east.folder(job))
    assert lab.system.job(job).exit is None
    east.host.plug(True)
    ended = lab.system.wait_for_process_end(job, 60)
    assert ended.state == "cancelled"
    assert not Path(
        "/proc", str(east.host.first_process), "root", "proc", str(claim.process.pid), "exe"
    ).exists()


def test_what_an_agent_was_to_begin_while_it_was_cut_off_begins_once(lab):
    """The order may have come through or not: nobody else is given the job meanwhile."""
    lab.add("east")
    warm_up, east = lab.begin()
    lab.system.wait_for_process_end(warm_up, 30)
    jobs = []
    for number in range(6):
        jobs.append(lab.launch("--payload", str(number)))
        east.host.plug(False)
        jobs.append(lab.launch("--payload", str(number)))
        east.host.plug(True)
    lab.add("west")
    for job in jobs:
        assert lab.system.wait_for_process_end(job, 90).state == "succeeded"
    assert {lab.times_begun(job) for job in jobs} == {1}


def test_a_full_disk_of_an_agent_loses_no_end_and_begins_the_rest_when_there_is_room(lab):
    east = lab.add("east", start=False)
    east.limit_disk(2)
    east.start()
    job, _ = lab.begin("--until", "high-water", "--os-exit", "3")
    fill = east.state / "fill"
    with pytest.raises(OSError, match="No space left"):
        fill.write_bytes(b"x" * 4_000_000)
    east.touch("high-water")
    waiting = lab.launch()
    lab.wait_for_log("No space left on device")
    assert lab.times_begun(waiting) == 0
    fill.unlink()
    assert "code 3" in lab.system.wait_for_job(job, "crashed", timeout=30).reason
    assert lab.system.wait_for_process_end(waiting, 30).state == "succeeded"
    assert (lab.times_begun(job), lab.times_begun(waiting)) == (1, 1)


def test_of_two_hosts_with_agents_of_one_name_the_later_is_refused(lab):
    lab.add("east")
    job, east = lab.begin("--until", "high-water")
    double = lab.put("east", lab.another_host("lagoon"))
    words = "an agent east is at work on east"
    wait_until(lambda: words in double.log(), timeout=30, what="the later one to be refused")
    assert double.wait() == 1
    east.kill()
    double.start()  # the first one is gone, but its job may not be
    wait_until(lambda: double.log().count("refuses") == 2, timeout=30, what="it to be refused")
    assert double.jobs() == []
    east.start()
    east.touch("high-water")
    assert lab.system.wait_for_process_end(job, 30).state == "succeeded"


def test_a_clock_that_is_an_hour_ahead_is_told_and_does_no_harm(lab, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler for the clock: apt-get install gcc")
    east = lab.add("east", start=False)
    library = build_clock(tmp_path)
    for name, content in (("clock.so", library.read_bytes()), ("ahead", struct.pack("q", 3600))):
        (east.deployment / name).write_bytes(content)
    east.start(LD_PRELOAD="/tmp/home/tides/clock.so", LAB_CLOCK="/tmp/home/tides/ahead")
    job, _ = lab.begin("--until", "high-water", "--payload", "7")
    (known,) = lab.picture().agents
    assert known.offset == pytest.approx(3600, abs=20)
    assert known.state == "online"
    east.touch("high-water")
    ended = lab.system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded"
    assert lab.times_begun(job) == 1
    assert lab.system.checklist() == {"first": 7}


def test_a_host_whose_processes_have_all_gone_tells_what_is_lost(lab):
    lab.add("east")
    job, east = lab.begin("--sleep", "600")
    for process in east.host.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    east.wait()
    east.start()
    ended = lab.system.wait_for_job(job, "lost", timeout=30)
    assert "gone without a word" in ended.reason
    assert lab.times_begun(job) == 1


def test_a_broker_that_is_away_is_waited_for_and_said_once(lab):
    lab.add("east")
    job, east = lab.begin("--until", "high-water", "--payload", "7")
    lab.system.kill("message_broker")
    wait_until(lambda: "is not reached" in east.log(), timeout=40, what="the agent to say so")
    east.touch("high-water")
    lab.system.start("message_broker")
    assert lab.system.wait_for_process_end(job, 60).state == "succeeded"
    later, _ = lab.begin()
    assert lab.system.wait_for_process_end(later, 30).state == "succeeded"
    assert east.log().count("is not reached") == 1
    assert east.log().count("reached again") == 1


def test_a_standby_goes_on_with_the_agents(lab):
    lab.system.settings["standby"] = True
    lab.system.write_config()
    lab.system.restart("manager")
    lab.system.start("standby")
    lab.add("east")
    job, east = lab.begin("--until", "high-water", "--os-exit", "3")
    lab.system.kill("manager")
    east.touch("high-water")
    assert "code 3" in lab.system.wait_for_job(job, "crashed", timeout=60).reason
    later = lab.launch()
    assert lab.system.wait_for_process_end(later, 30).state == "succeeded"
    assert (lab.times_begun(job), lab.times_begun(later)) == (1, 1)


def test_a_command_runs_where_nothing_but_nowcast_is_and_tells_by_its_own(lab):
    lab.system.registry["second"] |= {
        "command": "sh -c 'cat {deployment}/wind.txt > waves; nowcast tell success --payload n=3'",
        "outputs": {"waves": "/tmp/home/results/{run_date}/waves"},
    }
    lab.system.write_config()
    assert lab.system.request("reload").type == "ack"
    east = lab.add("east")
    (east.deployment / "wind.txt").write_text("strong")
    job = lab.launch("--run-date", "2026-11-20", worker="second")
    assert lab.system.wait_for_process_end(job, 30).state == "succeeded"
    published = east.host.at(Path("/tmp/home/results/2026-11-20/waves"))
    assert published.read_text() == "strong"
    assert lab.system.checklist() == {"second": {"n": 3}}


def test_nothing_runs_twice_and_nothing_is_lost_whatever_happens_to_the_hosts(lab):
    chance = random.Random(int(os.environ["NOWCAST_TESTS_SEED"]))
    for name in ("east", "west", "north"):
        lab.add(name)
    for agent in lab.agents.values():
        wait_until(agent.is_registered, timeout=60, what=f"agent {agent.name}")
    jobs = []
    for _ in range(8):
        jobs += [lab.launch("--sleep", f"{chance.uniform(0, 1):.2f}") for _ in range(3)]
        agent = lab.agents[chance.choice(sorted(lab.agents))]
        strike(lab, agent, chance)
    for job in jobs:
        assert lab.system.wait_for_process_end(job, 90).state == "succeeded"
    assert {lab.times_begun(job) for job in jobs} == {1}


def strike(lab, agent, chance):
    """Do something to a host, for a while that may be longer than its lease."""
    what = chance.choice(["kill", "freeze", "cut", "hand", "manager", "broker"])
    while_ = chance.choice([0.1, 0.5, 1.0, LEASE + 1])
    if what == "kill":
        agent.kill()
        time.sleep(while_)
        agent.start()
        wait_until(agent.is_registered, timeout=60, what="the agent to be back")
    elif what == "freeze":
        agent.freeze()
        time.sleep(while_)
        agent.thaw()
    elif what == "cut":
        agent.host.plug(False)
        time.sleep(while_)
        agent.host.plug(True)
    elif what == "hand":
        for hand in children_of(agent.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(hand, signal.SIGKILL)
    else:
        lab.system.restart("message_broker" if what == "broker" else "manager")
