"""What the job script of a batch system runs on the node: the runner of one job.

``python3 ARCHIVE run FOLDER GRACE [forward] [SIGUSR2]``, where ``FOLDER`` is the job's, on storage
that the node shares with the manager; its ``job.json`` says what to run. It takes the place of the
shell of the job script, so that it gets the signals by which a batch system ends a job, and can
have the job end in time to write how it did.

Of several that are begun for one job, by whatever mishap, one gets past the claim; the others end
and run nothing. ``ran_as`` tells the batch system's id of the one that did.

Standard library only, Python 3.9 and newer: it runs under the Python of the node.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.crash_points import reached
from nowcast_cli.executors.remote_job import become_job
from nowcast_cli.executors.sessions import signal_session
from nowcast_cli.process_identity import identity_of
from nowcast_cli.runner import fork_worker

OWN_ID = "NOWCAST_NATIVE_ID"  # set by the job script: what the batch system calls this job
RAN_AS = "ran_as"
TOLD_TO_END = "nowcast: told to end by "  # in the output of the batch job, and then a signal's name

# By which batch systems end a job, and what they tell it besides.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
_TELLING = (signal.SIGUSR1, signal.SIGUSR2)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Run the job; ends when it has ended."""
    folder, grace, signals = sys.argv[2], float(sys.argv[3]), Signals.of(sys.argv[4:])
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    own_id = os.environ.get(OWN_ID, "")
    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders.send(Path(folder, "job.json").read_bytes())
    orders.close()
    os.chdir("/")  # whoever stands in a folder keeps its file system from being unmounted
    reached("node.ordered")
    me = os.getpid()
    job, runner = fork_worker(
        theirs, _complain, wait=lambda worker: guard(worker, grace, signals), alike=True
    )
    _end_with(me)
    write_atomically(Path(job["folder"], RAN_AS), own_id.encode())
    become_job(job, runner)


@dataclass(frozen=True)
class Signals:
    """What the signals of a batch system mean.

    With ``forward``, those that end the job are passed on to it: the runner is the only one that
    got them. ``warning`` is the one by which a batch system announces SIGKILL, and passed on as
    SIGTERM; such a system announces a suspension by another one, which ends nothing.
    """

    forward: bool = False
    warning: signal.Signals | None = None

    @classmethod
    def of(cls, words: Sequence[str]) -> Signals:
        """Read them from the arguments of this program."""
        named = [signal.Signals[word] for word in words if word != "forward"]
        return cls("forward" in words, named[0] if named else None)

    def for_job(self, number: int) -> int | None:
        """What the job's session is to get when the runner gets this one; None for nothing."""
        if self.warning is not None and number in _TELLING:
            return signal.SIGTERM if number == self.warning else None
        return number if number in _TELLING or (self.forward and number in _ENDING) else None

    def ends(self, number: int) -> bool:
        """Whether this signal says that the job is to end."""
        return number in _ENDING or number == self.warning


def _end_with(runner: int) -> None:
    """Have the kernel kill this process, the worker, when its runner is killed.

    To the batch system the job has ended then, and what runs on would run beside its next attempt.
    """
    with suppress(ImportError, OSError, AttributeError):  # a Python or a libc without
        from ctypes import CDLL

        CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != runner:
        os.kill(os.getpid(), signal.SIGKILL)


def guard(worker: int, grace: float, signals: Signals) -> tuple[int, struct_rusage]:
    """Wait for the worker; gives its status and what it has used.

    Of a signal that ends the job, the job's session has ``grace`` seconds left until SIGKILL.
    All signals are blocked.
    """
    session = identity_of(worker)
    assert session is not None, "nobody else waits for the worker"
    kill_at = None
    while True:
        ended, status, usage = os.wait4(worker, os.WNOHANG)
        if ended:
            break
        number = _next_signal(None if kill_at is None else kill_at - time.monotonic())
        if number is None:
            signal_session(session, signal.SIGKILL)
            kill_at = time.monotonic() + 1.0
        elif (passed_on := signals.for_job(number)) is not None:
            signal_session(session, passed_on)
        if number is not None and signals.ends(number) and kill_at is None:
            print(f"{TOLD_TO_END}{signal.Signals(number).name}", file=sys.stderr, flush=True)
            kill_at = time.monotonic() + grace
    if kill_at is not None:  # nothing of a job that was ended is to stay on the node
        signal_session(session, signal.SIGKILL)
    return status, usage


def _next_signal(patience: float | None) -> int | None:
    """Wait for a signal; None when there was none for so long."""
    awaited = {signal.SIGCHLD, *_ENDING, *_TELLING}
    if patience is None:
        return signal.sigwait(awaited)
    found = signal.sigtimedwait(awaited, max(0.0, patience))
    return None if found is None else found.si_signo


def _complain(kind: str, sentence: str) -> None:
    if kind == "trouble":
        print(sentence, file=sys.stderr, flush=True)
