"""The fault lab: at least 200 faults in systems that run, with fixed seeds and with fresh ones.

A seed that fails is printed with the command that repeats it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.environment import what_is_possible
from lab.report import NOT_HELD

TESTS = Path(__file__).parents[1]
FAULTS = 220
FIXED = 3


@pytest.mark.timeout(1500)
def test_whatever_is_done_to_running_systems_nothing_is_lost_and_nothing_done_twice():
    command = [
        sys.executable,
        "-m",
        "lab",
        "--faults",
        str(FAULTS),
        "--fixed",
        str(FIXED),
        "--systems",
        "2",
    ]
    done = subprocess.run(
        command, cwd=TESTS / "faults", env=lab_environment(), capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.fail(told_first_and_last(done), pytrace=False)
    tried = int(done.stdout.rpartition(" faults in ")[0].rsplit(maxsplit=1)[-1])
    assert tried >= FAULTS
    print(done.stdout)


def told_first_and_last(done):
    """Give all that a lab said, in the middle: a summary shows what is first, a cut log the last.

    A lab that failed without a verdict has a traceback.
    """
    lines = (done.stderr + done.stdout).splitlines()
    verdict = [line for line in lines if line.startswith(NOT_HELD)]
    verdict = verdict or done.stderr.splitlines()[-1:] or lines[-1:]
    return "\n".join([" | ".join(verdict), *lines, *verdict])


def test_this_machine_can_do_what_the_lab_needs():
    missing = what_is_possible()
    if missing:
        pytest.skip("; ".join(missing.values()))


def lab_environment():
    paths = (TESTS.parent, TESTS, TESTS / "faults")
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


@pytest.mark.timeout(600)
def test_a_short_soak_measures_every_daemon_and_says_whether_anything_grows():
    done = subprocess.run(
        [sys.executable, "-m", "lab.soak", "--minutes", "0.4"],
        cwd=TESTS / "faults", env=lab_environment(), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.fail(told_first_and_last(done), pytrace=False)
    for name in ("manager", "message_broker", "standby", "scheduler", "log_aggregator", "launcher"):
        for kind in ("memory (MB)", "descriptors", "threads"):
            assert f"{name:24} {kind}" in done.stdout
    assert "write-ahead log" in done.stdout
    assert "nothing grows" in done.stdout
