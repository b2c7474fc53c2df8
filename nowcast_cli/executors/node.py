"""What the job script of a batch system runs on the node: the runner of one job.

``python3 ARCHIVE run FOLDER GRACE [forward]``, where ``FOLDER`` is the job's, on storage that
the node shares with the manager; its ``job.json`` says what to run. It takes the place of the shell
of the job script, so that it gets the signals by which a batch system ends a job, and can have the
job end in time to write how it did.

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
from pathlib import Path
from resource import struct_rusage

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.crash_points import reached
from nowcast_cli.executors.remote_side import become_job
from nowcast_cli.executors.sessions import signal_session
from nowcast_cli.process_identity import identity_of
from nowcast_cli.runner import fork_worker

OWN_ID = "NOWCAST_NATIVE_ID"  # set by the job script: what the batch system calls this job
RAN_AS = "ran_as"

# By which batch systems end a job, and what they tell it besides.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
_TELLING = (signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run the job; ends when it has ended."""
    folder, grace, forward = sys.argv[2], float(sys.argv[3]), "forward" in sys.argv[4:]
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    own_id = os.environ.pop(OWN_ID, "")
    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders.send(Path(folder, "job.json").read_bytes())
    orders.close()
    os.chdir("/")  # whoever stands in a folder keeps its file system from being unmounted
    reached("node.ordered")
    job, runner = fork_worker(theirs, _complain, wait=lambda worker: guard(worker, grace, forward))
    write_atomically(Path(job["folder"], RAN_AS), own_id.encode())
    become_job(job, runner)


def guard(worker: int, grace: float, forward: bool) -> tuple[int, struct_rusage]:
    """Wait for the worker; gives its status and what it has used.

    Of a signal that ends the job, the job's session has ``grace`` seconds left until SIGKILL.
    With ``forward`` that signal is passed on to it: this process is the only one that got it.
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
        elif number in _TELLING or (forward and number in _ENDING):
            signal_session(session, number)
        if number in _ENDING and kill_at is None:
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
