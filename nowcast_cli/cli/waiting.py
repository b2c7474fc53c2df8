"""Why a job has not begun, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.times import local
from nowcast_cli.config.executors import LOCAL, SSH
from nowcast_cli.executors.native import Native

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import HoldRecord, JobRecord


class Waiting:
    """Says it of jobs of the store; looks up once what concerns all of them."""

    def __init__(self, reader: Reader, config: Mapping[str, Any]) -> None:
        from nowcast_cli.config.registry import registry_of

        self._reader = reader
        self._registry = registry_of(config)
        self._holds = {hold.worker: hold for hold in reader.holds()}
        self._launched: dict[str | None, int] = {}

    def why(self, job: JobRecord) -> str | None:
        """Give what a job waits for; None for one that has begun, or is about to."""
        if job.state == "held":
            return self._barrier(job)
        if job.state == "submitting" and job.native is not None:
            return Native.from_json(job.native).words
        if job.state == "submitting" and job.executor != LOCAL:
            name = job.host if job.executor == SSH else job.executor
            return f"no word of it from {name} as yet; `nowcast status` may say why"
        if job.state != "waiting":
            return None
        hold = self._holds.get(None) or self._holds.get(job.worker)
        if hold is not None:
            return held_words(hold)
        return self._predecessor(job) or self._others(job) or self._place(job)

    def _barrier(self, job: JobRecord) -> str:
        for barrier in self._reader.barriers():
            if barrier.number == job.barrier:
                return f"barrier {barrier.number} waits for {', '.join(barrier.waiting_for)}"
        return "its barrier is being passed"

    def _predecessor(self, job: JobRecord) -> str | None:
        from nowcast_cli.config.durations import duration_words
        from nowcast_cli.manager.boot_clock import uptime

        if job.predecessor is not None and not self._has_gone(job.predecessor):
            return f"the process of job {job.predecessor[-8:]}, the attempt before, has not ended"
        left = uptime().left(job.delay)
        return f"it is tried again in {duration_words(left)}" if left > 0 else None

    def _has_gone(self, job_id: str) -> bool:
        from nowcast_cli.errors import NotFound

        try:
            return self._reader.job(job_id).exit is not None
        except NotFound:  # cleaned away long ago
            return True

    def _others(self, job: JobRecord) -> str | None:
        """Say so where as many members of its ensemble have a place as may at once."""
        most = None if job.member is None else job.member.at_most
        if most is None or job.ensemble is None:
            return None
        count = self._reader.launched_members(job.ensemble)
        they_run = "member of its ensemble runs" if count == 1 else "members of its ensemble run"
        return f"{count} {they_run}, and at most {most} may at once" if count >= most else None

    def _place(self, job: JobRecord) -> str:
        for worker, most, key in (
            (job.worker, self._registry.jobs_of(job.worker).concurrency, "its concurrency"),
            (None, self._registry.concurrency, "jobs: concurrency"),
        ):
            if most is not None and self._count(worker) >= most:
                count, of = self._count(worker), f" of {worker}" if worker else ""
                they_run = f"job{of} runs" if count == 1 else f"jobs{of} run"
                return f"{count} {they_run}, and {key} is {most}"
        return "the manager has not come to launch it yet"

    def _count(self, worker: str | None) -> int:
        if worker not in self._launched:
            self._launched[worker] = self._reader.launched(worker)
        return self._launched[worker]


def held_words(hold: HoldRecord) -> str:
    """Say what is held, and how that ends."""
    if hold.worker is None:
        return f"the whole system is held since {local(hold.since)}: nowcast release"
    return f"{hold.worker} is held since {local(hold.since)}: nowcast release {hold.worker}"
