"""Barriers: what follows from several workers is held until all of them have ended.

Pure functions over :class:`~nowcast_cli.manager.state.State`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nowcast_cli.manager.state import State, Step, info, warning, with_jobs
from nowcast_cli.store.records import BarrierPut, BarrierRecord, Change, JobRecord


def barrier_for(state: State, worker: str) -> BarrierRecord | None:
    """Give the active barrier that waits for ``worker``."""
    return next((b for b in state.barriers if worker in b.waiting_for), None)


def raise_barrier(state: State, workers: Collection[str], cause: int, now: str) -> Step:
    """Begin to hold what follows from ``workers``.

    An active barrier that shares a worker with the new one is replaced: what it held is cancelled.
    """
    step = Step(state)
    for old in state.barriers:
        if set(old.waiting_for) & set(workers):
            step = step.then(_replace(step.state, old, cause, now))
    names = tuple(sorted(workers))
    new = BarrierRecord(step.state.last_barrier + 1, cause, names, names, "active", now)
    state = replace(step.state, barriers=(*step.state.barriers, new), last_barrier=new.number)
    note = info(f"barrier {new.number}: what follows from {', '.join(names)} waits for all of them")
    return step.then(Step(state, (BarrierPut(new),), (note,)))


def _replace(state: State, old: BarrierRecord, cause: int, now: str) -> Step:
    held = _held_by(state, old)
    reason = f"its barrier {old.number} was replaced by that of message {cause}"
    cancelled = tuple(
        replace(job, state="cancelled", ended=now, exit={}, reason=reason) for job in held
    )
    remaining = tuple(b for b in state.barriers if b.number != old.number)
    state, changes = with_jobs(replace(state, barriers=remaining), *cancelled)
    ended = BarrierPut(replace(old, state="replaced", ended=now))
    names = ", ".join(job.worker for job in held) or "nothing"
    note = warning(
        f"barrier {old.number} for {', '.join(old.workers)} is replaced by that of message "
        f"{cause}; cancelled, as they were held by it: {names}"
    )
    return Step(state, (ended, *changes), (note,))


def _held_by(state: State, barrier: BarrierRecord) -> tuple[JobRecord, ...]:
    return tuple(
        job for job in state.jobs.values() if job.state == "held" and job.barrier == barrier.number
    )


def pass_barrier(state: State, worker: str, now: str) -> Step:
    """Take in that ``worker`` has ended; what a barrier held is released with its last worker."""
    barrier = barrier_for(state, worker)
    if barrier is None:
        return Step(state)
    waiting_for = tuple(name for name in barrier.waiting_for if name != worker)
    others = tuple(b for b in state.barriers if b.number != barrier.number)
    if waiting_for:
        smaller = replace(barrier, waiting_for=waiting_for)
        barriers = tuple(smaller if b.number == barrier.number else b for b in state.barriers)
        return Step(replace(state, barriers=barriers), (BarrierPut(smaller),))
    held = tuple(sorted(_held_by(state, barrier), key=lambda job: job.id))
    released = tuple(replace(job, state="waiting") for job in held)
    state, changes = with_jobs(replace(state, barriers=others), *released)
    ended: Change = BarrierPut(replace(barrier, waiting_for=(), state="released", ended=now))
    names = ", ".join(job.worker for job in held) or "nothing"
    note = info(f"barrier {barrier.number} is passed; released: {names}")
    return Step(state, (ended, *changes), (note,))
