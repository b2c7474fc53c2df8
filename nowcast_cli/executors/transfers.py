"""The transfers of one host: some at once, in threads, tried again until they are done or hopeless.

They go on beside the calls that look at the host's jobs, over the same connection.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors.file_transfer import (
    NotTransferred,
    NotYetTransferred,
    Way,
)
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.rsync_run import RsyncRun, Stopped
from nowcast_cli.executors.ssh_call import SshCall

AT_ONCE = 3  # an sshd takes ten sessions a connection, unless it is told otherwise
_FIRST_PAUSE = 1.0  # s; the next ones are longer
_LONGEST_PAUSE = 30.0

_logger = logging.getLogger(__name__)

# Raises what `send` and `fetch` do.
Work = Callable[[Way], None]
# Is told of the end, in the thread: None, or a sentence that says why it was given up.
Done = Callable[[str | None], None]


@dataclass
class _Transfer:
    job: JobRequest
    work: Work
    done: Done
    rsync: RsyncRun
    call: SshCall
    active: bool = False
    due: float = 0.0
    pause: float = _FIRST_PAUSE
    trouble: str | None = None

    def stop(self) -> None:
        self.rsync.stop()
        self.call.close()


class Transfers:
    """Sends and fetches the files of jobs of one host; ``run`` is the folder for sockets."""

    def __init__(self, host: RemoteHost, run: Path) -> None:
        self._host = host
        self._run = run
        self._known: dict[str, _Transfer] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._threads = 0
        self._told: str | None = None

    def use(self, host: RemoteHost) -> None:
        """Go on with a configuration that was reloaded: what waits is tried again at once."""
        with self._changed:
            if host != self._host:
                self._host = host
                for transfer in self._known.values():
                    transfer.due = 0.0
                self._changed.notify_all()

    def add(self, job: JobRequest, work: Work, done: Done) -> None:
        """Move files of a job; may be repeated while that goes on."""
        with self._changed:
            if job.id in self._known or self._closed:
                return
            run = RsyncRun(Path(job.folder))
            self._known[job.id] = _Transfer(job, work, done, run, SshCall(self._run))
            if self._threads < min(AT_ONCE, len(self._known)):
                self._threads += 1
                # Not waited for by the interpreter's end: a copy to another disk may take hours,
                # and is taken up again.
                name = f"files {self._host.name} {self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            self._changed.notify()

    def stop(self, job_id: str) -> None:
        """Move no more files of a job; nobody is told of that."""
        with self._changed:
            transfer = self._known.pop(job_id, None)
        if transfer is not None:
            transfer.stop()

    def trouble(self) -> str | None:
        """Say why files wait, None where none does."""
        with self._changed:
            return next((each.trouble for each in self._known.values() if each.trouble), None)

    def close(self) -> None:
        """Let go; what has come over stays."""
        with self._changed:
            self._closed = True
            transfers = list(self._known.values())
            self._changed.notify_all()
        for transfer in transfers:
            transfer.stop()

    # --- in the threads

    def _work(self) -> None:
        while (transfer := self._next()) is not None:
            try:
                transfer.work(Way(self._host, self._run, transfer.call, transfer.rsync))
            except Stopped:
                self._forget(transfer)
            except NotYetTransferred as error:
                self._postpone(transfer, str(error))
            except NotTransferred as error:
                self._end(transfer, str(error))
            except Exception as error:  # without this thread nothing would be moved any more
                _logger.exception("files of job %s cannot be moved", transfer.job.id)
                self._postpone(transfer, f"files of job {transfer.job.id} wait: {error!r}")
            else:
                self._end(transfer, None)

    def _next(self) -> _Transfer | None:
        """Wait for a transfer whose time has come; None once closed."""
        with self._changed:
            while not self._closed:
                waiting = [each for each in self._known.values() if not each.active]
                first = min(waiting, key=lambda each: each.due, default=None)
                wait = None if first is None else first.due - time.monotonic()
                if first is not None and wait is not None and wait <= 0:
                    first.active = True
                    return first
                self._changed.wait(wait)
        return None

    def _postpone(self, transfer: _Transfer, trouble: str) -> None:
        with self._changed:
            transfer.active = False
            if transfer.rsync.stopped:
                return
            transfer.trouble = trouble
            transfer.due = time.monotonic() + transfer.pause
            transfer.pause = min(_LONGEST_PAUSE, 2 * transfer.pause)
            told, self._told = self._told, trouble
        if told != trouble:
            _logger.error("%s; it is tried again", trouble)

    def _end(self, transfer: _Transfer, why_not: str | None) -> None:
        if not transfer.rsync.stopped:
            transfer.done(why_not)
        self._forget(transfer)

    def _forget(self, transfer: _Transfer) -> None:
        with self._changed:
            if self._known.get(transfer.job.id) is transfer:
                del self._known[transfer.job.id]
            mended = self._told is not None and not any(
                each.trouble for each in self._known.values()
            )
            if mended:
                self._told = None
        if mended:
            _logger.info("files come to host %s and back again", self._host.name)
