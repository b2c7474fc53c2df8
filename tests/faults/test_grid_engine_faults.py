"""Grid Engine while it is late, away, deletes, limits and loses what runs by it.

An outage says nothing of jobs; ``exit`` tells how a job ended; ``qacct`` says why, in its time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from grid_engine import CLUSTER, REPORTING, GridEngine
from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.process_identity import is_alive
from nowcast_cli.store.records import JobRecord
from systems import MakeSystem, System

pytestmark = pytest.mark.sge

HELD = {"resources": {"extra": ["-h"]}}

# A worker whose two processes use more memory together than one of them may.
HUNGRY = """\
import subprocess, sys, time
from nowcast_cli import NowcastWorker

EAT = "import time; eaten = bytearray(150_000_000); eaten[::4096] = b'1' * len(eaten[::4096]); time.sleep(600)"

def work(arguments, config, tell_manager):
    others = [subprocess.Popen([sys.executable, "-c", EAT]) for _ in range(2)]
    return [other.wait() for other in others]

if __name__ == "__main__":
    worker = NowcastWorker("first", description=__doc__)
    worker.init_cli()
    worker.run(work, lambda arguments: "success", lambda arguments: "failure")
"""  # noqa: E501

# In a manager: files are waited for for a second, and an explanation not as long as on a cluster.
IMPATIENT = """
from nowcast_cli.executors import batch, batch_rounds
batch.BatchExecutor.__init__.__defaults__ = (30.0, 1.0)
batch_rounds.EXPLANATION = {explanation}
"""


def arm(points: Path) -> str:
    """Give what has a manager heed the crash points in a folder."""
    return f"import os\nos.environ['NOWCAST_CRASH_POINTS'] = {str(points)!r}\n"


@pytest.fixture
def make(grid_engine: GridEngine, make_system: MakeSystem) -> Callable[..., System]:
    """Give a function that starts a system whose worker ``first`` is registered like this."""

    def make(entry: Mapping[str, Any] | None = None, prelude: str = "") -> System:
        system = make_system(settings={"executors": CLUSTER})
        system.registry["first"] |= entry or {}
        system.write_config()
        return system.start(prelude=prelude)

    return make


def begin(system: System, *arguments: str) -> JobRecord:
    """Launch ``first`` and wait until its code has begun."""
    job = system.launch("first", *arguments)
    wait_until(lambda: (job, "first") in system.effects(), timeout=30, what="the job to begin")
    system.wait_for_job(job, "running", timeout=30)

    def known() -> JobRecord | None:
        found = system.job(job)
        return found if found.native is not None and found.native["state"] in "rt" else None

    return wait_until(known, timeout=30, what="Grid Engine to say that it runs")


def wait_for_trouble(system: System, words: str) -> str:
    def said() -> str | None:
        trouble = str((system.health() or {}).get("trouble"))
        return trouble if words in trouble else None

    return wait_until(said, timeout=30, what=f"the manager to say {words!r}")


def is_gone(grid_engine: GridEngine, number: str) -> None:
    wait_until(lambda: grid_engine.state(number) is None, timeout=30, what="qstat to forget it")


# --- the accounting is late


def test_a_success_does_not_wait_for_the_accounting(grid_engine: GridEngine, make):
    grid_engine.configure(reporting_params=REPORTING.format(flush="00:00:10"))
    system = make()
    ended = system.wait_for_process_end(system.launch("first"), 30)
    assert ended.state == "succeeded"
    assert grid_engine.account(ended.native["id"], ended.id) == {}


def test_why_a_job_ended_is_waited_for(grid_engine: GridEngine, make):
    grid_engine.delay_accounts(True)
    system = make(prelude=IMPATIENT.format(explanation=60.0))
    job = begin(system, "--sleep", "600")
    os.kill(read_claim(system.job_folder(job.id)).runner.pid, signal.SIGKILL)
    wait_until(lambda: len(grid_engine.calls("qacct")) > 1, timeout=30, what="two questions")
    assert system.job(job.id).state == "running"
    grid_engine.delay_accounts(False)
    ended = system.wait_for_process_end(job.id, 60)
    assert ended.state == "crashed"
    assert "was killed (SIGKILL), by none of Grid Engine's limits" in ended.reason
    assert grid_engine.account(job.native["id"], job.id)["failed"] == "100 : assumedly after job"


def test_what_grid_engine_takes_for_ended_does_not_run_on(grid_engine: GridEngine, make):
    system = make(prelude=IMPATIENT.format(explanation=60.0))
    job = begin(system, "--sleep", "600", "--ignore-sigterm")
    claim = read_claim(system.job_folder(job.id))
    os.kill(claim.runner.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(claim.process), what="the worker to end with its runner")
    assert system.wait_for_process_end(job.id, 60).state == "crashed"


# --- the queue master is away


def test_an_outage_is_unknown_and_no_failure(grid_engine: GridEngine, make):
    system = make()
    job = begin(system, "--until", "high-water")
    grid_engine.kill("qmaster")
    trouble = wait_for_trouble(system, "qstat")
    assert "qmaster" in trouble or "Connection refused" in trouble

    def is_unknown() -> bool:
        return system.job(job.id).native["unknown"]

    wait_until(is_unknown, timeout=20, what="the state to be the last known one")
    assert system.job(job.id).state == "running"
    waiting = system.launch("second")
    grid_engine.start_qmaster()
    wait_until(lambda: not is_unknown(), timeout=60, what="the state to be known again")
    assert grid_engine.state(job.native["id"]) in ("t", "r")
    system.touch("high-water")
    assert system.wait_for_process_end(job.id, 60).state == "succeeded"
    assert system.wait_for_process_end(waiting, 60).state == "succeeded"
    assert sorted(system.ran()) == ["first", "second"]


def test_a_job_ends_while_the_queue_master_is_away(grid_engine: GridEngine, make):
    system = make()
    job = begin(system, "--until", "high-water")
    grid_engine.kill("qmaster")
    wait_for_trouble(system, "qstat")
    system.touch("high-water")
    ended = system.wait_for_process_end(job.id, 20)
    assert (ended.state, ended.exit["code"]) == ("succeeded", 0)


def test_a_job_ends_while_nobody_looks_after_it(grid_engine: GridEngine, make):
    system = make()
    job = begin(system, "--until", "high-water")
    grid_engine.kill("execd")
    system.touch("high-water")
    ended = system.wait_for_process_end(job.id, 20)
    assert (ended.state, ended.exit["code"]) == ("succeeded", 0)
    assert grid_engine.state(job.native["id"]) in ("t", "r")  # it does not know, and we do


# --- it deletes, limits and refuses to begin


def test_qdel_of_a_job_that_runs_is_named(grid_engine: GridEngine, make):
    system = make()
    job = begin(system, "--sleep", "600")
    grid_engine.run("qdel", job.native["id"])
    ended = system.wait_for_process_end(job.id, 60)
    assert ended.state == "crashed"
    assert ended.reason == "it was deleted in Grid Engine (qdel), and not by nowcast"
    is_gone(grid_engine, job.native["id"])
    assert (
        wait_until(lambda: grid_engine.account(job.native["id"], job.id), timeout=30)["failed"]
        == "0"
    )


def test_qdel_of_a_job_that_waits_is_named(grid_engine: GridEngine, make):
    system = make(HELD, prelude=IMPATIENT.format(explanation=2.0))
    job = system.launch("first")
    held = wait_until(
        lambda: (
            (found := system.job(job)).native is not None
            and found.native["state"] == "hqw"
            and found
        ),
        timeout=30,
        what="Grid Engine to hold it",
    )
    grid_engine.run("qdel", held.native["id"])
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "crashed"
    assert "taken out of the queue before it began, and not by nowcast" in ended.reason
    assert grid_engine.state(held.native["id"]) is None
    assert system.ran() == []


def test_a_job_over_its_time_is_named(grid_engine: GridEngine, make):
    system = make({"resources": {"walltime": "2s"}})
    job = begin(system, "--sleep", "600")
    ended = system.wait_for_process_end(job.id, 60)
    assert ended.state == "timed out"
    assert "at its time limit (h_rt=2)" in ended.reason
    account = wait_until(lambda: grid_engine.account(job.native["id"], job.id), timeout=30)
    assert account["failed"].startswith("37 ")
    assert ended.exit["finished_at"]  # it was told to end, and could still say how it did


def test_a_job_over_its_memory_is_named(grid_engine: GridEngine, make):
    system = make({"resources": {"memory": "250 MB"}})
    system.write("workers/first.py", HUNGRY)
    job = system.launch("first")
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "crashed"
    assert "at its memory limit (h_vmem=250000000 a slot): it used" in ended.reason
    account = wait_until(lambda: grid_engine.account(ended.native["id"], ended.id), timeout=30)
    assert account["failed"].startswith("37 ")


def test_a_job_in_error_state_says_why_and_goes_on_when_that_is_mended(
    grid_engine: GridEngine, make, tmp_path: Path
):
    missing = tmp_path / "scratch-disk"
    system = make({"directives": [f"#$ -wd {missing}"]})
    job = system.launch("first")

    def in_error() -> Mapping[str, Any] | None:
        native = system.job(job).native
        return native if native is not None and "E" in native["state"] else None

    native = wait_until(in_error, timeout=30, what="the job to be in error state")
    number = native["id"]
    assert native["state"] == grid_engine.state(number) == "Eqw"
    assert str(missing) in native["reason"]
    assert f"qmod -cj {number}" in native["reason"]
    assert system.job(job).state == "submitting"
    missing.mkdir()
    grid_engine.clear_error(number)
    assert system.wait_for_process_end(job, 60).state == "succeeded"


# --- the manager is killed while it submits


@pytest.mark.parametrize("point", ["batch.before_submit", "batch.submitted", "batch.noted"])
def test_a_manager_that_is_killed_as_it_submits(
    grid_engine: GridEngine, make, tmp_path: Path, point: str
):
    points = tmp_path / "points"
    points.mkdir()
    system = make(HELD, prelude=arm(points))
    (points / point).write_text(str(int(signal.SIGKILL)))
    job = system.launch("first", "--payload", "7")
    wait_until((points / "reached.log").exists, timeout=30, what="the manager to be killed")
    system.restart()
    held = wait_until(
        lambda: (
            (found := system.job(job)).native is not None
            and found.native["state"] == "hqw"
            and found
        ),
        timeout=30,
        what="the job to be found again",
    )
    assert len(grid_engine.calls("qsub")) == 1
    grid_engine.release(held.native["id"])
    assert system.wait_for_process_end(job, 60).state == "succeeded"
    assert system.effects() == [(job, "first")]
    account = wait_until(lambda: grid_engine.account(held.native["id"], held.id), timeout=30)
    assert account["jobname"] == f"first-nc-{job}.1"
