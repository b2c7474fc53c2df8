"""Runs jobs by a batch system whose nodes share the jobs' folders with this machine.

All commands are run in a thread, each with a deadline. The batch system is asked for the state of
all jobs with one command; what it cannot be asked stays as it was last known, marked as unknown.
How a job ended is told by its ``exit``; the batch system adds why (its time, its memory), and has
the only word where a job could leave none.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from nowcast_cli.config.executors import ExecutorSettings
from nowcast_cli.executors.batch_commands import DEADLINE, BatchCommands
from nowcast_cli.executors.batch_job import BatchJob, is_clean
from nowcast_cli.executors.batch_rounds import BatchRounds
from nowcast_cli.executors.batch_system import Answer, BatchSystem, Outage
from nowcast_cli.executors.job_folder import JobRequest, read_claim, read_exit
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.executors.remote_executor import Surroundings, Target

LOOK = 0.5  # s between two looks into the folders of jobs
PATIENCE = 10.0  # s that what a job left may take to be seen over a network file system
SLOWEST = 60.0  # s between two tries of a batch system that is away

_logger = logging.getLogger(__name__)


class BatchExecutor:
    """Submits, follows and cancels the jobs of one batch system; holds no truth of its own.

    Parameters
    ----------
    target
        The executor as configured; its host is the head node, None for this machine.
    around
        The system that it belongs to.
    system_of
        Gives the adapter, as configured.
    deadline, patience
        As ``batch_commands.DEADLINE`` and ``PATIENCE``.
    """

    def __init__(
        self,
        target: Target,
        around: Surroundings,
        system_of: Callable[[ExecutorSettings], BatchSystem],
        deadline: float = DEADLINE,
        patience: float = PATIENCE,
    ) -> None:
        self._around = around
        self._system_of = system_of
        self._system = system_of(target.settings)
        self._commands = BatchCommands(target.host, around.paths.run, deadline)
        code = around.paths.jobs / ".code"  # there the nodes find the folders of jobs, too
        self._rounds = BatchRounds(self._system, self._ask, self._tell, code, patience)
        self._configure(target)
        self._jobs: dict[str, BatchJob] = {}
        self._ready: list[str] = []
        self._trouble: str | None = None
        self._next_try = self._pause = 0.0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._changed = threading.Condition()
        self._hurry = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    # --- what others call, none of which blocks

    def fileno(self) -> int:
        """A descriptor that is readable when something may have happened to a job."""
        return self._wake

    def use(self, target: Target) -> None:
        """Go on with a configuration that was reloaded."""
        with self._changed:
            self._configure(target)
            self._rounds.begin_anew()
            self._next_try = 0.0
            self._hurry = True
            self._changed.notify()

    def submit(self, job: JobRequest) -> None:
        """Have a job submitted, where it was not; may be repeated."""
        self._follow(job, begin=True)

    def follow(self, job: JobRequest) -> None:
        """Look at a job that was submitted before."""
        self._follow(job, begin=False)

    def cancel(self, job: JobRequest) -> None:
        """Keep a job from beginning, and take it out of the queue, or end it."""
        self._follow(job, begin=False, cancel=True)

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""
        with self._changed:
            self._jobs.pop(job_id, None)

    def verdict(self, job_id: str) -> Verdict | None:
        """How a job ended, by the batch system; None while it may live or nothing is known."""
        job = self._jobs.get(job_id)
        return None if job is None else job.verdict

    def asks(self, job_id: str) -> bool:
        """Whether the end of a job is to wait until the batch system has said why it ended."""
        job = self._jobs.get(job_id)
        if job is None or job.settled or job.cancel:
            return False
        return not is_clean(read_exit(job.folder))

    def native(self, job_id: str) -> Native | None:
        """What the batch system calls a job and its state; None before it has taken it."""
        job = self._jobs.get(job_id)
        return None if job is None else job.native

    def age(self, job_id: str) -> float | None:
        """The seconds since a job began, by the clock of its node where that is another machine."""
        job = self._jobs.get(job_id)
        claim = None if job is None else read_claim(job.folder)
        if claim is None:
            return None
        return _age_by_clock(claim.claimed_at) if (age := claim.age()) is None else age

    def trouble(self) -> str | None:
        """A sentence that says why nothing is known of the jobs, or they cannot be submitted."""
        # A job that was cancelled before it was taken cannot begin any more: nobody waits for word.
        waits = any(not job.cancel or job.native_id for job in self._jobs.values())
        return (self._trouble or self._rounds.later) if waits else None

    def hints(self) -> list[str]:
        """The ids of jobs of which there is news; never blocks."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        with self._changed:
            ready, self._ready = list(dict.fromkeys(self._ready)), []
        return ready

    def close(self) -> None:
        """Let go of everything; the jobs go on."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._commands.close()
        self._thread.join()
        os.close(self._wake)

    def _configure(self, target: Target) -> None:
        here = self._around.python if target.host is None else target.host.python
        self._name = target.settings.name
        self._commands.use(target.host)
        self._rounds.system = self._system_of(target.settings)
        self._rounds.poll = target.settings.poll
        self._rounds.python = target.settings.python or here

    def _follow(self, request: JobRequest, begin: bool, cancel: bool = False) -> None:
        with self._changed:
            job = self._jobs.setdefault(request.id, BatchJob(request, begin))
            job.begin = (job.begin or begin) and not cancel
            job.cancel = job.cancel or cancel
            self._hurry = True
            self._changed.notify()

    # --- in the thread

    def _run(self) -> None:
        while (jobs := self._await_turn()) is not None:
            try:
                self._rounds.look(jobs)
                if time.monotonic() >= self._next_try:
                    self._rounds.command(jobs)
                    self._pause = 0.0
                    self._complain(None)
            except Outage as outage:
                self._is_away(jobs, str(outage))
            except OSError as error:
                self._is_away(jobs, f"the files of jobs cannot be written: {error}")
            except Exception as error:  # without this thread nobody would look any more
                _logger.exception("executor %s went wrong", self._name)
                self._is_away(jobs, f"it went wrong: {error!r}")

    def _await_turn(self) -> list[BatchJob] | None:
        """Wait until something is due; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._hurry, LOOK)
            self._changed.wait_for(lambda: self._closed or bool(self._jobs))
            self._hurry = False
            return None if self._closed else list(self._jobs.values())

    def _is_away(self, jobs: Sequence[BatchJob], sentence: str) -> None:
        """Keep what was known last, and ask again later and later."""
        self._pause = min(SLOWEST, max(self._rounds.poll, 1.5 * self._pause))
        self._next_try = time.monotonic() + self._pause
        for job in jobs:
            if job.unknown():
                self._tell(job)
        self._complain(sentence)

    def _complain(self, trouble: str | None) -> None:
        """Keep a sentence for who asks, and tell it once."""
        if self._closed or trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            _logger.error(
                "executor %s: %s; its jobs keep their last known state", self._name, trouble
            )
        else:
            _logger.info("executor %s: %s answers again", self._name, self._system.name)

    def _tell(self, job: BatchJob) -> None:
        with self._changed:
            self._ready.append(job.request.id)
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def _ask(self, command: Sequence[str]) -> Answer:
        if self._closed:
            raise Outage(f"{self._system.name} is asked no more")
        return self._commands.run(command)


def _age_by_clock(began: str) -> float:
    from datetime import datetime

    return max(0.0, time.time() - datetime.fromisoformat(began).timestamp())
