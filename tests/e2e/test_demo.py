"""``make demo``: the script that it runs, on this environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/demo"
ENVIRONMENT = Path(sys.executable).parent


def output_of(*command: object, folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "NOWCAST_YAML": "/nowhere/nowcast.yaml"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that has of the repository what the script needs."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(ENVIRONMENT)
    return tmp_path


def test_the_demo_shows_a_chain_and_stops_and_can_be_seen_again(repository: Path) -> None:
    for chains in (1, 2):
        shown = output_of(repository / "scripts/demo", folder=repository)
        assert "the chain has ended: 2 jobs" in shown
        assert shown.count("awaken  ● succeeded") == chains
        assert "sleepyhead:\n" in shown
        assert f"The toy system lies in {repository}/demo, and it is stopped." in shown

    status = [ENVIRONMENT / "nowcast", "-C", repository / "demo", "status"]
    assert subprocess.run(status, capture_output=True).returncode == 3
