"""What the thread of a batch executor does in each round: looks into folders, and gives commands.

A round stops at the first command that is not answered: what follows would not be either. Nothing
is remembered that does not stand in the jobs' folders or in the batch system.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from nowcast_cli.crash_points import reached
from nowcast_cli.executors import batch_arrays
from nowcast_cli.executors import batch_folder as files
from nowcast_cli.executors.batch_job import BEGUN, ENDED, BatchJob, is_clean, never_began, vanished
from nowcast_cli.executors.batch_system import Answer, BatchSystem, Later, Refused, TooEarly
from nowcast_cli.executors.job_folder import read_claim, read_exit
from nowcast_cli.executors.native import Verdict
from nowcast_cli.executors.prevent import prevent

ACTIVE_AT_ONCE = 200  # of the jobs that run are looked at in a round
WAITING_AT_ONCE = 100  # and of those that wait
HURRY = 1.0  # s between two polls when a job has ended, and we want to know why
EXPLANATION = 60.0  # s after which an end is told without its explanation
ASK_AGAIN = 2.0  # s until it is asked again why a job ended; accounts may be long files
AGAIN = 10.0  # s until a job that was to be cancelled, and is still there, is cancelled again
CANCELLED_AT_ONCE = 200

_logger = logging.getLogger(__name__)


class BatchRounds:
    """Looks after the jobs of one batch system.

    Parameters
    ----------
    ask
        Runs a command and gives its answer. Raises Outage.
    tell
        Is told of jobs of which there is news.
    code
        The folder on shared storage for the archive that the nodes run.
    patience
        The seconds that what a job left may take to be seen over a network file system.

    Attributes
    ----------
    system, poll, python
        The adapter, the seconds between two polls, and the interpreter on the nodes, as configured.
    later
        Why no job can be submitted for now; None where they can.
    """

    def __init__(
        self,
        system: BatchSystem,
        ask: Callable[[Sequence[str]], Answer],
        tell: Callable[[BatchJob], None],
        code: Path,
        patience: float,
    ) -> None:
        self.poll = 0.0
        self.python = ""
        self.later: str | None = None
        self.system = system
        self._ask = ask
        self._tell = tell
        self._code = code
        self._patience = patience
        self._next_poll = self._next_submission = 0.0
        self._last_poll = -HURRY
        self._active, self._waiting = _Turn(ACTIVE_AT_ONCE), _Turn(WAITING_AT_ONCE)

    def begin_anew(self) -> None:
        """Have everything done in the next round, as the configuration may be another one."""
        self._next_poll = self._next_submission = 0.0

    # --- looking into the folders

    def look(self, jobs: Sequence[BatchJob]) -> None:
        """Find claims and ends. Raises OSError."""
        for job in jobs:
            if not job.loaded:
                self._load(job)
            if job.cancel and not job.claimed and not job.settled:
                # Also while the batch system is away: it may have the job, and let it begin.
                prevent(job.folder, _now())
                job.claimed = True
        for job in self._in_turn(jobs):
            if not job.claimed and (job.folder / "pid").exists():
                job.claimed = True
                job.seen(BEGUN)
                self._tell(job)
            if job.claimed and job.left_at is None and (job.folder / "exit").exists():
                job.left_at = time.monotonic()
                if is_clean(read_exit(job.folder)):
                    job.seen(ENDED)
                    self._conclude(job, None)
            if job.left_at is not None and not job.settled and _is_over(job.left_at, EXPLANATION):
                self._conclude(job, self._said(job))  # an outage must not withhold it for ever

    def _load(self, job: BatchJob) -> None:
        """Find what an earlier manager has left."""
        job.native_id = files.read_native(job.folder)
        job.claimed = (job.folder / "pid").exists()
        if job.native_id is None:
            was_submitted = files.was_submitted(job.folder) or _is_element(job)
            job.may_be_submitted = was_submitted or not job.begin
        elif job.begin and not job.claimed:
            files.mend(job.request)
        job.loaded = True
        if job.claimed:
            self._tell(job)

    def _in_turn(self, jobs: Sequence[BatchJob]) -> Iterator[BatchJob]:
        """Give some of the jobs that run, and some of those that wait, each in its turn."""
        known = (job for job in jobs if job.native_id is not None or job.claimed)
        unsettled = [job for job in known if not job.settled]
        active = [job for job in unsettled if job.is_active]
        waiting = [job for job in unsettled if not job.is_active]
        yield from self._active.some_of(active)
        yield from self._waiting.some_of(waiting)

    # --- commands

    def command(self, jobs: Sequence[BatchJob]) -> None:
        """Do what is to be done in the batch system. Raises Outage or OSError."""
        self._look_up(jobs)
        self._cancel(jobs)
        self._submit(jobs)
        self._poll(jobs)
        for job in jobs:
            if job.ended_at is not None and not job.settled:
                self._settle(job, job.ended_at)

    def _look_up(self, jobs: Sequence[BatchJob]) -> None:
        """Find the ids of jobs whose submission nobody noted: its manager was killed just then."""
        unknown = [(self._searched_by(job), job) for job in jobs if job.may_be_submitted]
        if not unknown:
            return
        tokens = list(dict.fromkeys(token for (token, _), _ in unknown))
        found = self.system.found(self._ask(self.system.find(tokens)), tokens)
        for (token, element), job in unknown:
            job.may_be_submitted = False
            native_id = found.get(token)
            if native_id is not None and element is not None and self.system.arrays is not None:
                native_id = self.system.arrays.element(native_id, element)
            native_id = native_id or files.read_ran_as(job.folder)
            if native_id is not None:
                self._take(job, native_id)
            elif job.claimed or not (job.begin or job.cancel):
                job.ended_at = time.monotonic()  # the batch system has forgotten it

    def _searched_by(self, job: BatchJob) -> tuple[str, int | None]:
        """Give the token of a job, or that of its array and its number there."""
        return batch_arrays.element_of(job.folder) or (files.token_of(job.request), None)

    def _take(self, job: BatchJob, native_id: str) -> None:
        files.note_native(job.folder, native_id)
        job.taken(native_id)
        self._tell(job)

    def _cancel(self, jobs: Sequence[BatchJob]) -> None:
        due = []
        for job in jobs:
            if not job.cancel or job.settled or not job.claimed:
                continue
            if job.native_id is None:
                self._conclude(job, _CANCELLED)
            elif job.ended_at is None and (
                job.cancelled_at is None or _is_over(job.cancelled_at, AGAIN)
            ):
                due.append(job)
        for start in range(0, len(due), CANCELLED_AT_ONCE):
            some = due[start : start + CANCELLED_AT_ONCE]
            ids = [job.native_id for job in some if job.native_id is not None]
            self.system.cancelled(self._ask(self.system.cancel(ids)))
            for job in some:
                job.cancelled_at = time.monotonic()
            self._next_poll = 0.0

    def _submit(self, jobs: Sequence[BatchJob]) -> None:
        due = [job for job in jobs if job.is_to_be_submitted]
        if not due or (self.later is not None and time.monotonic() < self._next_submission):
            return
        self.later = None
        code = files.install(self._code)
        has_arrays = self.system.arrays is not None
        together = batch_arrays.batches(due, has_arrays, time.monotonic())
        for number, batch in enumerate(together):
            if number and self._poll_is_due(jobs):  # a thousand must not keep others unseen
                return
            try:
                self._submit_batch(batch, code)
            except Later as reason:
                self.later, self._next_submission = str(reason), time.monotonic() + self.poll
                return
            except Refused as reason:
                for job in batch:
                    prevent(job.folder, _now())
                    job.claimed = True
                    self._conclude(job, Verdict("crashed", str(reason)))

    def _submit_batch(self, jobs: Sequence[BatchJob], code: Path) -> None:
        arrays = self.system.arrays
        if len(jobs) == 1 or arrays is None:
            if jobs[0].request.ensemble is not None:
                batch_arrays.forget(jobs[0].folder)
            self._submit_one(jobs[0], code)
            return
        first, token = jobs[0].request, files.token_of(jobs[0].request)
        words = files.program(self.system, self.python, code)
        requests = [job.request for job in jobs]
        script = batch_arrays.prepare(self.system, arrays, requests, words, token)
        for job in jobs:
            job.may_be_submitted = True
        reached("batch.before_submit")
        links = str(batch_arrays.folder_of_links(first))
        answer = self._ask(arrays.submit(str(script), token, first, links, len(jobs)))
        reached("batch.submitted")
        try:
            array = self.system.submitted(answer)
        except (Later, Refused):
            for job in jobs:
                job.may_be_submitted = False
            raise
        for element, job in enumerate(jobs, start=1):
            self._take(job, arrays.element(array, element))
        reached("batch.noted")

    def _submit_one(self, job: BatchJob, code: Path) -> None:
        script = files.script_of(self.system, job.request, self.python, code)
        file = files.prepare(job.request, script)
        job.may_be_submitted = True
        reached("batch.before_submit")
        command = self.system.submit(str(file), files.token_of(job.request), job.request)
        answer = self._ask(command)
        reached("batch.submitted")
        try:
            native_id = self.system.submitted(answer)
        except (Later, Refused):
            job.may_be_submitted = False
            raise
        self._take(job, native_id)
        reached("batch.noted")

    def _poll_is_due(self, jobs: Sequence[BatchJob]) -> bool:
        now = time.monotonic()
        if now >= self._next_poll:
            return any(job.is_in_system for job in jobs)
        ended = any(job.left_at is not None and job.is_in_system for job in jobs)
        return ended and now >= self._last_poll + HURRY

    def _poll(self, jobs: Sequence[BatchJob]) -> None:
        if not self._poll_is_due(jobs):
            return
        asked = {job.native_id: job for job in jobs if job.is_in_system and job.native_id}
        answer = self._ask(self.system.poll(list(asked)))
        states = self.system.polled(answer, list(asked))
        now = self._last_poll = time.monotonic()
        self._next_poll = now + self.poll
        for native_id, job in asked.items():
            if job.told(states[native_id], now):
                self._tell(job)

    # --- how jobs ended

    def _settle(self, job: BatchJob, ended_at: float) -> None:
        """Find out how a job ended that the batch system calls ended."""
        files.look_again(job.folder)
        exit_record, claim = read_exit(job.folder), read_claim(job.folder)
        began = claim is not None and claim.runner is not None
        ran_as = files.read_ran_as(job.folder) if began else None
        if is_clean(exit_record):
            job.seen(ENDED)
            self._conclude(job, None)
        elif ran_as is not None and ran_as != job.native_id:
            self._take(job, ran_as)  # it was submitted twice, and this is the one that runs
        elif exit_record is None and began and not _is_over(ended_at, self._patience):
            return
        elif claim is None and not prevent(job.folder, _now()):
            return  # it begins just now
        elif job.cancel:
            self._conclude(job, vanished(self.system.name, job, None) if began else _CANCELLED)
        elif job.asked_at is None or _is_over(job.asked_at, ASK_AGAIN):
            job.asked_at = time.monotonic()
            try:
                why = self._why(job)
            except TooEarly:
                if not _is_over(ended_at, EXPLANATION):
                    return
                why = self._said(job)
            self._explain(job, began, exit_record is not None, why)

    def _explain(self, job: BatchJob, began: bool, left_exit: bool, why: Verdict | None) -> None:
        if left_exit:
            self._conclude(job, None if why is None or why.kind == "lost" else why)
        elif began:
            self._conclude(job, vanished(self.system.name, job, why))
        else:
            words = files.last_output(job.folder)
            self._conclude(job, never_began(self.system.name, job, why, words))

    def _why(self, job: BatchJob) -> Verdict | None:
        """Ask the batch system why it ended a job. Raises TooEarly or Outage."""
        command = None if job.native_id is None else self.system.explain(job.native_id)
        if command is None:
            return self._said(job)
        token, _ = self._searched_by(job)
        answer = self._ask(command)
        try:
            return self.system.explained(answer, token) or self._said(job)
        except (ValueError, LookupError):  # the others are not to wait for this one
            _logger.exception("what %s tells of job %s is not read", self.system.name, job.folder)
            return self._said(job)

    def _said(self, job: BatchJob) -> Verdict | None:
        return self.system.said(files.output(job.folder))

    def _conclude(self, job: BatchJob, verdict: Verdict | None) -> None:
        job.verdict, job.settled = verdict, True
        self._tell(job)


class _Turn:
    """Gives so many of a list at once, and the next time those behind them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._next = 0

    def some_of(self, jobs: Sequence[BatchJob]) -> Iterator[BatchJob]:
        begin = self._next % len(jobs) if jobs else 0
        self._next = begin + self._most
        return islice(chain(jobs[begin:], jobs[:begin]), self._most)


_CANCELLED = Verdict("lost", "it was cancelled before it began")


def _is_element(job: BatchJob) -> bool:
    return batch_arrays.element_of(job.folder) is not None


def _is_over(since: float, seconds: float) -> bool:
    return time.monotonic() >= since + seconds


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
