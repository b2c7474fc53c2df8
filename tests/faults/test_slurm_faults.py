"""Jobs in a real Slurm while its daemons, their manager and the way there are killed and hang.

What cannot be asked is not known, and no failure; what Slurm ends is named as such.

Where waiting for minutes would show no more, these tests shorten it: Slurm calls a node lost after
10 s in place of 5 minutes (``SlurmdTimeout``) and forgets a job after 2 s (``MinJobAge``), a time
limit is moved to now, and a command has 1.5 s in place of 30 until it is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from remote_host import Sshd
from slurm_system import NODES, Slurm
from systems import MakeSystem, System

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

# In a manager: how long a command of Slurm may take, and what a job left to be seen.
PRELUDE = """
from nowcast_cli.executors import batch
batch.BatchExecutor.__init__.__defaults__ = ({deadline}, 1.0)
batch.SLOWEST = 1.0
"""
IMPATIENT = PRELUDE.format(deadline=1.5)
PATIENT = PRELUDE.format(deadline=30.0)


@pytest.fixture
def system(slurm: Slurm, make_system: MakeSystem) -> System:
    return started(make_system)


def started(make_system: MakeSystem, prelude: str = IMPATIENT) -> System:
    cluster = {"kind": "slurm", "poll": 0.3, "resources": {"memory": "100 MB"}}
    settings = {"executors": {"default": "cluster", "cluster": cluster}}
    system = make_system(settings=settings)
    system.registry["third"]["executor"] = "local"
    system.write_config()
    return system.start(prelude=prelude)


def native_id(system: System, job: str) -> str:
    return str(wait_until(lambda: system.job(job).native, timeout=30, what="Slurm")["id"])


def begin(system: System, *arguments: str, worker: str = "first") -> str:
    """Launch a worker and wait until its code has begun."""
    job = system.launch(worker, *arguments)
    wait_until(lambda: (job, worker) in system.effects(), timeout=30, what="the job to begin")
    system.wait_for_job(job, "running")
    return job


def wait_for_trouble(system: System, words: str) -> None:
    def is_said() -> bool:
        return words in str((system.health() or {}).get("trouble"))

    wait_until(is_said, timeout=60, what=f"the manager to say {words!r}")


def wait_for_exit(system: System, job: str) -> None:
    file = system.job_folder(job) / "exit"
    wait_until(file.exists, timeout=30, what="the job to end")


def test_a_controller_that_is_away_says_nothing_about_jobs(slurm, make_system):
    """It is away from before the one job ends until after another was to be submitted."""
    system = started(make_system, PATIENT)
    ends = begin(system, "--until", "ebb")
    runs = begin(system, "--until", "high-water", "--os-exit", "3")
    there = [native_id(system, job) for job in (ends, runs)]
    slurm.stop_controller()
    waits = system.launch("second")
    wait_for_trouble(system, "Unable to contact slurm controller")
    # What ends is known all the same: its runner has said so.
    system.touch("ebb")
    assert system.wait_for_process_end(ends, 30).state == "succeeded"
    wait_until(lambda: system.job(runs).native["unknown"], timeout=30, what="doubts")
    assert system.job(runs).state == "running"
    assert system.job(waits).state == "submitting"
    here = system.launch("third")
    assert system.wait_for_process_end(here).state == "succeeded"
    system.touch("high-water")
    slurm.start_controller()
    assert "code 3" in system.wait_for_process_end(runs, 60).reason
    assert system.wait_for_process_end(waits, 60).state == "succeeded"
    assert [slurm.state(job) for job in there] == ["COMPLETED", "FAILED"]
    assert system.job(runs).native["unknown"] is False
    wait_until(lambda: system.health()["trouble"] is None, what="the trouble to be over")
    assert len(system.effects()) == 4


def test_jobs_whose_node_daemons_are_killed(slurm, system):
    """One is left alone by that, and ends for itself; of the other no process is left."""
    lives = begin(system, "--until", "high-water", "--payload", "7")
    dies = begin(system, "--sleep", "600")
    there = [native_id(system, job) for job in (lives, dies)]
    nodes = {slurm.show(job)["NodeList"] for job in there}
    for node in nodes:
        slurm.kill(node)
    for job in there:
        for daemon in slurm.step_daemons(job):
            os.kill(daemon, signal.SIGKILL)
    claim = read_claim(system.job_folder(dies))
    for process in (claim.runner, claim.process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    system.touch("high-water")
    assert system.wait_for_process_end(lives, 30).state == "succeeded"
    assert system.checklist() == {"first": 7}
    lost = system.wait_for_job(dies, "lost", timeout=60)
    assert "Slurm has lost the node" in lost.reason
    shown = slurm.show(there[1])
    assert (shown["JobState"], shown["ExitCode"]) == ("NODE_FAIL", "0:0")  # that is no success
    assert lost.native["state"] == "NODE_FAIL"


def test_what_slurm_has_forgotten_is_known_by_what_the_jobs_left(slurm, system):
    slurm.reconfigure(MinJobAge=2)
    ends = begin(system, "--until", "high-water", "--os-exit", "3")
    dies = begin(system, "--sleep", "600")
    system.kill("manager")
    system.touch("high-water")
    claim = read_claim(system.job_folder(dies))
    os.kill(claim.runner.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(claim.process.pid, signal.SIGKILL)
    there = [native_id(system, job) for job in (ends, dies)]
    wait_until(lambda: not slurm.queue().keys() & set(there), timeout=60, what="Slurm to forget")
    system.start("manager", prelude=IMPATIENT)
    assert "code 3" in system.wait_for_process_end(ends, 30).reason
    lost = system.wait_for_job(dies, "lost", timeout=30)
    assert f"Slurm no longer knows its job {there[1]}" in lost.reason


def test_what_slurm_ends_is_named_as_such(slurm, system):
    """By its time limit, its memory limit, and scancel of others, of what runs and what waits.

    Memory is watched here by Slurm's sampler: there, the job is FAILED for Slurm, and slurmstepd
    says why. With cgroups it is OUT_OF_MEMORY.
    """
    late = begin(system, "--sleep", "600")
    soon = datetime.now() + timedelta(seconds=1)  # noqa: DTZ005
    end_time = f"EndTime={soon:%Y-%m-%dT%H:%M:%S}"
    slurm.ask("scontrol", "update", f"jobid={native_id(system, late)}", end_time)
    cancelled = begin(system, "--sleep", "600")
    slurm.ask("scontrol", "update", f"nodename={','.join(NODES)}", "state=drain", "reason=test")
    waits = system.launch("second")
    for job in (cancelled, waits):
        slurm.ask("scancel", native_id(system, job))
    ended = system.wait_for_process_end(waits, 30)
    assert (ended.state, ended.native["state"]) == ("crashed", "CANCELLED")
    assert "cancelled in Slurm (scancel), and not by nowcast" in ended.reason
    assert ended.started is None
    ended = system.wait_for_process_end(cancelled, 30)
    assert (ended.state, ended.exit["code"]) == ("crashed", 70)
    assert "cancelled in Slurm (scancel), and not by nowcast" in ended.reason
    slurm.ask("scontrol", "update", f"nodename={','.join(NODES)}", "state=resume")
    greedy = system.launch("second", "--allocate", str(400 << 20), "--sleep", "600")
    ended = system.wait_for_process_end(greedy, 60)
    assert ended.state == "crashed"
    assert ended.reason == "it needed more memory than it may have, and Slurm ended it"
    ended = system.wait_for_process_end(late, 60)
    assert ended.state == "timed out"
    assert "Slurm ended it at its time limit" in ended.reason
    assert slurm.show(native_id(system, late))["JobState"] == "TIMEOUT"
    # Its runner was told before it was killed, and has written how it ended.
    assert ended.exit["code"] == 70
    assert ended.exit["peak_memory"] > 0


@pytest.mark.parametrize("point", ["batch.before_submit", "batch.submitted", "batch.noted"])
def test_a_manager_killed_as_it_submits_a_job_has_it_run_once(slurm, make_system, tmp_path, point):
    points = tmp_path / "points"
    points.mkdir()
    armed = f"import os\nos.environ['NOWCAST_CRASH_POINTS'] = {str(points)!r}\n{IMPATIENT}"
    system = started(make_system, armed)
    before = slurm.queue().keys()
    (points / point).write_text(str(int(signal.SIGKILL)))
    manager = system.pid("manager")
    job = system.launch("first", "--payload", "7")
    wait_until(lambda: not os.path.exists(f"/proc/{manager}/exe"), what="the manager to die")  # noqa: PTH110
    system.kill("manager")
    assert point in (points / "reached.log").read_text()
    system.start("manager", prelude=IMPATIENT)
    ended = system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded"
    assert system.effects() == [(job, "first")]
    assert [ended.native["id"]] == list(slurm.queue().keys() - before)


def test_a_job_that_is_in_the_queue_twice_is_run_once(slurm, system):
    """As when sbatch was still under way, and nobody could know of it."""
    slurm.ask("scontrol", "update", f"nodename={','.join(NODES)}", "state=drain", "reason=test")
    job = system.launch("first", "--until", "high-water", "--payload", "7")
    ours = native_id(system, job)
    folder = system.job_folder(job)
    slurm.ask("scontrol", "hold", ours)
    options = (f"--output={folder}/batch.out", "--open-mode=append", f"--chdir={folder}")
    other = slurm.ask("sbatch", "--parsable", *options, f"{folder}/batch.sh").strip()
    slurm.ask("scontrol", "update", f"nodename={','.join(NODES)}", "state=resume")
    system.wait_for_job(job, "running", timeout=30)
    slurm.ask("scontrol", "release", ours)
    wait_until(lambda: slurm.state(ours) == "COMPLETED", timeout=30, what="ours to give way")
    wait_until(lambda: system.job(job).native["id"] == other, timeout=30, what="the other")
    assert (system.job(job).state, slurm.state(other)) == ("running", "RUNNING")
    system.touch("high-water")
    assert system.wait_for_process_end(job, 30).state == "succeeded"
    assert system.effects() == [(job, "first")]


def test_a_slurm_that_hangs_on_each_command_costs_nothing_but_time(slurm, system):
    runs = begin(system, "--until", "high-water", "--payload", "7")
    with slurm.hang():
        wait_for_trouble(system, "has not ended for 1.5 seconds")
        waits = system.launch("second")
        cancelled = system.launch("second")
        assert system.request("cancel", {"job": cancelled}).type == "ack"
        here = system.launch("third")
        assert system.wait_for_process_end(here).state == "succeeded"
        system.touch("high-water")
        assert system.wait_for_process_end(runs, 30).state == "succeeded"
        assert system.job(waits).state == "submitting"
        began = time.monotonic()
        assert system.stop() == 0
        assert time.monotonic() - began < 10
        system.start("manager", prelude=IMPATIENT)
    assert system.wait_for_process_end(waits, 60).state == "succeeded"
    system.wait_for_process_end(cancelled, 30)
    assert [job for job, _ in system.effects()].count(waits) == 1
    assert cancelled not in [job for job, _ in system.effects()]


@pytest.fixture
def by_ssh(slurm: Slurm, make_system: MakeSystem, tmp_path: Path) -> Iterator[tuple[System, Sshd]]:
    """Give a system that reaches Slurm by ssh on the host ``head``, and that host's sshd."""
    sshd = Sshd(tmp_path / "sshd")
    sshd.start()
    envvars = tmp_path / "envvars.sh"
    exports = (f"export {name}='{value}'" for name, value in slurm.environment.items())
    envvars.write_text("\n".join(exports))
    head = {
        "envvars": str(envvars),
        "python": sys.executable,
        "state directory": str(tmp_path / "home"),
        "ssh options": sshd.options,
    }
    cluster = {"kind": "slurm", "host": "head", "poll": 0.3, "resources": {"memory": "100 MB"}}
    settings = {
        "run": {"enabled hosts": {"head": head}},
        "executors": {"default": "cluster", "cluster": cluster},
    }
    yield make_system(settings=settings).start(prelude=IMPATIENT), sshd
    sshd.stop()


@pytest.mark.ssh
def test_a_slurm_behind_ssh_is_used_while_connections_are_cut(slurm, by_ssh):
    system, sshd = by_ssh
    runs = begin(system, "--until", "high-water", "--os-exit", "3")
    assert slurm.state(native_id(system, runs)) == "RUNNING"
    sshd.stop()
    waits = system.launch("second", "--payload", "7")
    wait_for_trouble(system, "host head cannot be reached by ssh")
    wait_until(lambda: system.job(runs).native["unknown"], timeout=30, what="it to be unknown")
    sshd.start()
    for _ in range(3):
        sshd.cut()
    with slurm.hang():
        wait_for_trouble(system, "on host head has not ended for 1.5 seconds")
        sshd.cut()
    system.touch("high-water")
    assert "code 3" in system.wait_for_process_end(runs, 60).reason
    assert system.wait_for_process_end(waits, 60).state == "succeeded"
    assert len(system.effects()) == 2
