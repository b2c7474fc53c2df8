"""A launcher that can open nothing more goes on, and begins what is asked for when it can."""

import resource
import select
from pathlib import Path

import pytest

from executor_helpers import JobSystem
from helpers import wait_until


@pytest.fixture
def system(tmp_path):
    system = JobSystem(tmp_path / "deployment")
    system.module("brief", "")
    yield system
    system.close()


def test_a_launcher_without_descriptors_lives_and_runs_the_job_when_it_has_some(system, caplog):
    assert system.run(system.job("brief")).code == 0
    launcher = system.launcher()
    taken = [int(entry.name) for entry in Path(f"/proc/{launcher}/fd").iterdir()]
    before = resource.prlimit(launcher, resource.RLIMIT_NOFILE)
    resource.prlimit(launcher, resource.RLIMIT_NOFILE, (len(taken), before[1]))
    jobs = [system.job("brief") for _ in range(3)]

    def said() -> bool:
        for job in jobs:
            system.executor.submit(job)
        select.select([system.executor], [], [], 0.05)
        system.executor.hints()
        return "no process can be started" in caplog.text

    try:
        wait_until(said, what="the launcher to say why no job begins")
    finally:
        resource.prlimit(launcher, resource.RLIMIT_NOFILE, before)
    for job in jobs:
        system.run(job)
    assert system.launcher() == launcher
