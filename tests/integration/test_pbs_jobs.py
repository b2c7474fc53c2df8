"""Jobs by PBS: by stand-ins for its commands, which take and print what its documentation says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_command import nowcast
from pbs_system import Pbs
from systems import MakeSystem, System

Make = Callable[..., System]

# In a manager: files, and an explanation, are waited for for a second.
IMPATIENT = """
from nowcast_cli.executors import batch, batch_rounds
batch.BatchExecutor.__init__.__defaults__ = (30.0, 1.0)
batch_rounds.EXPLANATION = 1.0
"""


@pytest.fixture
def make(pbs: Pbs, make_system: MakeSystem) -> Make:
    """Give a function that starts a system whose worker ``first`` is registered like this."""

    def make(entry: Mapping[str, Any] | None = None, prelude: str = "") -> System:
        cluster = {"kind": "pbs", "poll": 0.3}
        system = make_system(settings={"executors": {"default": "cluster", "cluster": cluster}})
        system.registry["first"] |= entry or {}
        system.write_config()
        return system.start(prelude=prelude)

    return make


def wait_for_native(system: System, job: str, state: str) -> Mapping[str, Any]:
    def reached() -> Mapping[str, Any] | None:
        native = system.job(job).native
        return native if native is not None and native["state"] == state else None

    return wait_until(reached, timeout=30, what=f"PBS to call job {job} {state}")


def begin(system: System, *arguments: str) -> tuple[str, str]:
    """Launch ``first`` and wait until its code has begun; gives our id, and that of PBS."""
    job = system.launch("first", *arguments)
    wait_until(lambda: (job, "first") in system.effects(), timeout=30, what="the job to begin")
    system.wait_for_job(job, "running", timeout=30)
    return job, wait_for_native(system, job, "R")["id"]


def test_a_job_runs(pbs: Pbs, make: Make):
    wanted = {"cpus": 2, "memory": "1 GB", "walltime": "1h", "account": "ocean"}
    system = make({"resources": wanted})
    job = system.launch("first", "--payload", "7")
    ended = system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded"
    assert system.checklist() == {"first": 7}
    assert system.effects() == [(job, "first")]
    told = pbs.attributes(ended.native["id"])
    assert told["Job_Name"] == f"nc-{job}.1"
    assert told["Resource_List.select"] == "1:ncpus=2:mem=1000000000b"
    assert told["Resource_List.walltime"] == "01:00:00"
    assert told["Rerunable"] == "False"
    wait_until(lambda: pbs.attributes(ended.native["id"])["job_state"] == "F", what="PBS to end it")


def test_what_pbs_says_of_a_job_that_waits_is_told_and_it_is_cancelled(pbs: Pbs, make: Make):
    system = make({"resources": {"cpus": 4}})
    _, running = begin(system, "--sleep", "600")
    waits = system.launch("first")
    native = wait_for_native(system, waits, "Q")
    assert native["reason"] == "Not Running: Insufficient amount of resource: ncpus"
    looks = [call for call in pbs.calls("qstat") if native["id"] in call]
    assert looks != []
    assert all(running in call for call in looks)  # one look tells of both
    assert system.request("cancel", {"job": waits}).type == "ack"
    assert system.wait_for_process_end(waits, 30).state == "cancelled"
    wait_until(lambda: pbs.attributes(native["id"])["job_state"] == "F", what="PBS to end it")
    assert system.ran() == ["first"]


def test_a_job_that_pbs_refuses_has_crashed_and_says_why(pbs: Pbs, make: Make):
    system = make({"resources": {"queue": "tidal"}})
    refused = system.wait_for_process_end(system.launch("first"), 30)
    assert (refused.state, refused.reason) == ("crashed", "PBS refused the job: Unknown queue")


@pytest.mark.parametrize("history", [True, False])
def test_a_job_over_its_time_is_named(pbs: Pbs, make: Make, history: bool):
    pbs.set("no-history", not history)
    system = make({"resources": {"walltime": "2s"}})
    job, native_id = begin(system, "--sleep", "600")
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "timed out"
    if history:
        assert "at its time limit (walltime=00:00:02): it used" in ended.reason
        assert pbs.attributes(native_id)["Exit_status"] == "-29"
    else:  # there is the line that PBS has written into its output
        assert "PBS ended it at its limit: walltime" in ended.reason


def test_qdel_of_a_job_that_runs_is_named(pbs: Pbs, make: Make):
    system = make()
    job, native_id = begin(system, "--sleep", "600")
    pbs.run("qdel", native_id)
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "crashed"
    assert ended.reason == "it was deleted in PBS (qdel), and not by nowcast"
    assert pbs.attributes(native_id)["comment"].endswith("and terminated")


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (True, "it was deleted in PBS (qdel), and not by nowcast, before it began"),
        (False, "it was taken out of the queue before it began, and not by nowcast"),
    ],
)
def test_qdel_of_a_job_that_waits_is_named(pbs: Pbs, make: Make, history: bool, words: str):
    pbs.set("no-history", not history)
    system = make({"resources": {"cpus": 4}}, prelude=IMPATIENT)
    begin(system, "--sleep", "600")
    waits = system.launch("first")
    pbs.run("qdel", wait_for_native(system, waits, "Q")["id"])
    ended = system.wait_for_process_end(waits, 60)
    assert ended.state == "crashed"
    assert words in ended.reason
    assert system.ran() == ["first"]


def test_a_job_whose_node_died_is_not_run_on_and_not_failed(pbs: Pbs, make: Make):
    pbs.set("no-history")
    system = make(prelude=IMPATIENT)
    job, _ = begin(system, "--sleep", "600")
    os.kill(read_claim(system.job_folder(job)).runner.pid, signal.SIGKILL)
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "lost"
    assert "PBS no longer knows its job" in ended.reason


def test_an_outage_is_unknown_and_no_failure(pbs: Pbs, make: Make):
    system = make()
    job, _ = begin(system, "--until", "high-water")
    pbs.set("down")
    wait_until(lambda: system.job(job).native["unknown"], timeout=30, what="nobody to know")
    waiting = system.launch("second")
    trouble = str((system.health() or {})["trouble"])
    assert "cannot connect to server pbs-head" in trouble
    assert system.job(job).state == "running"
    system.touch("high-water")
    assert system.wait_for_process_end(job, 30).state == "succeeded"  # its exit tells
    assert system.job(waiting).state == "submitting"
    pbs.set("down", False)
    assert system.wait_for_process_end(waiting, 60).state == "succeeded"
    assert system.ran() == ["first", "second"]


def test_a_server_that_hangs_costs_nothing_but_time(pbs: Pbs, make: Make):
    system = make(prelude=IMPATIENT.replace("(30.0, 1.0)", "(1.0, 1.0)"))
    pbs.set("hangs")
    job = system.launch("first")
    wait_until(
        lambda: "has not ended for 1 seconds" in str((system.health() or {}).get("trouble")),
        timeout=30,
        what="the manager to say so",
    )
    here = system.tell("second", "progress")  # the manager answers all the while
    assert here.type == "ack"
    pbs.set("hangs", False)
    assert system.wait_for_process_end(job, 60).state == "succeeded"
    assert system.ran() == ["first"]


@pytest.mark.parametrize("point", ["batch.before_submit", "batch.submitted", "batch.noted"])
def test_a_manager_that_is_killed_as_it_submits(pbs: Pbs, make: Make, tmp_path: Path, point: str):
    points = tmp_path / "points"
    points.mkdir()
    (points / point).write_text(str(int(signal.SIGKILL)))
    system = make(prelude=f"import os\nos.environ['NOWCAST_CRASH_POINTS'] = {str(points)!r}\n")
    job = system.launch("first")
    wait_until((points / "reached.log").exists, timeout=30, what="the manager to be killed")
    system.restart()
    assert system.wait_for_process_end(job, 60).state == "succeeded"
    assert len(pbs.calls("qsub")) == 1
    assert system.effects() == [(job, "first")]


def test_its_health_is_told_and_a_job_is_tried(pbs: Pbs, make: Make):
    system = make()
    assert "PBS; queues that take jobs: workq" in nowcast(system.folder, "executor", "list").out
    examined = nowcast(system.folder, "doctor").out
    assert "executor cluster: a job ran (job 101.pbs-head there)" in examined
    assert len(pbs.calls("qsub")) == 1
    pbs.set("down")
    told = nowcast(system.folder, "executor", "list")
    assert "cannot connect to server pbs-head (errno=15010)" in told.out
