"""A real agent, whose manager is played by the test."""

import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from agent_process import AgentProcess
from executor_helpers import children_of, lines_of
from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.messages.agent_messages import Answer, Register, Report, to_text
from nowcast_cli.process_identity import is_alive
from nowcast_cli.security.key import key_file
from nowcast_command import nowcast

WORK = """
import os, sys, time
from pathlib import Path
here = Path.cwd()
with (here / "effects").open("a") as file:
    file.write(os.environ["NOWCAST_JOB_ID"] + "\\n")
print("begun", flush=True)
words = sys.argv[2:]
if words[:1] == ["print"]:
    sys.stdout.write("x" * int(words[1]))
if words[:1] == ["until"]:
    while not (here / words[1]).exists():
        time.sleep(0.01)
if words[:1] == ["key"]:
    print(os.environ.get("NOWCAST_KEY"))
sys.exit(int(words[2]) if len(words) > 2 else 0)
"""


@pytest.fixture
def played(stand_in):
    manager, agent, _ = stand_in
    (manager.folder / "work.py").write_text(WORK)
    return manager, agent


@pytest.fixture
def system_with_keys(make_system, tmp_path):
    """Give a running system with keys, an agent for it that is not started, and its key."""
    system = make_system(settings={"security": "curve"})
    system.keys.add("east", "agent")
    system.start()
    key = tmp_path / "copied.key"
    shutil.copy(key_file(system.paths.keys, "east"), key)
    agent = AgentProcess(tmp_path, system.port)
    agent.arguments += ["--key", str(key)]
    yield system, agent, key
    agent.end()


def effects(manager):
    return lines_of(manager.folder / "effects")


def begin(manager, *arguments):
    job = manager.submit("work", *arguments)
    wait_until(lambda: job.id in effects(manager), timeout=30, what="the job to begin")
    return job


def running(manager):
    reports = manager.of(Report)
    return reports[-1].running if reports else None


def test_it_says_who_it_is_and_what_its_host_uses(played):
    manager, agent = played
    agent.start("--tag", "fast-disk", "--slots", "3", "--memory", "2 GB")
    wait_until(lambda: len(manager.of(Report)) > 2, timeout=30, what="reports")
    who = manager.of(Register)[0]
    assert (who.agent, who.state_directory, who.config_file) == ("east", str(agent.state), None)
    assert (who.limits.slots, who.limits.memory) == (3, 2_000_000_000)
    assert who.tags[0] == "fast-disk"
    assert who.cpus >= 1
    numbers = [report.number for report in manager.of(Report)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {report.instance for report in manager.of(Report)} == {who.instance}
    assert stat.S_IMODE(agent.state.stat().st_mode) == 0o700


def test_a_job_runs_and_all_of_it_comes_back(played):
    manager, agent = played
    agent.start()
    job = manager.submit("work", "exit", "with", "3")
    assert manager.wait_for_exit(job).code == 3
    assert (Path(job.folder) / "stdout").read_text() == "begun\n"
    assert effects(manager) == [job.id]
    assert not (Path(job.folder) / "stderr").read_text()


def test_much_output_comes_in_parts_beside_that_of_others(played):
    manager, agent = played
    agent.start()
    jobs = [manager.submit("work", "print", "3000000") for _ in range(3)]
    small = manager.submit("work")
    for job in (*jobs, small):
        manager.wait_for_exit(job, 60)
    for job in jobs:
        assert (Path(job.folder) / "stdout").stat().st_size == 3_000_006
    assert len(manager.of(Answer)) > 3


def test_what_runs_is_reported_and_ends_when_it_is_cancelled(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "never")
    wait_until(lambda: running(manager) == (job.id,), timeout=30, what="its report")
    manager.cancel(job)
    assert manager.wait_for_exit(job).signal == signal.SIGTERM
    wait_until(lambda: running(manager) == (), timeout=30, what="its report")


def test_nothing_is_told_while_nothing_is_new(played):
    manager, agent = played
    agent.start()
    begin(manager, "until", "never")
    settled = len(manager.of(Answer))

    def is_quiet():
        nonlocal settled
        before, settled = settled, len(manager.of(Answer))
        return before == settled

    reports = len(manager.of(Report))
    wait_until(lambda: len(manager.of(Report)) > reports + 10, timeout=30, what="reports")
    is_quiet()
    wait_until(lambda: len(manager.of(Report)) > reports + 25, timeout=30, what="reports")
    assert is_quiet()


def test_a_job_outlives_the_agent_and_the_next_one_takes_it_over(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "go", "4")
    agent.send(signal.SIGTERM)
    assert agent.process.wait(20) == 0
    assert "its jobs go on" in agent.log()[-1]
    assert not (agent.state / "agent.pid").exists()
    agent.start()
    wait_until(lambda: len(manager.of(Register)) == 2, timeout=30, what="the second start")
    assert manager.of(Register)[1].running == (job.id,)
    (manager.folder / "go").touch()
    assert manager.wait_for_exit(job).code == 4
    assert effects(manager) == [job.id]


def test_a_manager_that_was_started_again_is_told_who_this_is(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "go", "4")
    manager.forget_all()
    wait_until(lambda: len(manager.of(Register)) > 1, timeout=30, what="the agent to say it again")
    (manager.folder / "go").touch()
    assert manager.wait_for_exit(job).code == 4
    assert effects(manager) == [job.id]


def test_one_agent_of_a_name_runs_on_a_host(played):
    manager, agent = played
    first = agent.start()
    wait_until(lambda: manager.of(Register), timeout=30, what="the agent")
    second = agent.start()
    assert second.wait(30) == 1
    assert f"the agent east runs on this host already, as process {first.pid}" in str(agent.log())
    agent.process = first


def test_an_agent_that_is_refused_says_why_and_ends(played):
    from dataclasses import replace

    manager, agent = played
    manager.talkback = replace(manager.talkback, refused="another east is at work on lagoon")
    assert agent.start().wait(30) == 1
    said = "\n".join(agent.log())
    assert "the manager refuses the agent east" in said
    assert "caused by: another east is at work on lagoon" in said
    assert "registered" not in said


def test_jobs_get_a_key_of_their_own_and_not_the_agents(played, tmp_path):
    manager, agent = played
    manager.key = {"file": "jobs.key", "text": "the key of jobs"}
    agent.start()
    job = manager.submit("work", "key")
    manager.wait_for_exit(job)
    file = agent.state / "keys/jobs.key"
    assert (Path(job.folder) / "stdout").read_text() == f"begun\n{file}\n"
    assert file.read_text() == "the key of jobs"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_was_brought_is_cleared(played, monkeypatch):
    manager, agent = played
    agent.start()
    job = manager.submit("work")
    manager.wait_for_exit(job)
    (folder,) = agent.state.glob(f"jobs/*/{job.id}-*")
    for name in ("stdout", "stderr", "exit"):
        os.utime(folder / name, (0, 0))
    manager.clear(job)
    wait_until(lambda: not (folder / "stdout").exists(), timeout=30, what="the folder to be clear")
    assert (folder / "pid").exists()


def test_a_manager_that_is_away_is_told_of_once_and_jobs_go_on(stand_in):
    manager, agent, _ = stand_in
    (manager.folder / "work.py").write_text(WORK)
    agent.start()
    job = begin(manager, "until", "go", "4")
    manager.silent = True
    wait_until(lambda: "is not reached" in str(agent.log()), timeout=60, what="the agent to say so")
    (manager.folder / "go").touch()
    (folder,) = agent.state.glob(f"jobs/*/{job.id}-*")
    wait_until((folder / "exit").exists, timeout=30, what="the job to end")
    manager.silent = False
    assert manager.wait_for_exit(job).code == 4
    wait_until(lambda: "reached again" in str(agent.log()), timeout=30, what="the agent to say so")
    assert str(agent.log()).count("is not reached") == 1


def test_a_hand_that_is_killed_is_replaced_and_the_mishap_told(played):
    manager, agent = played
    agent.start()
    begin(manager)
    (hand,) = children_of(agent.process.pid)
    os.kill(hand, signal.SIGKILL)
    job = begin(manager)
    assert manager.wait_for_exit(job).code == 0
    wait_until(
        lambda: any("has ended" in error for each in manager.of(Report) for error in each.errors),
        timeout=30, what="the mishap to be told",
    )  # fmt: skip
    assert json.loads((agent.state / "mishaps.json").read_text()) == []


def test_jobs_outlive_the_hand_and_the_hand_no_agent(played):
    manager, agent = played
    agent.start()
    job = begin(manager, "until", "go")
    (hand,) = children_of(agent.process.pid)
    agent.kill()
    wait_until(lambda: not Path(f"/proc/{hand}").exists(), timeout=20, what="the hand to end")
    (folder,) = agent.state.glob(f"jobs/*/{job.id}-*")
    assert is_alive(read_claim(folder).process)


def test_output_comes_through_where_messages_have_to_be_small(stand_in):
    manager, agent, _ = stand_in
    (manager.folder / "work.py").write_text(WORK)
    (manager.folder / "nowcast.yaml").write_text(
        f"checklist file: c.yaml\npython: {sys.executable}\nlogging: {{}}\n"
        "limits: {message size: 40 kB}\nzmq: {host: localhost, ports: {workers: 1, manager: 2}}\n"
    )
    agent.start("--config", str(manager.folder / "nowcast.yaml"))
    job = manager.submit("work", "print", "300000")
    manager.wait_for_exit(job, 60)
    assert (Path(job.folder) / "stdout").stat().st_size == 300_006
    assert max(len(to_text(said)) for said in manager.of(Answer)) < 40_000


def test_a_broker_with_another_key_is_told_and_the_right_key_is_taken_up(system_with_keys):
    system, agent, key = system_with_keys
    agent.start()
    wait_until(lambda: "registered" in str(agent.log()), timeout=30, what="the agent")
    system.keys.rotate("broker")
    words = "is not the message broker that the key"
    wait_until(lambda: words in str(agent.log()), timeout=60, what="the agent to say so")
    key.write_bytes(key_file(system.paths.keys, "east").read_bytes())
    wait_until(lambda: "reached again" in str(agent.log()), timeout=60, what="the agent to be back")


def test_a_key_that_is_revoked_is_told_though_at_first_nobody_answers(system_with_keys):
    system, agent, _ = system_with_keys
    agent.start()
    wait_until(lambda: "registered" in str(agent.log()), timeout=30, what="the agent")
    system.keys.revoke("east")
    words = "refuses the key"
    wait_until(lambda: words in str(agent.log()), timeout=60, what="the agent to say so")


def test_begun_in_a_deployment_without_a_key_it_says_which_is_missing(make_system):
    system = make_system(settings={"security": "curve"})
    said = nowcast(system.folder, "agent", "run", "--name", "east")
    assert said.code == 1
    assert f"there is no key {system.paths.keys / 'east.key'}" in said.err
