"""Jobs on another host, while the way there is cut, shut and refused, and processes are killed.

What cannot be seen is not known: a job keeps its state until the host can be asked again. Its
code begins once, however often it was asked for.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from executor_helpers import children_of
from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.process_identity import is_alive
from remote_host import Remote

pytestmark = pytest.mark.ssh

# In a manager: what becomes of the first answer that tells of a claim.
AT_THE_FIRST_ANSWER = """
import contextlib
import os
import random
from nowcast_cli.executors import ssh_call
answer_in, seen = ssh_call._answer_in, []
def instead(stdout):
    answer = answer_in(stdout)
    claimed = answer and any(job["pid"] for job in answer["jobs"].values())
    if claimed and not seen:
        seen.append(True)
        {then}
    return answer
ssh_call._answer_in = instead
"""


def begin(remote: Remote, *arguments: str) -> str:
    """Launch ``first`` on the other host, and wait until its code has begun."""
    job = remote.system.launch("first", *arguments, host="east")
    wait_until(lambda: remote.has_begun(job), what="the job to begin")
    remote.system.wait_for_job(job, "running")
    return job


def options(remote: Remote) -> dict[str, object]:
    return remote.system.settings["run"]["enabled hosts"]["east"]


def reload(remote: Remote) -> None:
    remote.system.write_config()
    assert remote.system.request("reload").type == "ack"


def test_a_job_outlives_its_connection(remote):
    job = begin(remote, "--until", "high-water")
    for _ in range(3):
        remote.sshd.cut()
    remote.there.touch("high-water")
    ended = remote.system.wait_for_process_end(job, 20)
    assert (ended.state, ended.exit["code"]) == ("succeeded", 0)
    assert remote.there.effects() == [(job, "first")]


def test_a_connection_that_hangs_is_given_up(remote):
    options(remote)["ssh options"] |= {"ServerAliveInterval": 1, "ServerAliveCountMax": 1}
    reload(remote)
    job = begin(remote, "--until", "high-water", "--os-exit", "3")
    hanging = children_of(remote.sshd.pid)
    assert hanging != []
    for connection in hanging:
        os.kill(connection, signal.SIGSTOP)
    remote.there.touch("high-water")
    assert "code 3" in remote.system.wait_for_job(job, "crashed", timeout=40).reason
    remote.sshd.cut()


def test_a_host_that_is_away_says_nothing_about_its_jobs(remote):
    job = begin(remote, "--until", "high-water", "--os-exit", "3")
    remote.sshd.stop()
    # The call that was under way when the host went tells less: that it was cut.
    trouble = remote.wait_for_trouble("Connection refused")
    assert "host east cannot be reached by ssh" in trouble
    remote.there.touch("high-water")
    wait_until((remote.folder(job) / "exit").exists, what="the job to end")
    waiting = remote.system.launch("second", host="east")
    assert remote.system.job(job).state == "running"
    assert remote.system.health()["state"] == "ready"
    remote.sshd.start()
    assert "code 3" in remote.system.wait_for_job(job, "crashed", timeout=40).reason
    remote.system.wait_for_job(waiting, "succeeded", timeout=20)
    assert remote.system.health()["trouble"] is None


def test_an_answer_that_is_cut_off_is_asked_for_again(remote):
    remote.system.stop()
    remote.system.start("manager", prelude=AT_THE_FIRST_ANSWER.format(then="answer = None"))
    job = remote.system.launch("first", host="east")
    remote.system.wait_for_process_end(job, 20)
    assert remote.there.effects() == [(job, "first")]


def test_a_manager_killed_before_it_knew_of_a_claim_finds_it(remote):
    system = remote.system
    system.stop()
    dies = AT_THE_FIRST_ANSWER.format(then="os.kill(os.getpid(), 9)")
    system.start("manager", prelude=dies)
    manager = system.pid("manager")
    job = system.launch("first", "--payload", "7", host="east")
    wait_until(lambda: not os.path.exists(f"/proc/{manager}/exe"), what="the manager to die")  # noqa: PTH110
    assert system.job(job).state == "submitting"
    system.kill("manager")
    system.start("manager")
    assert system.wait_for_process_end(job, 20).state == "succeeded"
    assert remote.there.effects() == [(job, "first")]
    assert system.checklist() == {"first": 7}


def test_a_manager_that_comes_back_goes_on_with_a_job_that_ran_and_ended_meanwhile(remote):
    job = begin(remote, "--until", "high-water", "--os-exit", "3")
    remote.system.kill("manager")
    remote.there.touch("high-water")
    wait_until((remote.folder(job) / "exit").exists, what="the job to end")
    remote.system.start("manager")
    assert "code 3" in remote.system.wait_for_job(job, "crashed", timeout=20).reason


def test_jobs_begin_once_while_connections_are_cut_and_managers_killed(remote):
    over = threading.Event()

    def cut() -> None:
        while not over.wait(random.uniform(0.3, 3.0)):
            remote.sshd.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        jobs = []
        for number in range(20):
            jobs.append(remote.system.launch("first", host="east"))
            if number in (5, 15):
                wait_until(lambda: remote.has_begun(jobs[0]), timeout=60, what="a job to begin")
                remote.system.restart("manager")
    finally:
        over.set()
        cutter.join()
    for job in jobs:
        assert remote.system.wait_for_process_end(job, 60).state == "succeeded"
    assert Counter(job for job, _ in remote.there.effects()) == dict.fromkeys(jobs, 1)


def test_a_job_whose_processes_are_gone_without_a_word_is_lost(remote):
    job = begin(remote, "--sleep", "600")
    claim = read_claim(remote.folder(job))
    os.kill(claim.runner.pid, signal.SIGKILL)
    os.kill(claim.process.pid, signal.SIGKILL)
    ended = remote.system.wait_for_job(job, "lost", timeout=20)
    assert ended.reason == "its process and its runner have gone without a word"


def test_a_job_goes_on_without_its_runner(remote):
    job = begin(remote, "--until", "high-water")
    os.kill(read_claim(remote.folder(job)).runner.pid, signal.SIGKILL)
    remote.there.touch("high-water")
    assert remote.system.wait_for_job(job, "succeeded", timeout=20)


def test_a_cancelled_job_never_begins_when_its_host_comes_back(remote):
    remote.sshd.stop()
    job = remote.system.launch("first", host="east")
    remote.wait_for_trouble("host east cannot be reached")
    assert remote.system.request("cancel", {"job": job}).type == "ack"
    after = remote.system.launch("second", host="east")
    assert remote.system.job(job).exit is None
    remote.sshd.start()
    remote.system.wait_for_process_end(job, 40)
    remote.system.wait_for_job(after, "succeeded", timeout=20)
    assert remote.there.effects() == [(after, "second")]


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(remote, make_system):
    remote.system.stop()
    shorter = "from nowcast_cli.executors import ssh\nssh.GRACE = 0.3"
    remote.system.start("manager", prelude=shorter)
    job = begin(remote, "--ignore-sigterm", "--sleep", "600")
    wait_until((remote.there.folder / "ignores-sigterm").exists, what="it to ignore SIGTERM")
    claim = read_claim(remote.folder(job))
    remote.system.request("cancel", {"job": job})
    ended = remote.system.wait_for_process_end(job, 20)
    assert (ended.state, ended.exit["signal"]) == ("cancelled", signal.SIGKILL)
    assert not is_alive(claim.process)


def refuse_the_key(remote: Remote) -> None:
    options(remote)["ssh options"]["IdentityFile"] = str(remote.sshd.folder / "stranger")


def doubt_the_host(remote: Remote) -> None:
    empty = remote.sshd.folder / "empty"
    empty.touch()
    options(remote)["ssh options"]["UserKnownHostsFile"] = str(empty)


def name_no_host(remote: Remote) -> None:
    options(remote)["ssh options"]["HostName"] = "east.invalid"


def take_the_python(remote: Remote) -> None:
    options(remote)["python"] = "/nowhere/python"


def take_the_envvars(remote: Remote) -> None:
    options(remote)["envvars"] = "~/no such file"


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (refuse_the_key, "Permission denied (publickey). (`ssh east true` has to work without"),
        (doubt_the_host, "Host key verification failed. (its key is not the known one"),
        (name_no_host, "Could not resolve hostname east.invalid"),
        (take_the_python, "/nowhere/python cannot be run on host east: "),
        (take_the_envvars, "host east has no file ~/no such file (envvars) that can be read"),
    ],
)
def test_what_is_wrong_with_a_host_is_said_and_mended_by_a_reload(remote, break_it, said):
    right = {**options(remote), "ssh options": dict(options(remote)["ssh options"])}
    break_it(remote)
    reload(remote)
    job = remote.system.launch("first", host="east")
    remote.wait_for_trouble(said)
    assert remote.system.job(job).state == "submitting"
    options(remote).update(right)
    reload(remote)
    remote.system.wait_for_job(job, "succeeded", timeout=20)


def test_a_host_that_does_not_answer_holds_nobody_up(remote):
    """Other jobs begin and end meanwhile, and the manager ends when it is told to."""
    os.kill(remote.sshd.pid, signal.SIGSTOP)
    remote.system.launch("first", host="east")
    manager = remote.system.pid("manager")
    wait_until(lambda: "ssh" in commands_of(children_of(manager)), what="the call")
    here = remote.system.launch("second")
    remote.system.wait_for_job(here, "succeeded", timeout=10)
    began = time.monotonic()
    assert remote.system.stop() == 0
    assert time.monotonic() - began < 8


def commands_of(processes: list[int]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{process}/comm").read_text().strip())
    return found
