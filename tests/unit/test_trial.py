"""Trying executors out, and asking them how they are: with a deadline, and never by a traceback."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor_helpers import JobSystem
from nowcast_cli.config.executors import ExecutorSettings
from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.config.resources import Resources
from nowcast_cli.doctor.executors import finding
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors import trial
from nowcast_cli.executors.health import Health, ask_all
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.kinds import HEALTH
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.executors.remote_executor import Surroundings, Target
from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall
from nowcast_cli.executors.trial import Tried, try_out
from nowcast_cli.runner import Exit

CLUSTER = Target(
    ExecutorSettings("cluster", "slurm", resources=Resources(memory=5, cpus=64, gpus=8))
)
LOCAL = Target(ExecutorSettings("local", "local"))
NOW = "2026-11-22T03:04:05.678Z"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[JobSystem]:
    system = JobSystem(tmp_path)
    yield system
    system.close()


@pytest.fixture
def around(here: JobSystem) -> Surroundings:
    return Surroundings(here.paths, sys.executable)


class Cluster:
    """An executor that does with its job what a test says."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.asked: list[JobRequest] = []
        self.cancelled = 0
        self.said: Verdict | None = None
        self.pending: Native | None = None
        self.wrong: str | None = None
        self.code: int | None = None

    def make(self, target: Target, around: Surroundings) -> Any:
        self.poll = target.settings.poll
        return self

    def submit(self, job: JobRequest) -> None:
        self.asked.append(job)
        if self.code is not None:
            folder = Path(job.folder)
            folder.mkdir(parents=True)
            (folder / "stdout").write_text("Linux\n")
            (folder / "stderr").write_text("no such module\n")
            record = Exit(self.code, None, NOW, None, 1, 1.0)
            (folder / "exit").write_text(json.dumps(record.to_json()))

    def fileno(self) -> int:
        return self.reading

    def hints(self) -> list[str]:
        return []

    def asks(self, job_id: str) -> bool:
        return False

    def verdict(self, job_id: str) -> Verdict | None:
        return self.said

    def native(self, job_id: str) -> Native | None:
        return self.pending

    def trouble(self) -> str | None:
        return self.wrong

    def cancel(self, job: JobRequest) -> None:
        self.cancelled += 1
        self.said = Verdict("lost", "it was cancelled")

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def tried(cluster: Cluster, around: Surroundings, deadline: float = 20.0) -> Tried:
    found = try_out(CLUSTER, {"slurm": cluster.make}, around, deadline)
    assert list(around.paths.state.glob(".trial-*")) == []
    return found


def test_a_job_that_ends_well_says_where_it_ran(around: Surroundings) -> None:
    cluster = Cluster()
    cluster.code, cluster.pending = 0, Native("17", "COMPLETED")
    found = tried(cluster, around)
    assert found.trouble is None
    assert found.words.startswith("a job ran (job 17 there) and ended after")
    assert found.words.endswith("s: Linux")
    (request,) = cluster.asked
    # What its jobs ask for is for whole models; a place that is asked for has to be the same.
    assert request.resources == Resources(cpus=1, memory=5, walltime=60.0)
    assert cluster.poll == 1.0
    # On the storage of all jobs, which the nodes see, and not among them.
    place = Path(request.folder).relative_to(around.paths.jobs)
    assert place.parts[0].startswith(".trial-")
    assert finding("cluster", found).level == "note"


def test_a_job_that_ends_badly_says_why(around: Surroundings) -> None:
    cluster = Cluster()
    cluster.code = 1
    found = tried(cluster, around)
    assert found.trouble == "its job ended with code 1: no such module"
    assert finding("cluster", found).level == "error"


def test_a_job_that_never_runs_has_the_verdict_of_its_system(around: Surroundings) -> None:
    cluster = Cluster()
    cluster.said = Verdict("crashed", "the account is unknown")
    refused = tried(cluster, around)
    assert refused.trouble == "its job did not run: the account is unknown"
    assert refused.hint == (
        "see what is asked for there: executors: cluster: resources and directives"
    )
    cluster = Cluster()
    cluster.said, cluster.pending = Verdict("crashed", "no such python"), Native("17", "FAILED")
    assert "its interpreter" in str(tried(cluster, around).hint)


def test_a_job_that_waits_all_the_time_is_taken_back_and_no_fault(around: Surroundings) -> None:
    cluster = Cluster()
    cluster.pending = Native("17", "PENDING", "Resources")
    found = tried(cluster, around, 0.2)
    assert found.trouble is None
    assert found.waits
    assert found.words == "its job waited for all of 0 s: PENDING (Resources)"
    assert cluster.cancelled == 1
    assert finding("cluster", found).level == "note"


def test_lasting_trouble_is_told_before_the_deadline(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PATIENCE", 0.1)
    monkeypatch.setattr(trial, "_TO_END", 0.1)
    cluster = Cluster()
    cluster.wrong = "slurmctld does not answer"
    assert tried(cluster, around, 60.0).trouble == "slurmctld does not answer"


def test_what_refuses_the_job_is_told_with_its_remedy(around: Surroundings) -> None:
    def refuses(target: Target, around: Surroundings) -> Any:
        raise NowcastError("there is no sbatch", cause="not on PATH", hint="load its module")

    found = try_out(CLUSTER, {"slurm": refuses}, around)
    assert found == Tried(trouble="there is no sbatch (not on PATH)", hint="load its module")


def test_this_machine_runs_a_job_by_its_launcher(here: JobSystem, around: Surroundings) -> None:
    found = try_out(LOCAL, {}, around)
    assert found.trouble is None, found
    assert here.launcher() is None, "it was started for the trial alone"
    here.run(here.job("platform"))
    launcher = here.launcher()
    assert try_out(LOCAL, {}, around).trouble is None
    assert here.launcher() == launcher


def test_a_system_that_was_never_started_is_not_tried(tmp_path: Path) -> None:
    system = JobSystem(tmp_path)
    system.close()
    system.paths.run.rename(tmp_path / "gone")
    found = try_out(LOCAL, {}, Surroundings(system.paths, sys.executable))
    assert found == Tried("it is tried once the system has been started")


# --- health


def test_who_hangs_or_breaks_keeps_nobody_from_telling() -> None:
    over = threading.Event()

    def hangs(target: Target, around: Surroundings, deadline: float) -> Health:
        over.wait(60)
        return Health()

    def breaks(target: Target, around: Surroundings, deadline: float) -> Health:
        raise ZeroDivisionError("a mistake")

    def well(target: Target, around: Surroundings, deadline: float) -> Health:
        return Health("three nodes")

    targets = [Target(ExecutorSettings(kind, kind)) for kind in ("slurm", "sge", "pbs")]
    found = ask_all(targets, {"slurm": hangs, "sge": breaks, "pbs": well}, None, 1.0)  # type: ignore[arg-type]
    over.set()
    assert found[0].trouble == "it has not answered for 1 seconds"
    assert found[1].trouble == "it could not be asked: ZeroDivisionError('a mistake')"
    assert found[2] == Health("three nodes")
    assert ask_all([], {}, None) == []  # type: ignore[arg-type]


def test_a_head_node_that_is_not_reached_has_its_own_remedy(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be tried there is of no use as long as nobody gets there."""
    hosts = remote_hosts({"python": "python3", "run": {"enabled hosts": {"head": None}}}, "/n.yaml")
    target = Target(ExecutorSettings("cluster", "slurm", "head"), hosts["head"])

    def exchange(call: SshCall, host: RemoteHost, order: object) -> dict[str, Any]:
        raise NoExchangeError("host head cannot be reached by ssh: no route")

    monkeypatch.setattr(SshCall, "exchange", exchange)
    (health,) = ask_all([target], HEALTH, around)
    assert health.trouble == "host head cannot be reached by ssh: no route"
    assert health.hint == "ssh head true, as this user, has to work without a password"
    answer = {"code": 1, "stdout": "", "stderr": "sinfo: error: no controller"}
    monkeypatch.setattr(SshCall, "exchange", lambda call, host, order: answer)
    (health,) = ask_all([target], HEALTH, around)
    assert str(health.hint).startswith("try sinfo")
