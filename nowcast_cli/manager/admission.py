"""Which of the waiting jobs may begin: those with a place, in order, and nothing in their way.

A job has a place from its launch until its process has gone. What is known of the places follows
the changes of each turn, so that a turn costs what changes, however many jobs wait.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from heapq import heappop, heappush
from typing import NamedTuple

from nowcast_cli.config.executors import LARGEST_ARRAY, Place
from nowcast_cli.config.registry import Registry
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.command_jobs import dated
from nowcast_cli.manager.job_request import place_of
from nowcast_cli.manager.state import Note, State, Step, info, with_jobs
from nowcast_cli.store.records import Change, HoldDropped, HoldPut, JobPut, JobRecord


class _Group(NamedTuple):
    """Jobs of which, as far as they are concerned, any may begin as well as another."""

    worker: str
    ensemble: str | None


class Admission:
    """Gives places to waiting jobs: the highest priority first, then the oldest.

    A job also waits for the process of its predecessor to end, for the end of its delay, and
    while its worker or the whole system is held; a member while as many of its ensemble run as may
    at once. What is begun together where there are job arrays is left to the array: it sees to
    that by itself.
    """

    def __init__(
        self, registry: Registry, uptime: Callable[[], Uptime], now: Callable[[], str] = now
    ) -> None:
        self._registry = registry
        self._uptime = uptime
        self._now = now
        self._up_to_date = False
        self._new: set[str] = set()  # jobs that have come to wait since the last admission

    def use(self, registry: Registry) -> None:
        """Go on with a registry that was reloaded."""
        self._registry = registry
        self._up_to_date = False

    def admit(self, state: State, changes: Collection[Change]) -> Step:
        """Launch what may begin, after the ``changes`` that led to ``state``."""
        if self._up_to_date:
            self._follow(changes)
        else:
            self._begin(state)
        self._end_delays()
        ids = self._choose()
        now = self._now() if ids else ""
        chosen = [self._submitting(state.jobs[job_id], now) for job_id in ids]
        notes = self._notes(chosen)
        if not chosen:
            return Step(state, notes=notes)
        new_state, puts = with_jobs(state, *chosen)
        return Step(new_state, puts, notes)

    def _submitting(self, job: JobRecord, now: str) -> JobRecord:
        """Give the job as it is given to its executor; a batch system says when it had taken it."""
        settings = self._registry.executors.at(place_of(job))
        taken = None if settings is not None and settings.is_batch_system else now
        dated_job = dated(job, self._registry)
        return replace(dated_job, state="submitting", delay=None, submitted=taken)

    def _notes(self, chosen: Collection[JobRecord]) -> tuple[Note, ...]:
        """Tell of jobs that have to wait, and of those that had to."""
        had_to = [job for job in chosen if job.id not in self._new]
        have_to = Counter(
            self._waiting[job_id].worker for job_id in self._new if job_id in self._waiting
        )
        self._new.clear()
        return (
            *(info(f"launching {job.worker} (job {job.id}), which had to wait") for job in had_to),
            *(info(f"jobs that wait from now on: {n} of {name}") for name, n in have_to.items()),
        )

    def due_in(self) -> float | None:
        """Give the seconds until something may begin by itself; None where nothing does."""
        if not self._up_to_date:
            return 0.0
        if not self._delayed:
            return None
        return max(0.0, self._delayed[0][0] - self._uptime().seconds)

    def _begin(self, state: State) -> None:
        self._launched: dict[str, _Group] = {}  # by job
        self._places: Counter[str] = Counter()  # taken, by worker
        self._members: Counter[str] = Counter()  # that have a place, by ensemble
        self._begun: set[str] = set()  # ensembles whose first members get their places now
        self._waiting: dict[str, JobRecord] = {}
        self._ready: defaultdict[str, dict[_Group, list[str]]] = defaultdict(dict)  # jobs, a heap
        self._front: list[tuple[int, str, _Group]] = []  # a heap: -priority, job
        self._offered: dict[_Group, str] = {}  # the job of each group in the front
        self._delayed: list[tuple[float, str]] = []  # a heap: uptime, job
        self._followers: dict[str, list[str]] = {}  # jobs by the predecessor that has not gone
        self._holds = set(state.holds)
        self._up_to_date = True
        for job in state.jobs.values():
            if job.state not in ("waiting", "held"):
                self._take(job)
        for job in state.jobs.values():
            if job.state == "waiting":
                self._queue(job)

    # --- following what happens

    def _follow(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case JobPut(job):
                    self._put(job)
                case HoldPut(hold):
                    self._holds.add(hold.worker)
                case HoldDropped(worker):
                    self._holds.discard(worker)
                    if worker is not None:
                        self._offer(worker)

    def _put(self, job: JobRecord) -> None:
        if job.state == "waiting":
            if job.id not in self._waiting:
                self._new.add(job.id)
                self._queue(job)
            return
        self._waiting.pop(job.id, None)
        if not job.unfinished and job.exit is not None:
            self._free(job)
        elif job.state != "held":
            self._take(job)

    def _take(self, job: JobRecord) -> None:
        if job.id not in self._launched:
            self._launched[job.id] = _Group(job.worker, job.ensemble)
            self._places[job.worker] += 1
            if job.ensemble is not None:
                self._members[job.ensemble] += 1

    def _free(self, job: JobRecord) -> None:
        if self._launched.pop(job.id, None) is not None:
            self._places[job.worker] -= 1
            if job.ensemble is not None:
                self._members[job.ensemble] -= 1
                if not self._members[job.ensemble]:
                    del self._members[job.ensemble]
            self._offer(job.worker)
        for job_id in self._followers.pop(job.id, ()):
            if job_id in self._waiting:
                self._queue(self._waiting[job_id])

    def _queue(self, job: JobRecord) -> None:
        self._waiting[job.id] = job
        now = self._uptime()
        left = now.left(job.delay)
        if job.predecessor in self._launched:
            self._followers.setdefault(job.predecessor, []).append(job.id)
        elif left > 0:
            heappush(self._delayed, (now.seconds + left, job.id))
        else:
            group = _Group(job.worker, job.ensemble)
            heappush(self._ready[job.worker].setdefault(group, []), job.id)
            self._offer_of(group)

    def _end_delays(self) -> None:
        if not self._delayed:
            return
        now = self._uptime().seconds
        while self._delayed and self._delayed[0][0] <= now:
            job = self._waiting.get(heappop(self._delayed)[1])
            if job is not None:
                self._queue(replace(job, delay=None))

    # --- choosing

    def _offer(self, worker: str) -> None:
        """Put the first jobs of a worker into the front, one a group, which may begin."""
        for group in list(self._ready.get(worker, ())):
            self._offer_of(group)

    def _offer_of(self, group: _Group) -> None:
        ready = self._ready[group.worker][group]
        while ready and ready[0] not in self._waiting:
            heappop(ready)  # cancelled meanwhile
        if not ready:
            del self._ready[group.worker][group]
        elif self._offered.get(group) != ready[0] and self._may_launch(self._waiting[ready[0]]):
            self._offered[group] = ready[0]
            priority = self._registry.jobs_of(group.worker).priority
            heappush(self._front, (-priority, ready[0], group))

    def _may_launch(self, job: JobRecord) -> bool:
        most = self._registry.jobs_of(job.worker).concurrency
        if job.worker in self._holds or (most is not None and self._places[job.worker] >= most):
            return False
        return job.ensemble is None or job.member is None or self._may_run(job, job.ensemble)

    def _may_run(self, job: JobRecord, ensemble: str) -> bool:
        """Say whether there is room in its ensemble for a member."""
        most = None if job.member is None else job.member.at_most
        if most is None or self._members[ensemble] < most:
            return True
        fits = job.member is not None and job.member.size <= LARGEST_ARRAY
        return fits and ensemble in self._begun and self._has_arrays(job)

    def _has_arrays(self, job: JobRecord) -> bool:
        settings = self._registry.executors.at(Place(job.executor, job.host))
        return settings is not None and settings.has_arrays

    def _choose(self) -> list[str]:
        chosen: list[str] = []
        most = self._registry.concurrency
        while self._front and None not in self._holds:
            if most is not None and len(self._launched) >= most:
                break
            _, job_id, group = heappop(self._front)
            if self._offered.get(group) != job_id:
                continue  # an older one has come before it
            del self._offered[group]
            ready, job = self._ready[group.worker].get(group), self._waiting.get(job_id)
            if ready and job is not None and ready[0] == job_id and self._may_launch(job):
                heappop(ready)
                if group.ensemble is not None and group.ensemble not in self._members:
                    self._begun.add(group.ensemble)
                self._take(self._waiting.pop(job_id))
                chosen.append(job_id)
            if ready is not None:
                self._offer_of(group)
        self._begun.clear()
        return chosen
