"""Jobs as their folders tell of them: asked for until claimed, watched until ended.

The manager believes what lies in a job's folder. What its executor tells is only a hint to look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol

from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.registry import Registry
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import (
    ENDED,
    Claim,
    JobRequest,
    folder_of,
    is_running,
    read_claim,
    read_exit,
    read_left,
)
from nowcast_cli.executors.native import GONE, Native
from nowcast_cli.executors.prevent import prevent
from nowcast_cli.executors.remote_executor import RemoteExecutor
from nowcast_cli.manager.command_jobs import step_of, told_by_exit, with_command
from nowcast_cli.manager.happenings import (
    Claimed,
    Ended,
    Happening,
    Lost,
    NativeChanged,
    Stayed,
    Told,
)
from nowcast_cli.manager.job_clocks import JobClocks
from nowcast_cli.manager.job_ending import JobEnder
from nowcast_cli.manager.job_request import place_of, request_of
from nowcast_cli.manager.job_words import ending_elsewhere, reason_of
from nowcast_cli.manager.remote_jobs import RemoteJobs
from nowcast_cli.manager.rolling_forward import RollingForward
from nowcast_cli.manager.slowness import History
from nowcast_cli.messages import outbox
from nowcast_cli.process_identity import NOT_ABOUT_THE_FILE
from nowcast_cli.store.records import JobRecord

_logger = logging.getLogger("manager")

REPEAT_INTERVAL = 0.05
SCAN_INTERVAL = 0.5
# A look takes some 0.1 ms. The launcher has its hands full with the others of a thousand requests,
# and hints tell of nearly all ends.
REPEATED_AT_ONCE = 20
SCANNED_AT_ONCE = 200
# Of those elsewhere hardly any end is missed: who tells of them is a thread of this process. And
# thousands may wait in a batch system for days.
SCANNED_ELSEWHERE_AT_ONCE = 10
# For what workers that were run by hand could not tell.
OUTBOX_INTERVAL = 5.0


class Executor(Protocol):
    """What runs jobs; it holds no truth of its own."""

    def fileno(self) -> int:
        """Give a descriptor that is readable when something may have happened."""

    def submit(self, job: JobRequest) -> None:
        """Ask for a job to be run; may be repeated, never blocks."""

    def watch(self, job_id: str, claim: Claim) -> None:
        """Begin to hint at the end of a claimed job."""

    def cancel(self, claim: Claim, signal_number: int) -> bool:
        """Send a signal to all processes of a job; False when it has ended."""

    def connect(self) -> bool:
        """Get ready for jobs; never blocks."""

    def trouble(self) -> str | None:
        """Say why no job can begin, None where one can."""

    def hints(self) -> list[str]:
        """Give the ids of jobs whose folder is worth reading now."""

    def close(self) -> None:
        """Let go; the jobs go on."""


class JobWatch:
    """Watches the open jobs of a system.

    A job of this machine is asked for again and again until it is claimed. One that runs
    elsewhere is left to its executor, which does so in its own time: it is watched from the start.
    """

    def __init__(
        self,
        executor: Executor,
        remote: RemoteJobs,
        paths: SystemPaths,
        registry: Registry,
        monotonic: Callable[[], float],
        history_of: Callable[[str], History],
    ) -> None:
        self._registry = registry
        self._executor = executor
        self._remote = remote
        self._paths = paths
        self._monotonic = monotonic
        self._unclaimed: dict[str, JobRecord] = {}
        self._requests: dict[str, JobRequest] = {}  # of those, to be repeated as they were
        self._watched: dict[str, JobRecord] = {}
        self._elsewhere: dict[str, JobRecord] = {}
        self._natives: dict[str, Native] = {}
        self._claims: dict[str, Claim] = {}
        self._ender = JobEnder(executor.cancel, monotonic)
        self._clocks = JobClocks(registry, history_of)
        self._refused: list[Ended | Lost] = []
        self._blind = False
        self._outputs = RollingForward()
        self._next_repeat = 0.0
        self._next_scan = 0.0
        self._next_outbox = 0.0
        executor.connect()

    def filenos(self) -> tuple[int, int]:
        """Give the descriptors to poll."""
        return self._executor.fileno(), self._remote.fileno()

    def trouble(self) -> str | None:
        """Say why no job can begin, None where one can."""
        return self._executor.trouble()

    def trouble_elsewhere(self) -> str | None:
        """Say what is wrong with executors elsewhere that have jobs, None where nothing is."""
        return self._remote.trouble()

    def use(self, hosts: Mapping[str, RemoteHost], registry: Registry) -> None:
        """Go on with a configuration that was reloaded: its executors, and other timeouts."""
        self._registry = registry
        self._remote.use(registry.executors, hosts)
        self._clocks.use(registry)

    def launch(self, job: JobRecord) -> None:
        """Ask for a job that is committed, now and until it is claimed."""
        try:
            request = with_command(self._request(job), job, self._registry)
            if _is_here(job):
                self._executor.submit(request)
                self._unclaimed[job.id], self._requests[job.id] = job, request
            else:
                self._remote.on(place_of(job)).submit(request)
                self._watch_elsewhere(job)
        except NowcastError as error:
            reason = f"{error.what}: {error.cause}" if error.cause else error.what
            self._refused.append(Ended(job.id, {}, reason))

    def adopt(self, job: JobRecord) -> None:
        """Take over a job that an earlier manager had launched."""
        if job.state == "submitting":
            self.launch(job)
            return
        if _is_here(job):
            self._watched[job.id] = job
        else:
            self._order(job, lambda executor, request: executor.follow(request))

    def _watch_elsewhere(self, job: JobRecord) -> None:
        self._elsewhere[job.id] = job
        if job.native is not None:
            self._natives.setdefault(job.id, Native.from_json(job.native))

    def _order(self, job: JobRecord, order: Callable[[RemoteExecutor, JobRequest], None]) -> None:
        """Give an order about a job elsewhere; what is not configured any more tells nothing."""
        try:
            order(self._remote.on(place_of(job)), self._request(job))
            self._watch_elsewhere(job)
        except NowcastError as error:
            self._elsewhere.pop(job.id, None)
            self._refused.append(Lost(job.id, error.what))

    def forget(self, job_id: str) -> None:
        """Stop watching a job that is closed."""
        for known in (
            self._unclaimed, self._requests, self._watched, self._elsewhere, self._natives,
            self._claims,
        ):  # fmt: skip
            known.pop(job_id, None)
        self._ender.forget(job_id)
        self._clocks.forget(job_id)
        self._outputs.forget(job_id)
        self._remote.forget(job_id)

    def end(self, job: JobRecord, now: str) -> bool:
        """End a job; say whether it was kept from beginning, so that no process has to end.

        May be repeated, and after a restart has to be.
        """
        if not _is_here(job):
            self._order(job, lambda executor, request: executor.cancel(request))
            return False
        folder = self._folder(job)
        if job.id not in self._claims and prevent(folder, now):
            self.forget(job.id)
            return True
        self._unclaimed.pop(job.id, None)
        self._requests.pop(job.id, None)
        self._watched[job.id] = job
        claim = self._claims.get(job.id) or read_claim(folder)
        if claim is not None and claim.runner is not None:  # else a manager kept it from beginning
            self._ender.begin(job.id, claim)
        return False

    def _folder(self, job: JobRecord) -> Path:
        return folder_of(self._paths.jobs, job.id, job.worker)

    def _request(self, job: JobRecord) -> JobRequest:
        return request_of(job, self._paths, self._registry)

    def wait_at_most(self) -> float:
        """Give the seconds until folders are to be looked at again."""
        if self._refused:
            return 0.0
        next_look = self._next_outbox
        if self._unclaimed:
            next_look = min(next_look, self._next_repeat)
        if self._watched or self._elsewhere:
            next_look = min(next_look, self._next_scan)
        wait = max(0.0, next_look - self._monotonic())
        until_told = self._clocks.due_in()
        return wait if until_told is None else min(wait, until_told)

    def happenings(self) -> Iterator[Happening]:
        """Give what has happened to jobs since the last call."""
        refused, self._refused = self._refused, []
        yield from refused
        now = self._monotonic()
        hints = (*self._executor.hints(), *self._remote.hints())
        look = [job_id for job_id in hints if self._knows(job_id)]
        if now >= self._next_repeat:
            self._next_repeat = now + REPEAT_INTERVAL
            look += _in_turn(self._unclaimed, REPEATED_AT_ONCE)
        if now >= self._next_scan:
            self._next_scan = now + SCAN_INTERVAL
            look += _in_turn(self._watched, SCANNED_AT_ONCE)
            look += _in_turn(self._elsewhere, SCANNED_ELSEWHERE_AT_ONCE)
            self._ender.tend()
        if now >= self._next_outbox:
            self._next_outbox = now + OUTBOX_INTERVAL
            yield from self._if_possible(self._outbox(self._paths.outbox))
        for job_id in dict.fromkeys(look):
            elsewhere = self._elsewhere.get(job_id)
            happened = self._look(job_id) if elsewhere is None else self._look_elsewhere(elsewhere)
            yield from self._if_possible(happened)
        for passed in self._clocks.passed():
            if not self._has_ended_elsewhere(passed.job_id):
                yield passed

    def _if_possible(self, happenings: Iterator[Happening]) -> Iterator[Happening]:
        """Give what can be seen; what no descriptor is left for is looked at again in a while.

        Not to be able to look is no word of a job: taken for one, jobs that run would be lost.
        """
        try:
            yield from happenings
        except OSError as error:
            if error.errno not in NOT_ABOUT_THE_FILE:
                raise
            if not self._blind:  # it is tried again twenty times a second
                _logger.error("the folders of jobs cannot be looked at: %s", error.strerror)
            self._blind = True
        else:
            self._blind = False

    def _has_ended_elsewhere(self, job_id: str) -> bool:
        """Whether only the outputs of a job are still on their way, for which it has all time."""
        job = self._elsewhere.get(job_id)
        return job is not None and (self._folder(job) / ENDED).exists()

    def _knows(self, job_id: str) -> bool:
        return any(job_id in jobs for jobs in (self._unclaimed, self._watched, self._elsewhere))

    def _look(self, job_id: str) -> Iterator[Happening]:
        job = self._unclaimed.get(job_id) or self._watched[job_id]
        folder = self._folder(job)
        claim = self._claims.get(job_id)
        if claim is None:
            claimed = (folder / "pid").exists()
            claim = read_claim(folder)
            if claim is None:
                if claimed:
                    yield Lost(job_id, f"its claim {folder / 'pid'} is damaged")
                elif job_id in self._unclaimed:
                    self._executor.submit(self._requests[job_id])
                else:
                    yield Lost(job_id, "its folder tells nothing of its process")
                return
            if not (folder / "exit").exists():
                self._executor.watch(job_id, claim)
            self._watched[job_id] = job
            self._unclaimed.pop(job_id, None)
            self._requests.pop(job_id, None)
            yield self._claimed(job, claim)
        self._time(job, claim.age)
        yield from self._look_for_end(job, folder, claim)

    def _claimed(self, job: JobRecord, claim: Claim) -> Claimed:
        self._claims[job.id] = claim
        return Claimed(job.id, claim.process.pid, claim.claimed_at)

    def _time(self, job: JobRecord, age_of: Callable[[], float | None]) -> None:
        if job.id not in self._clocks and (age := age_of()) is not None:
            self._clocks.begin(job, age)

    def _look_for_end(self, job: JobRecord, folder: Path, claim: Claim) -> Iterator[Happening]:
        exit_record = read_exit(folder)
        if (exit_record is None and is_running(claim)) or self._ender.awaits(job.id):
            return
        if exit_record is None:  # looked for once more: it may have come just before they ended
            if not self._outputs.done(job.id, folder):
                return
            exit_record = read_exit(folder)
        yield from self._outbox(folder / "outbox")
        stayed = self._ender.stayed(job.id)
        if stayed is not None:
            yield Stayed(job.id, stayed)
        if exit_record is not None:
            is_command = step_of(self._registry, job.worker) is not None
            reason = reason_of(exit_record, folder / "stderr", is_command=is_command)
            yield from told_by_exit(self._registry, job, exit_record, reason, folder)
            yield Ended(job.id, exit_record.to_json(), reason)
        else:
            yield Lost(job.id, GONE.reason)

    def _look_elsewhere(self, job: JobRecord) -> Iterator[Happening]:
        """Look at a job that is not ours to begin, nor to see alive: its executor knows of both."""
        executor, folder = self._remote.on(place_of(job)), self._folder(job)
        native = executor.native(job.id)
        if native is not None and native != self._natives.get(job.id):
            self._natives[job.id] = native
            yield NativeChanged(job.id, native)
        # As above: first what is known of its end, then what it left.
        verdict, asks = executor.verdict(job.id), executor.asks(job.id)
        claim = self._claims.get(job.id) or read_claim(folder)
        if claim is None and (folder / "pid").exists():
            yield Lost(job.id, f"its claim {folder / 'pid'} is damaged")
            return
        # A claim without a runner is that of who kept the job from beginning.
        if claim is not None and claim.runner is not None:
            if job.id not in self._claims:
                yield self._claimed(job, claim)
            self._time(job, lambda: executor.age(job.id))
        exit_record = None if claim is None else read_exit(folder)
        if asks or (exit_record is None and verdict is None):
            return
        if exit_record is None and claim is not None:
            if not self._outputs.done(job.id, folder):
                return
            exit_record = read_exit(folder)
        yield from self._outbox(folder / "outbox")
        stayed = read_left(folder)
        if stayed is not None:
            yield Stayed(job.id, stayed)
        is_command = step_of(self._registry, job.worker) is not None
        ending = ending_elsewhere(job.id, exit_record, verdict, folder, is_command=is_command)
        if exit_record is not None and (verdict is None or ending.reason != verdict.reason):
            yield from told_by_exit(self._registry, job, exit_record, ending.reason, folder)
        yield ending

    def _outbox(self, folder: Path) -> Iterator[Told]:
        for path, message in outbox.take(folder):
            yield Told(message, path)

    def close(self) -> None:
        """Let go of the executors; the jobs go on."""
        self._executor.close()
        self._remote.close()


def _in_turn(jobs: dict[str, JobRecord], most: int) -> list[str]:
    """Give the ids of some jobs, those that were given longest ago."""
    some = list(islice(jobs, most))
    for job_id in some:
        jobs[job_id] = jobs.pop(job_id)
    return some


def _is_here(job: JobRecord) -> bool:
    return place_of(job).is_here
