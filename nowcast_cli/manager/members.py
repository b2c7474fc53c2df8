"""The members of an ensemble: jobs that are made, counted and cancelled together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nowcast_cli.config.ensembles import (
    EnsemblePlan,
    EnsembleSettings,
    filled,
    members_words,
    plan_of,
)
from nowcast_cli.manager.barriers import pass_barrier
from nowcast_cli.manager.state import State, Step, info, with_ensemble, with_jobs
from nowcast_cli.store.records import EnsembleRecord, JobRecord, Member

# Gives what the registry says of the ensembles of a worker.
SettingsOf = Callable[[str], EnsembleSettings]


def begin(
    state: State,
    job: JobRecord,
    wish: EnsembleSettings,
    settings_of: SettingsOf,
    new_id: Callable[[], str],
) -> tuple[Step, EnsembleRecord | None]:
    """Take in a job that is to be launched, as the members of an ensemble where it is one.

    ``wish`` is what its launch says of them. Its id becomes that of the ensemble.
    Raises NotAnEnsemble.
    """
    plan = plan_of(wish.over(settings_of(job.worker)))
    if plan is None:
        new_state, changes = with_jobs(state, job)
        return Step(new_state, changes), None
    ensemble = EnsembleRecord(
        id=job.id,
        worker=job.worker,
        members=members_words(plan.members.labels()),
        size=len(plan.members.rows),
        at_most=plan.at_most,
        at_least=plan.at_least,
        state="open",
        cause=job.cause,
        chain=job.chain,
        barrier=job.barrier,
        created=job.created,
    )
    return put(state, ensemble, _members(job, plan, new_id)), ensemble


def _members(job: JobRecord, plan: EnsemblePlan, new_id: Callable[[], str]) -> Iterable[JobRecord]:
    labels, rows = plan.members.labels(), plan.members.rows
    for index, (label, row) in enumerate(zip(labels, rows, strict=True)):
        values = dict(zip(plan.members.names, row, strict=True))
        is_plain = values == {"member": label}
        numbers = (index, len(rows), plan.at_most, plan.at_least)
        member = Member(label, *numbers, None if is_plain else values)
        arguments = filled(job.arguments, {"member": label, **values})
        yield replace(job, id=new_id(), arguments=arguments, ensemble=job.id, member=member)


def put(state: State, ensemble: EnsembleRecord, jobs: Iterable[JobRecord]) -> Step:
    """Take in an ensemble with its members."""
    step = with_ensemble(state, ensemble)
    new_state, changes = with_jobs(step.state, *jobs)
    return step.then(Step(new_state, changes))


def words_of(job: JobRecord, ensemble: EnsembleRecord | None) -> str:
    """Name what is launched for the log: the job, or the ensemble that it has become."""
    words = " ".join((job.worker, *job.arguments))
    if ensemble is None:
        return f"{words} (job {job.id})"
    return f"{words} ({ensemble.size} members, ensemble {ensemble.id})"


def counted(ensemble: EnsembleRecord, ended: Iterable[JobRecord]) -> EnsembleRecord:
    """Count members that have ended, by how they did."""
    succeeded, failed = ensemble.succeeded, ensemble.failed
    crashed, cancelled = ensemble.crashed, ensemble.cancelled
    for job in ended:
        match job.state:
            case "succeeded":
                succeeded += 1
            case "failed":
                failed += 1
            case "cancelled":
                cancelled += 1
            case _:
                crashed += 1
    return replace(
        ensemble, succeeded=succeeded, failed=failed, crashed=crashed, cancelled=cancelled
    )


def members_left(state: State, ensemble_id: str) -> list[JobRecord]:
    """Give the jobs of an ensemble that have not ended."""
    return [job for job in state.jobs.values() if job.ensemble == ensemble_id and job.unfinished]


def cancel_left(state: State, ensemble: EnsembleRecord, reason: str, now: str) -> Step:
    """Cancel the members of an ensemble that have not ended, without counting them."""
    left = members_left(state, ensemble.id)
    cancelled = [
        replace(
            job,
            state="cancelled",
            ended=now,
            reason=reason,
            exit={} if job.state in ("waiting", "held") else job.exit,
        )
        for job in left
    ]
    new_state, changes = with_jobs(state, *cancelled)
    return Step(new_state, changes)


def cancel(state: State, ensemble: EnsembleRecord, reason: str, now: str) -> Step:
    """End an ensemble by order: it becomes no message, and nothing follows from it."""
    left = members_left(state, ensemble.id)
    is_held = bool(left) and all(job.state == "held" for job in left)
    step = cancel_left(state, ensemble, reason, now)
    ended = replace(
        ensemble,
        state="cancelled",
        cancelled=ensemble.cancelled + len(left),
        ended=now,
        reason=reason,
    )
    step = step.then(with_ensemble(step.state, ended))
    note = info(f"{ensemble.worker} cancelled (ensemble {ensemble.id}): {reason}")
    step = replace(step, notes=(*step.notes, note))
    return step if is_held else step.then(pass_barrier(step.state, ensemble.worker, now))
