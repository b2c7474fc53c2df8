"""Watching a job from outside: what it writes, as it comes, and what the store says of it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.errors import NotRunning

if TYPE_CHECKING:
    from nowcast_cli.executors.job_folder import Exit
    from nowcast_cli.logs.records import Record
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import JobRecord

T = TypeVar("T")

# A short job is seen to end at once; a long one is not worth a processor's time.
_BETWEEN_LOOKS = (0.03, 0.1)  # seconds, in the first second and later
_BETWEEN_QUESTIONS = 1.0
# A killed manager is back in a second or two; after this one it is taken as gone.
_PATIENCE = 20.0


class Watch:
    """Follows the logs of a system from now on, and shows those of one job.

    Made before the job is launched, so that no line is missed. Log lines and the job's stderr go
    to stderr, its stdout to stdout. What the job has printed is brought into the logs, too: it is
    shown once, as it was printed.
    """

    def __init__(self, system: System, out: Output) -> None:
        from nowcast_cli.logs.search import Follower

        self._system = system
        self._out = out
        self._worker: str | None = None
        self._stdout: Path | None = None
        self._stderr: Path | None = None
        self._printed: Counter[str] = Counter()
        self._follower = Follower(self._files)

    def begin(self, job: JobRecord) -> None:
        """Show what this job writes."""
        folder = folder_of_job(self._system, job)
        self._worker = job.worker
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"

    def until(self, condition: Callable[[], T | None]) -> T:
        """Show what comes until ``condition`` gives a value, and return it.

        Raises NotRunning when the manager, on which every condition depends, has been silent
        for 20 s.
        """
        manager = _Manager(self._system)
        begin = time.monotonic()
        while (value := condition()) is None:
            self.show()
            manager.check()
            time.sleep(_BETWEEN_LOOKS[time.monotonic() - begin > 1])
        self.show()
        return value

    def within(self, seconds: float, condition: Callable[[], T | None]) -> T | None:
        """Do as :meth:`until` does, but give None when ``seconds`` have passed."""
        give_up = time.monotonic() + seconds

        def answer() -> tuple[T | None] | None:
            value = condition()
            return (value,) if value is not None or time.monotonic() > give_up else None

        return self.until(answer)[0]

    def show(self) -> None:
        """Print the lines that have come."""
        self._print(self._follower.poll())

    def finish(self) -> None:
        """Print the rest, also a last line that has no line end."""
        self.show()
        self._print(self._follower.unfinished())

    def _print(self, records: Sequence[Record]) -> None:
        # A line is in its own file before it is in the logs, so it has come by now.
        for record in records:
            if record.file in (self._stdout, self._stderr):
                self._printed.update(record.text.splitlines())
        for record in records:
            if record.file == self._stdout:
                self._out.line(record.text)
                sys.stdout.flush()
            elif record.file == self._stderr or self._is_new_of_worker(record):
                self._out.note(record.text)

    def _is_new_of_worker(self, record: Record) -> bool:
        """Whether it is a record of the worker, and not of a line that the job has printed."""
        from nowcast_cli.logs.of_job import message_of

        message = message_of(record)
        if record.name != self._worker or not self._printed[message]:
            return record.name == self._worker
        self._printed[message] -= 1
        return False

    def _files(self) -> list[Path]:
        from nowcast_cli.logs.search import log_files

        of_the_job = [path for path in (self._stdout, self._stderr) if path and path.is_file()]
        return [*log_files(self._system.config, self._system.paths.logs), *of_the_job]


class _Manager:
    """Notices that the manager has been silent for long."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._asked = self._answered = time.monotonic()

    def check(self) -> None:
        from nowcast_cli.daemon.health import ask_health

        now = time.monotonic()
        if now - self._asked < _BETWEEN_QUESTIONS:
            return
        self._asked = now
        if ask_health(self._system.paths.run / "manager.sock") is not None:
            self._answered = now
        elif now - self._answered > _PATIENCE:
            raise NotRunning(
                "the manager no longer answers, so nobody knows how the job went",
                cause="a job that runs goes on without it, and is taken in when it is back",
                hint="nowcast start, then nowcast job list",
            )


def read_store(system: System, question: Callable[[Reader], T]) -> T:
    """Ask the store. It is opened anew each time: a manager that restarts replaces its log."""
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return question(reader)


def folder_of_job(system: System, job: JobRecord) -> Path:
    """Give the folder of a job."""
    from nowcast_cli.executors.job_folder import folder_of

    return folder_of(system.paths.jobs, job.id, job.worker)


def begun(system: System, job_id: str) -> JobRecord | None:
    """Give the job when its process has begun, or nothing will begin any more, else None."""
    job = read_store(system, lambda reader: reader.job(job_id))
    return job if job.started is not None or not job.unfinished else None


def ended(system: System, job_id: str) -> JobRecord | None:
    """Give the job when both its work and its process have ended, else None."""
    from nowcast_cli.executors.job_folder import read_claim, read_exit
    from nowcast_cli.process_identity import is_alive

    job = read_store(system, lambda reader: reader.job(job_id))
    if job.unfinished:
        return None
    folder = folder_of_job(system, job)
    if read_exit(folder) is not None:
        return job
    if job.executor != "local":
        return job  # how its process ends comes when its host can be asked
    claim = read_claim(folder)
    # Without an `exit` file nobody is left who would write it: the runner was killed.
    is_gone = claim is None or not is_alive(claim.process)
    return job if is_gone and job.ended is not None else None


def exit_code_of(job: JobRecord, exit_: Exit | None) -> int:
    """Give the exit code of a job's process as a shell would, else one that fits its state.

    That of a process which ended with 0 before it told how it went fits its state, too: it is no
    success to go on from.
    """
    if exit_ is not None and exit_.signal is not None:
        return 128 + exit_.signal
    if exit_ is not None and exit_.code:
        return exit_.code
    return {"succeeded": 0, "failed": 1}.get(job.state, 70)


def checklist_holds(system: System, message: int) -> bool | None:
    """True when the checklist file has the effect of the message, else None."""
    from nowcast_cli.store.checklist_file import read_header

    return (read_header(system.paths.checklist_file) or 0) >= message or None
