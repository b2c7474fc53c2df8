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


@pytest.mark.parametrize(
    "name", ["message_broker", "manager", "scheduler", "log_aggregator", "workers.sleep"]
)
def test_a_configuration_that_is_of_no_use_is_an_error_in_words_and_no_traceback(tmp_path, name):
    mistakes = {
        "checklist file: $(NOWCAST.ENV.NO_SUCH_VARIABLE)/x\n": "NO_SUCH_VARIABLE is not set",
        "checklist file: [1\n": "this is not YAML",
        "": "must hold keys with values",
        "just text\n": "must hold keys with values",
        None: "there is no such configuration file",
    }
    for number, (text, words) in enumerate(mistakes.items()):
        file = tmp_path / f"{number}.yaml"
        if text is not None:
            file.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", f"nemo_nowcast.{name}", str(file)],
            text=True, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert str(file) in done.stderr
        assert "Traceback" not in done.stderr
