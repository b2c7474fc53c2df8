"""A worker whose runner is killed before the job is claimed leaves the job to another pair."""

import os
import signal
from pathlib import Path

import pytest

from executor_helpers import JobSystem, children_of
from helpers import wait_until
from nowcast_cli import crash_points
from nowcast_cli.executors.job_folder import read_claim


@pytest.fixture
def points(tmp_path, monkeypatch):
    folder = tmp_path / "points"
    folder.mkdir()
    monkeypatch.setenv(crash_points.VARIABLE, str(folder))
    return folder


@pytest.fixture
def system(tmp_path, points):
    system = JobSystem(tmp_path / "deployment")
    system.module("brief", "")
    yield system
    system.close()


def test_an_orphan_that_has_its_order_takes_no_other_process_for_its_runner(system, points):
    (points / "worker.forked").write_text(str(signal.SIGSTOP.value))
    wait_until(system.executor.connect, what="the launcher")
    line = wait_until(lambda: (points / crash_points.LOG).exists() and
                      (points / crash_points.LOG).read_text(), what="the spare worker")  # fmt: skip
    worker = int(line.split()[1])
    runner = next(pid for pid in children_of(system.launcher()) if worker in children_of(pid))
    job = system.job("brief")
    system.executor.submit(job)
    wait_until(lambda: Path(job.folder, "job.json").exists(), what="the order to be passed on")
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: runner not in children_of(system.launcher()), what="the runner's end")
    os.kill(worker, signal.SIGCONT)

    assert system.run(job).code == 0
    claim = read_claim(Path(job.folder))
    assert claim.process.pid != worker
    assert claim.runner.pid not in (1, runner)
