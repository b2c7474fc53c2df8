"""The files of jobs of a host without shared storage: inputs go before a job, outputs come after.

A job begins when its inputs are there, and whole. When it has ended, its ``exit`` is held back
until its outputs are here, and in place; whoever reads its folder here finds what a job of this
machine would have left.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.command_end import has_succeeded
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import mirror
from nowcast_cli.executors.carried_files import carried_files
from nowcast_cli.executors.file_transfer import send
from nowcast_cli.executors.job_folder import ENDED, JobRequest, read_exit
from nowcast_cli.executors.job_outputs import end_here
from nowcast_cli.executors.transfers import Transfers


class JobFiles:
    """Knows which jobs wait for files of theirs, and has these moved.

    Parameters
    ----------
    run
        The folder for the socket of the shared connection.
    changed
        Is told of a job that may begin, cannot begin or has its ``exit`` here, in a thread.
    """

    def __init__(self, host: RemoteHost, run: Path, changed: Callable[[JobRequest], None]) -> None:
        self._host = host
        self._transfers = Transfers(host, run)
        self._changed = changed
        self._lock = threading.Lock()
        self._sent: set[str] = set()
        self._hopeless: dict[str, str] = {}
        self._fetching: set[str] = set()
        self._unwanted: set[str] = set()

    def use(self, host: RemoteHost) -> None:
        """Go on with a configuration that was reloaded."""
        self._host = host
        self._transfers.use(host)

    def may_begin(self, job: JobRequest) -> bool:
        """Say whether a job has all that it needs there; has it sent, where it has not.

        Raises OSError.
        """
        carried = carried_files(self._host, job)
        with self._lock:
            if carried is None or not carried.inputs or job.id in self._sent:
                return True
            if job.id in self._hopeless:
                return False
        if not Path(job.folder, "job.json").exists():
            mirror.prepare(job)
        inputs = carried.inputs
        self._transfers.add(
            job, lambda way: send(way, job, inputs), lambda why: self._was_sent(job, why)
        )
        return False

    def why_not(self, job_id: str) -> str | None:
        """Say why a job cannot begin, ever; None where it can."""
        return self._hopeless.get(job_id)

    def may_end(self, job: JobRequest, ending: str) -> bool:
        """Say whether the ``exit`` of a job, its text, may be told; has outputs fetched first.

        Raises OSError.
        """
        if carried_files(self._host, job) is None or Path(job.folder, "exit").exists():
            return True
        with self._lock:
            if job.id in self._unwanted:
                return True
            begins = job.id not in self._fetching
        if begins:
            write_atomically(Path(job.folder, ENDED), ending.encode())
            with self._lock:
                self._fetching.add(job.id)
        self._transfers.add(
            job, lambda way: end_here(way, job, json.loads(ending)), lambda _: self._ended(job)
        )
        return False

    def is_fetching(self, job_id: str) -> bool:
        """Say whether a job has ended, and what it has left is still to come."""
        return job_id in self._fetching

    def cancel(self, job_id: str) -> None:
        """Move no more files of a job that is to end; what it has left stays there."""
        with self._lock:
            self._unwanted.add(job_id)
            self._fetching.discard(job_id)
        self._transfers.stop(job_id)

    def forget(self, job_id: str) -> None:
        """Know a job no more."""
        self._transfers.stop(job_id)
        with self._lock:
            for known in (self._sent, self._fetching, self._unwanted):
                known.discard(job_id)
            self._hopeless.pop(job_id, None)

    def trouble(self) -> str | None:
        """Say why files wait, None where none does."""
        return self._transfers.trouble()

    def close(self) -> None:
        """Let go; what has come over stays where it is."""
        self._transfers.close()

    def _was_sent(self, job: JobRequest, why_not: str | None) -> None:
        with self._lock:
            if why_not is None:
                self._sent.add(job.id)
            else:
                self._hopeless[job.id] = why_not
        self._changed(job)

    def _ended(self, job: JobRequest) -> None:
        with self._lock:
            self._fetching.discard(job.id)
        self._changed(job)


def no_longer_needed(host: RemoteHost, job: JobRequest) -> list[str]:
    """Give what may go from the scratch folder there of a job that has ended.

    That is what was sent and fetched, but all of it stays where the job has not succeeded.
    """
    carried = carried_files(host, job)
    ending = None if carried is None else read_exit(Path(job.folder))
    if carried is None or ending is None:
        return []
    try:
        succeeded = has_succeeded(job.to_json(), ending.to_json())
    except (OSError, ValueError):  # of what it has told: the end of the job says so
        return []
    return list(carried.names) if succeeded else []
