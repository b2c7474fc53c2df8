"""What the signals of a batch system mean to the runner on the node."""

from __future__ import annotations

import signal

import pytest

from nowcast_cli.executors.node import Signals

TERM, USR1, USR2, XCPU = signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU


@pytest.mark.parametrize(
    ("words", "number", "passed_on", "ends"),
    [
        # Slurm: all processes of the job get what ends it; what is told is told to the runner.
        ([], TERM, None, True),
        ([], XCPU, None, True),
        ([], USR1, USR1, False),
        # PBS: the runner alone gets it.
        (["forward"], TERM, TERM, True),
        (["forward"], USR2, USR2, False),
        # Grid Engine: SIGUSR2 announces SIGKILL, and SIGUSR1 that the job will be suspended.
        (["forward", "SIGUSR2"], USR2, TERM, True),
        (["forward", "SIGUSR2"], USR1, None, False),
        (["forward", "SIGUSR2"], TERM, TERM, True),
    ],
)
def test_what_the_job_gets_and_whether_it_ends(
    words: list[str], number: int, passed_on: int | None, ends: bool
):
    signals = Signals.of(words)
    assert (signals.for_job(number), signals.ends(number)) == (passed_on, ends)
