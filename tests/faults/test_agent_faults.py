"""An agent that is killed, stopped and starved at any instant; the test plays its manager.

The code of a job begins once, and how it ended is known in the end.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from executor_helpers import children_of, lines_of
from helpers import wait_until
from nowcast_cli.messages.agent_messages import Register, Report

WORK = """
import os, sys, time
from pathlib import Path
with open("effects", "a") as file:
    file.write(os.environ["NOWCAST_JOB_ID"] + "\\n")
while sys.argv[2:3] == ["until"] and not Path(sys.argv[3]).exists():
    time.sleep(0.01)
print("done")
"""
POINTS = (
    "agent.ordered",
    "agent.carried_out",
    "agent.told",
    "serving.ordered",
    "serving.carried_out",
)


@pytest.fixture
def played(stand_in):
    manager, agent, _ = stand_in
    (manager.folder / "work.py").write_text(WORK)
    return manager, agent


@pytest.fixture
def points(tmp_path):
    """Give a folder in which a test arms the points of the code where an agent ends or stops."""
    folder = tmp_path / "points"
    folder.mkdir()
    return folder


def arm(points: Path, name: str, number: int) -> None:
    (points / "new").write_text(str(number))
    (points / "new").rename(points / name)


def effects(manager):
    return lines_of(manager.folder / "effects")


def begin(manager, *arguments):
    job = manager.submit("work", *arguments)
    wait_until(lambda: job.id in effects(manager), timeout=30, what="the job to begin")
    return job


@pytest.mark.parametrize("point", POINTS)
def test_an_agent_killed_at_a_point_begins_each_job_once(played, points, point):
    manager, agent = played
    arm(points, point, signal.SIGKILL)
    agent.start(NOWCAST_CRASH_POINTS=str(points))
    job = manager.submit("work")
    if point.startswith("agent"):
        agent.process.wait(30)
        agent.start()
    assert manager.wait_for_exit(job).code == 0
    assert effects(manager) == [job.id]
    assert not (points / point).exists()


def test_an_agent_killed_in_mid_job_and_started_again_tells_its_end(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "go")
    agent.kill()
    (manager.folder / "go").touch()
    (folder,) = agent.state.glob(f"jobs/*/{job.id}-*")
    wait_until((folder / "exit").exists, timeout=30, what="the job to end")
    agent.start()
    assert manager.wait_for_exit(job).code == 0
    assert effects(manager) == [job.id]


def test_jobs_begin_once_while_agents_are_killed_at_any_moment(played):
    manager, agent = played
    agent.start()
    over = threading.Event()
    chance = random.Random(int(os.environ["NOWCAST_TESTS_SEED"]))
    jobs = []

    def launch() -> None:
        while not over.wait(chance.uniform(0.01, 0.2)) and len(jobs) < 25:
            jobs.append(manager.submit("work"))

    launcher = threading.Thread(target=launch)
    launcher.start()
    for _ in range(6):
        heard = len(manager.said)
        wait_until(lambda heard=heard: len(manager.said) > heard, timeout=30, what="the agent")
        threading.Event().wait(chance.uniform(0.0, 0.5))
        agent.kill()
        agent.start()
    launcher.join(60)
    over.set()
    for job in jobs:
        assert manager.wait_for_exit(job, 60).code == 0
    assert Counter(effects(manager)) == dict.fromkeys((job.id for job in jobs), 1)


def test_an_agent_frozen_with_an_order_in_its_hands_begins_nothing_after_its_lease(played, points):
    """By then the manager may have given the job to others: here it has withdrawn it."""
    manager, agent = played
    manager.talkback = replace(manager.talkback, lease=2.0)
    agent.start(NOWCAST_CRASH_POINTS=str(points))
    begin(manager)
    arm(points, "agent.ordered", signal.SIGSTOP)
    job = manager.submit("work")
    wait_until(lambda: is_stopped(agent.process.pid), timeout=30, what="the agent to stop")
    manager.withdraw(job)
    threading.Event().wait(2.5)  # for longer than the lease
    heard = len(manager.of(Report))
    agent.send(signal.SIGCONT)
    wait_until(lambda: len(manager.of(Report)) > heard + 5, timeout=30, what="it to go on")
    later = begin(manager)
    assert manager.wait_for_exit(later).code == 0
    assert job.id not in effects(manager)


def test_an_agent_frozen_for_longer_than_its_lease_goes_on_with_its_jobs(played):
    manager, agent = played
    manager.talkback = replace(manager.talkback, lease=1.0)
    agent.start()
    job = begin(manager, "until", "go")
    agent.send(signal.SIGSTOP)
    wait_until(lambda: is_stopped(agent.process.pid), timeout=30, what="the agent to stop")
    later = manager.submit("work")
    (manager.folder / "go").touch()
    threading.Event().wait(1.5)
    agent.send(signal.SIGCONT)
    for each in (job, later):
        assert manager.wait_for_exit(each).code == 0
    assert Counter(effects(manager)) == {job.id: 1, later.id: 1}


def test_a_hand_that_does_not_answer_holds_up_no_report(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "go")
    (hand,) = children_of(agent.process.pid)
    os.kill(hand, signal.SIGSTOP)
    (manager.folder / "go").touch()
    reports = len(manager.of(Report))
    wait_until(lambda: len(manager.of(Report)) > reports + 20, timeout=30, what="reports")
    os.kill(hand, signal.SIGCONT)
    assert manager.wait_for_exit(job).code == 0


def test_a_mistake_of_the_agent_is_told_even_by_the_next_one(played):
    manager, agent = played
    (agent.state / "code").mkdir(parents=True)
    agent.start("--cpus", "1")
    wait_until(lambda: manager.of(Register), timeout=30, what="the agent")
    agent.kill()
    (agent.state / "mishaps.json").write_text('["Traceback: it fell over"]')
    agent.start()
    wait_until(
        lambda: any("it fell over" in str(each.errors) for each in manager.of(Report)),
        timeout=30, what="the mistake to be told",
    )  # fmt: skip


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
