"""The end of a job is told as soon as its folder can be written again."""

import signal
import subprocess
from pathlib import Path

import pytest

from executor_helpers import JobSystem
from helpers import wait_until
from lab.environment import mount_read_only, unmount
from nowcast_cli.executors.job_folder import read_claim, read_exit
from nowcast_cli.process_identity import is_alive


@pytest.fixture
def system(tmp_path):
    system = JobSystem(tmp_path / "deployment")
    system.module("long", "import time; time.sleep(600)")
    yield system
    system.close()


def test_a_runner_waits_with_the_end_of_its_job_while_the_folder_is_read_only(system):
    job = system.job("long")
    system.begin(job)
    folder = Path(job.folder)
    claim = read_claim(folder)
    try:
        mount_read_only(folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a folder cannot be mounted read-only here: {error.stderr}")
    try:
        system.executor.cancel(claim, signal.SIGKILL)
        wait_until(lambda: not is_alive(claim.process), what="the end of the worker")
        wait_until(lambda: not list(folder.glob("exit")), what="no word of it")
    finally:
        unmount(folder)
    wait_until(lambda: read_exit(folder), what="the runner to tell of the end")
    assert read_exit(folder).signal == signal.SIGKILL
