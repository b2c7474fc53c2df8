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
from nowcast_cli.config.remote_hosts import THIS_MACHINE, RemoteHost
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import (
    Claim,
    Exit,
    JobRequest,
    folder_of,
    last_lines,
    read_claim,
    read_exit,
    read_left,
)
from nowcast_cli.executors.prevent import prevent
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.happenings import (
    Claimed,
    Ended,
    Happening,
    Lost,
    Overran,
    Stayed,
    Told,
)
from nowcast_cli.manager.job_ending import JobEnder
from nowcast_cli.manager.remote_jobs import RemoteExecutor, RemoteJobs
from nowcast_cli.manager.signal_words import signal_words
from nowcast_cli.manager.timeouts import Timeouts
from nowcast_cli.messages import outbox
from nowcast_cli.process_identity import NOT_ABOUT_THE_FILE, is_alive
from nowcast_cli.store.records import JobRecord

_logger = logging.getLogger("manager")

REPEAT_INTERVAL = 0.05
SCAN_INTERVAL = 0.5
# A look takes some 0.1 ms. The launcher has its hands full with the others of a thousand requests,
# and hints tell of nearly all ends.
REPEATED_AT_ONCE = 20
SCANNED_AT_ONCE = 200
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


def reason_of(exit_record: Exit, stderr: Path) -> str:
    """Say in a sentence why a job ended without its message."""
    if exit_record.reason:
        return exit_record.reason
    if exit_record.signal is not None:
        how = f"it was ended by signal {signal_words(exit_record.signal)}"
    else:
        how = f"it exited with code {exit_record.code}"
    last = last_lines(stderr, 1)
    return f"{how} without its message" + (f"; last on stderr: {last[0].strip()}" if last else "")


class JobWatch:
    """Watches the open jobs of a system.

    A job of this machine is asked for again and again until it is claimed. One of another host
    is left to that host's executor, which does so in its own time: it is watched from the start.
    """

    def __init__(
        self,
        executor: Executor,
        remote: RemoteJobs,
        paths: SystemPaths,
        registry: Registry,
        monotonic: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._executor = executor
        self._remote = remote
        self._paths = paths
        self._monotonic = monotonic
        self._unclaimed: dict[str, JobRecord] = {}
        self._watched: dict[str, JobRecord] = {}
        self._claims: dict[str, Claim] = {}
        self._ender = JobEnder(executor.cancel, monotonic)
        self._timeouts = Timeouts(self._timeout_of, lambda: uptime().seconds)
        self._refused: list[Ended | Lost] = []
        self._blind = False
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
        """Say what is wrong with other hosts that jobs are on, None where nothing is."""
        return self._remote.trouble()

    def _timeout_of(self, worker: str) -> float | None:
        return self._registry.jobs_of(worker).timeout

    def use(self, hosts: Mapping[str, RemoteHost], registry: Registry) -> None:
        """Go on with a configuration that was reloaded: its hosts, and other timeouts."""
        self._registry = registry
        self._remote.use(hosts)
        self._timeouts.reload()

    def launch(self, job: JobRecord) -> None:
        """Ask for a job that is committed, now and until it is claimed."""
        request = self._request(job)
        try:
            if _is_here(job):
                self._executor.submit(request)
                self._unclaimed[job.id] = job
            else:
                self._remote.on(job.host).submit(request)
                self._watched[job.id] = job
        except NowcastError as error:
            reason = f"{error.what}: {error.cause}" if error.cause else error.what
            self._refused.append(Ended(job.id, {}, reason))

    def adopt(self, job: JobRecord) -> None:
        """Take over a job that an earlier manager had launched."""
        if job.state == "submitting":
            self.launch(job)
            return
        self._watched[job.id] = job
        if not _is_here(job):
            self._elsewhere(job, lambda executor, request: executor.follow(request))

    def _elsewhere(
        self, job: JobRecord, order: Callable[[RemoteExecutor, JobRequest], None]
    ) -> None:
        """Give an order about a job of another host; one that is gone tells nothing of its jobs."""
        try:
            order(self._remote.on(job.host), self._request(job))
        except NowcastError as error:
            self._watched.pop(job.id, None)
            self._refused.append(Lost(job.id, error.what))

    def forget(self, job_id: str) -> None:
        """Stop watching a job that is closed."""
        for known in (self._unclaimed, self._watched, self._claims):
            known.pop(job_id, None)
        self._ender.forget(job_id)
        self._timeouts.forget(job_id)
        self._remote.forget(job_id)

    def end(self, job: JobRecord, now: str) -> bool:
        """End a job; say whether it was kept from beginning, so that no process has to end.

        May be repeated, and after a restart has to be.
        """
        if not _is_here(job):
            self._watched[job.id] = job
            self._elsewhere(job, lambda executor, request: executor.cancel(request))
            return False
        folder = self._folder(job)
        if job.id not in self._claims and prevent(folder, now):
            self.forget(job.id)
            return True
        self._unclaimed.pop(job.id, None)
        self._watched[job.id] = job
        claim = self._claims.get(job.id) or read_claim(folder)
        if claim is not None and claim.runner is not None:  # else a manager kept it from beginning
            self._ender.begin(job.id, claim)
        return False

    def _folder(self, job: JobRecord) -> Path:
        return folder_of(self._paths.jobs, job.id, job.worker)

    def _request(self, job: JobRecord) -> JobRequest:
        return JobRequest(
            id=job.id,
            attempt=job.attempt,
            worker=job.worker,
            module=job.module,
            arguments=(str(self._paths.config_file), *job.arguments),
            folder=str(self._folder(job)),
            config_file=str(self._paths.config_file),
            working_directory=str(self._paths.deployment),
            environment={},
        )

    def wait_at_most(self) -> float:
        """Give the seconds until folders are to be looked at again."""
        if self._refused:
            return 0.0
        next_look = self._next_outbox
        if self._unclaimed:
            next_look = min(next_look, self._next_repeat)
        if self._watched:
            next_look = min(next_look, self._next_scan)
        wait = max(0.0, next_look - self._monotonic())
        until_timeout = self._timeouts.due_in()
        return wait if until_timeout is None else min(wait, until_timeout)

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
            self._ender.tend()
        if now >= self._next_outbox:
            self._next_outbox = now + OUTBOX_INTERVAL
            yield from self._if_possible(self._outbox(self._paths.outbox))
        for job_id in dict.fromkeys(look):
            yield from self._if_possible(self._look(job_id))
        for job_id, timeout in self._timeouts.passed():
            yield Overran(job_id, timeout)

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

    def _knows(self, job_id: str) -> bool:
        return job_id in self._unclaimed or job_id in self._watched

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
                    self._executor.submit(self._request(job))
                elif _is_here(job):
                    yield Lost(job_id, "its folder tells nothing of its process")
                return
            if _is_here(job):
                self._executor.watch(job_id, claim)
            self._claims[job_id] = claim
            self._watched[job_id] = job
            self._unclaimed.pop(job_id, None)
            yield Claimed(job_id, claim.process.pid, claim.claimed_at)
        if job_id not in self._timeouts:
            age = claim.age() if _is_here(job) else self._remote.on(job.host).age(job_id)
            if age is not None:
                self._timeouts.begin(job_id, job.worker, age)
        yield from self._look_for_end(job, folder, claim)

    def _may_live(self, job: JobRecord, claim: Claim) -> bool:
        if not _is_here(job):
            return not self._remote.on(job.host).has_gone(job.id)
        runner_alive = claim.runner is not None and is_alive(claim.runner)
        return runner_alive or is_alive(claim.process)

    def _look_for_end(self, job: JobRecord, folder: Path, claim: Claim) -> Iterator[Happening]:
        # First who lives, then what they left: what is written after the look is seen next time.
        alive = self._may_live(job, claim)
        exit_record = read_exit(folder)
        if (exit_record is None and alive) or self._ender.awaits(job.id):
            return
        yield from self._outbox(folder / "outbox")
        stayed = self._ender.stayed(job.id) if _is_here(job) else read_left(folder)
        if stayed is not None:
            yield Stayed(job.id, stayed)
        if exit_record is not None:
            reason = reason_of(exit_record, folder / "stderr")
            yield Ended(job.id, exit_record.to_json(), reason)
        else:
            yield Lost(job.id, "its process and its runner have gone without a word")

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
    return job.host in THIS_MACHINE
