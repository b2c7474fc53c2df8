"""``python -m nemo_nowcast.…``: each daemon by the name that upstream's ini files have for it."""

import os
import signal
import subprocess
import sys

import pytest

from helpers import wait_until


@pytest.mark.parametrize("name", ["message_broker", "manager", "scheduler", "log_aggregator"])
def test_a_daemon_runs_by_its_old_name_until_it_is_told_to_end(make_system, name):
    system = make_system()
    daemon = subprocess.Popen(
        [sys.executable, "-m", f"nemo_nowcast.{name}", str(system.config_file)], cwd=system.folder
    )
    health = wait_until(lambda: system.health(name), timeout=20, what=f"the {name} to answer")
    assert (health["daemon"], health["pid"]) == (name, daemon.pid)
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert f"INFO [{name}] running in process {daemon.pid}" in system.log()


@pytest.mark.parametrize("name", ["sleep", "awaken", "clear_checklist", "rotate_logs"])
def test_a_built_in_worker_has_help_by_its_old_name(name):
    shown = subprocess.run(
        [sys.executable, "-m", f"nemo_nowcast.workers.{name}", "-h"],
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "--debug" in shown.stdout
