"""Jobs in a real Slurm, with its word of them beside ours."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from helpers import wait_until
from slurm_system import Slurm
from systems import MakeSystem, System

pytestmark = pytest.mark.slurm


@pytest.fixture
def system(slurm: Slurm, make_system: MakeSystem) -> System:
    """Give a system whose jobs go to Slurm: all resources are asked for by the worker `second`."""
    settings = {
        "executors": {
            "default": "cluster",
            "cluster": {
                "kind": "slurm",
                "poll": 0.3,
                "resources": {"memory": "100 MB", "walltime": "10 min"},
                "directives": ["#SBATCH --nice=3"],
            },
        }
    }
    made = make_system(settings=settings)
    made.registry["second"] |= {
        "resources": {
            "cpus": 2, "memory": "400 MB", "walltime": "90 s", "queue": "short",
            "extra": ["--nodelist=n3"],
        },
        "directives": ["#SBATCH --nice=7"],
    }  # fmt: skip
    made.write_config()
    return made.start()


def native_id(system: System, job: str) -> str:
    """Give what Slurm calls a job, once it has taken it."""
    return str(wait_until(lambda: system.job(job).native, timeout=30, what="Slurm")["id"])


def wait_for_native(system: System, job: str, told: Callable[[dict[str, Any]], bool]) -> None:
    def is_so() -> bool:
        native = system.job(job).native
        return native is not None and told(native)

    wait_until(is_so, timeout=30, what="its state in Slurm to be told")


def begin(system: System, *arguments: str, worker: str = "first") -> str:
    """Launch a worker and wait until its code has begun."""
    job = system.launch(worker, *arguments)
    wait_until(lambda: (job, worker) in system.effects(), timeout=30, what="the job to begin")
    system.wait_for_job(job, "running")
    return job


def test_a_job_runs_on_a_node_and_both_say_the_same_of_it(slurm, system):
    job = begin(system, "--until", "high-water", "--payload", "7")
    there = native_id(system, job)
    assert slurm.state(there) == "RUNNING"
    wait_for_native(system, job, lambda native: native["state"] == "RUNNING")
    shown = slurm.show(there)
    assert shown["Comment"] == f"nowcast:{job}.1"
    assert (shown["Requeue"], shown["JobName"]) == ("0", "first")
    assert (shown["NumCPUs"], shown["TimeLimit"], shown["Nice"]) == ("1", "00:10:00", "3")
    assert shown["MinMemoryNode"] == "96M"  # of 100 MB, rounded up
    system.touch("high-water")
    ended = system.wait_for_process_end(job, 30)
    assert (ended.state, ended.exit["code"]) == ("succeeded", 0)
    assert ended.created < ended.submitted < ended.started < ended.ended
    assert system.checklist() == {"first": 7}
    wait_until(lambda: slurm.state(there) == "COMPLETED", what="Slurm to say so")


def test_what_a_worker_asks_for_is_what_slurm_gives(slurm, system):
    job = begin(system, "--until", "high-water", worker="second")
    shown = slurm.show(native_id(system, job))
    assert (shown["NumCPUs"], shown["MinMemoryNode"]) == ("2", "382M")
    assert (shown["Partition"], shown["NodeList"]) == ("short", "n3")
    assert shown["TimeLimit"] == "00:02:00"  # whole minutes, rounded up
    assert shown["Nice"] == "7"
    system.touch("high-water")
    assert system.wait_for_process_end(job, 30).state == "succeeded"


def test_jobs_that_wait_are_told_of_with_one_command_a_poll_and_can_be_cancelled(slurm, system):
    slurm.ask("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
    waiting = [system.launch("second") for _ in range(5)]
    for job in waiting:
        wait_for_native(system, job, lambda native: native["state"] == "PENDING")
        wait_for_native(system, job, lambda native: native["reason"] != "")
    there = [native_id(system, job) for job in waiting]
    assert [slurm.state(job) for job in there] == ["PENDING"] * 5
    assert {system.job(job).state for job in waiting} == {"submitting"}
    slurm.forget_calls()
    wait_until(lambda: slurm.calls("squeue") >= 2, timeout=30, what="two polls")
    one, two = (line for line in slurm.called("squeue")[:2])
    assert one == two
    assert all(job in one for job in there)
    for job in waiting:
        assert system.request("cancel", {"job": job}).type == "ack"
    for job in waiting:
        assert system.wait_for_process_end(job, 30).state == "cancelled"
    assert {slurm.state(job) for job in there} == {"CANCELLED"}
    assert all(system.job(job).started is None for job in waiting)
    assert system.effects() == []


def test_a_job_that_runs_is_cancelled_there_and_writes_how_it_ended(slurm, system):
    job = begin(system, "--sleep", "600")
    assert system.request("cancel", {"job": job}).type == "ack"
    ended = system.wait_for_process_end(job, 30)
    assert (ended.state, ended.exit["code"]) == ("cancelled", 70)
    there = native_id(system, job)
    wait_until(lambda: slurm.state(there) == "CANCELLED", timeout=20, what="Slurm to say so")


def test_a_signal_for_the_job_script_is_one_for_the_worker(slurm, system):
    """As by ``--signal=B:USR1@300``: here it ends the worker, which does not expect it."""
    job = begin(system, "--sleep", "600")
    slurm.ask("scancel", "--batch", "--signal=USR1", native_id(system, job))
    ended = system.wait_for_process_end(job, 30)
    assert (ended.state, ended.exit["signal"]) == ("crashed", signal.SIGUSR1)
    assert slurm.show(native_id(system, job))["ExitCode"] == f"{128 + signal.SIGUSR1}:0"


def test_a_job_that_ends_by_itself_ends_for_its_own_reason(slurm, system):
    job = begin(system, "--print", "it is raining", "--os-exit", "3")
    ended = system.wait_for_process_end(job, 30)
    assert (ended.state, ended.exit["code"]) == ("crashed", 3)
    assert "code 3 without its message; last on stderr: it is raining" in ended.reason
    assert slurm.show(native_id(system, job))["ExitCode"] == "3:0"
    wait_for_native(system, job, lambda native: native["state"] == "FAILED")


def test_what_slurm_refuses_is_a_crash_that_says_why(slurm, system):
    system.registry["second"]["resources"] = {"queue": "lnog"}
    system.write_config()
    assert system.request("reload").type == "ack"
    before = slurm.queue()
    job = system.launch("second")
    ended = system.wait_for_process_end(job, 30)
    assert ended.state == "crashed"
    assert "Slurm has refused the job: invalid partition specified: lnog" in ended.reason
    assert (slurm.queue(), ended.native) == (before, None)


def test_a_python_that_is_not_on_the_node_is_named(slurm, system):
    system.settings["executors"]["cluster"]["python"] = "/nowhere/python3"
    system.write_config()
    assert system.request("reload").type == "ack"
    ended = system.wait_for_process_end(system.launch("first"), 30)
    assert ended.state == "crashed"
    assert "it could not begin on its node: " in ended.reason
    assert "/nowhere/python3" in ended.reason
    assert ended.started is None


def test_a_manager_that_comes_back_goes_on_with_what_waits_runs_and_has_ended(slurm, system):
    ends = begin(system, "--until", "ebb", "--os-exit", "3")
    runs = begin(system, "--until", "high-water")
    slurm.ask("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
    begins = system.launch("second", "--os-exit", "4")
    there = [native_id(system, job) for job in (ends, runs, begins)]
    system.kill("manager")
    system.touch("ebb")
    slurm.ask("scontrol", "update", "nodename=n3", "state=resume")

    def states() -> list[str | None]:
        return [slurm.state(job) for job in there]

    expected = ["FAILED", "RUNNING", "FAILED"]
    wait_until(lambda: states() == expected, timeout=30, what="two jobs to end")
    system.start("manager")
    system.touch("high-water")
    assert "code 3" in system.wait_for_process_end(ends, 30).reason
    assert "code 4" in system.wait_for_process_end(begins, 30).reason
    assert system.wait_for_process_end(runs, 30).state == "succeeded"
    assert len(system.effects()) == 3
    assert [native_id(system, job) for job in (ends, runs, begins)] == there
