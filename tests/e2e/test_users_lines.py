"""The lines that a new user types, with nothing set in the environment first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NOWCAST = Path(sys.executable).parent / "nowcast"


class Terminal:
    """Types lines into a shell, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if "NOWCAST" not in name}
        self._environment = {**kept, "PATH": f"{NOWCAST.parent}:{os.environ['PATH']}"}

    def type(self, line: str, expected: int = 0) -> str:
        """Type a line, see its exit code, and give all that it printed."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        assert done.returncode == expected, done.stdout
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    for file in tmp_path.glob("*/nowcast.yaml"):
        terminal.type(f"nowcast --config {file} stop")


def test_the_users_lines_work_as_they_stand(terminal: Terminal) -> None:
    terminal.type("nowcast init toy-nowcast")
    terminal.folder /= "toy-nowcast"
    terminal.type("nowcast validate --strict")
    terminal.type("nowcast start")
    ran = terminal.type("nowcast run-worker sleep -- --sleep-time 2")
    assert "INFO [sleep] slept for 2 seconds" in ran
    assert "; awaken follows (job " in ran
    assert "sleep time: 2" in terminal.type("nowcast checklist show")
    status = terminal.type("nowcast status ; nowcast job list ; nowcast logs -n 20 ; nowcast stop")
    assert "manager" in status
    assert "● succeeded" in status
    assert "[sleep]" in status
    assert "sleepyhead" in terminal.type("nowcast checklist show")
    terminal.type("nowcast run-worker sleep", expected=3)
    assert terminal.type("git status --short") == ""


def test_two_systems_made_before_either_runs_run_side_by_side(terminal: Terminal) -> None:
    for name in ("one", "two"):
        terminal.type(f"nowcast init {name}")
    for number, name in enumerate(("one", "two"), 1):
        terminal.type(f"nowcast -C {name} start")
        terminal.type(f"nowcast -C {name} run-worker --follow sleep -- --sleep-time {number}")
    for number, name in enumerate(("one", "two"), 1):
        assert f"sleep time: {number}" in terminal.type(f"nowcast -C {name} checklist show")
        assert terminal.type(f"nowcast -C {name} job list").count("succeeded") == 2


def test_the_worker_to_copy_can_be_copied(terminal: Terminal) -> None:
    terminal.type("nowcast init toy")
    terminal.folder /= "toy"
    terminal.type("nowcast start")
    terminal.type("nowcast run-worker make_forecast -- --run-date 2026-11-22 --hours 3")
    made = terminal.folder / "var" / "forecasts" / "2026-11-22" / "water_level.csv"
    assert len(made.read_text().splitlines()) == 4
    assert "hours: 3" in terminal.type("nowcast checklist show forecast/2026-11-22")
    terminal.type("nowcast run-worker make_forecast -- --hours 0", expected=1)
    # what its text says that a copy takes
    terminal.type("sed s/make_f/my_f/g workers/make_forecast.py >workers/my_forecast.py")
    config = terminal.folder / "nowcast.yaml"
    before, entry, rest = config.read_text().partition("    make_forecast:\n")
    own, blank, rest = rest.partition("\n\n")
    config.write_text(f"{before}{entry}{own}\n    my_forecast:\n{own}{blank}{rest}")
    terminal.type("echo 'after_my_forecast = after_make_forecast' >>next_workers.py")
    terminal.type("nowcast validate --strict && nowcast reload")
    terminal.type("nowcast run-worker my_forecast -- --hours 2")


def test_the_minimal_system_runs(terminal: Terminal) -> None:
    terminal.type("nowcast init small --template minimal")
    terminal.folder /= "small"
    terminal.type("nowcast validate --strict && nowcast start")
    assert "INFO [rotate_logs]" in terminal.type("nowcast run-worker rotate_logs")
    terminal.type("nowcast run-worker clear_checklist")
    assert terminal.type("nowcast checklist show") == "{}\n"
