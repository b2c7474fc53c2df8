"""Crash points end a process where a test has armed them, once, and do nothing otherwise."""

import os
import signal
import subprocess
import sys

from nowcast_cli import crash_points

WALK = """
from nowcast_cli.crash_points import reached
reached("room.first")
reached("room.second")
print("went on")
"""


def walk(folder=None):
    environment = {key: value for key, value in os.environ.items() if "NOWCAST" not in key}
    if folder is not None:
        environment[crash_points.VARIABLE] = str(folder)
    return subprocess.run([sys.executable, "-c", WALK], env=environment, capture_output=True)


def test_an_armed_point_ends_the_first_process_that_reaches_it_and_says_so(tmp_path):
    (tmp_path / "room.second").write_text(str(signal.SIGKILL.value))
    first, second = walk(tmp_path), walk(tmp_path)
    assert (first.returncode, first.stdout) == (-signal.SIGKILL, b"")
    assert (second.returncode, second.stdout) == (0, b"went on\n")
    point, pid, started, number = (tmp_path / crash_points.LOG).read_text().split()
    assert (point, number) == ("room.second", "9")
    assert pid.isdigit()
    assert started.isdigit()


def test_nothing_ends_where_nothing_is_armed(tmp_path):
    assert walk(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_without_the_variable_no_file_is_looked_for(tmp_path):
    (tmp_path / "room.first").write_text("9")
    assert walk().returncode == 0
    assert (tmp_path / "room.first").exists()
