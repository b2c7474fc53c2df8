"""Requests of the command line and of programs, which name what is to be done. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from nowcast_cli.config.ensembles import (
    EnsembleSettings,
    NotAnEnsemble,
    ensemble_settings,
)
from nowcast_cli.config.executors import HERE, Place
from nowcast_cli.manager.job_transitions import (
    PlaceOf,
    cancel,
    is_module_name,
    new_job,
    worker_name,
)
from nowcast_cli.manager.members import SettingsOf, begin
from nowcast_cli.manager.state import Reply, State, Step, refused, with_jobs
from nowcast_cli.manager.transitions import Incoming
from nowcast_cli.store.records import JobRecord, MessageReceived, MessageRecord

SOURCE = "nowcast"


class RequestError(Exception):
    """A request cannot be met: why, and what to do instead."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def journalled(state: State, incoming: Incoming, chain: str, reply_text: str | None) -> Step:
    """Put a request into the journal, with its answer, so that a repeat has no effect."""
    record = MessageRecord(
        number=state.last_message + 1,
        id=incoming.id,
        received=incoming.received,
        source=incoming.message.source,
        type=incoming.message.type,
        body=incoming.body,
        job=None,
        chain=chain,
        outcome=None,
        state="answered",
        reply_text=reply_text,
    )
    return Step(
        replace(state, last_message=record.number), (MessageReceived(record),), journalled=record
    )


def launch(
    state: State,
    payload: Any,
    *,
    now: str,
    new_id: Callable[[], str],
    worker_names: Mapping[str, str],
    place_of: PlaceOf,
    settings_of: SettingsOf,
) -> tuple[Step, JobRecord]:
    """Launch a worker by hand: ``{module, arguments, host}``; a chain of its own begins.

    With ``members``, ``at most`` or ``ends when``, as the registry has them, it is an ensemble. The
    job that is given then is what its members are made of, and has the ensemble's id.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("module"), str):
        raise RequestError("a launch names a module", "nowcast run-worker WORKER")
    if not is_module_name(payload["module"]):
        raise RequestError(
            f"{payload['module']!r} is not the dotted name of a module",
            "nowcast run-worker WORKER",
        )
    arguments = payload.get("arguments") or []
    if not isinstance(arguments, list):
        raise RequestError("the arguments of a launch are a list", "nowcast run-worker WORKER")
    module, job_id = payload["module"], new_id()
    worker = worker_names.get(module) or worker_name(module)
    job = new_job(
        job_id,
        module,
        tuple(str(argument) for argument in arguments),
        place_of(worker, str(payload.get("host") or HERE)),
        cause=None,
        chain=job_id,
        now=now,
        worker=worker,
    )
    try:
        step, ensemble = begin(state, job, _wish(payload), settings_of, new_id)
    except NotAnEnsemble as error:
        raise RequestError(
            f"{worker} is not launched: as an ensemble {error}", "nowcast run-worker --help"
        ) from None
    told = {"job": job.id}
    more = {} if ensemble is None else {"ensemble": ensemble.id, "members": ensemble.size}
    return replace(step, reply=Reply("ack", told | more)), job


def _wish(payload: Mapping[Any, Any]) -> EnsembleSettings:
    def wrong(key: str, words: str) -> NoReturn:
        raise RequestError(f"the {key!r} of a launch: {words}", "nowcast run-worker --help")

    return ensemble_settings(payload, wrong)


def rerun(
    state: State, old: JobRecord | None, *, now: str, new_id: Callable[[], str]
) -> tuple[Step, JobRecord]:
    """Run a job that has ended again, with the same arguments; the chain goes on from it."""
    if old is None:
        raise RequestError("there is no such job", "nowcast job list")
    if old.unfinished:
        raise RequestError(
            f"job {old.id} ({old.worker}) has not ended: it is {old.state}",
            f"nowcast job cancel {old.id}",
        )
    job_id = new_id()
    job = job_again(old, job_id, job_id, now)
    new_state, changes = with_jobs(state, job)
    return Step(new_state, changes, reply=Reply("ack", {"job": job.id})), job


def job_again(old: JobRecord, job_id: str, chain: str, now: str) -> JobRecord:
    """Give a job that does what ``old`` did, or should have done."""
    job = new_job(
        job_id,
        old.module,
        old.arguments,
        Place(old.executor, old.host),
        cause=None,
        chain=chain,
        now=now,
        attempt=old.attempt + 1,
        predecessor=old.id,
        worker=old.worker,
    )
    return replace(job, environment=old.environment)


def cancel_job(state: State, job: JobRecord | None, *, now: str) -> tuple[Step, JobRecord]:
    """Cancel a job that has not ended."""
    if job is None:
        raise RequestError("there is no such job", "nowcast job list")
    if not job.unfinished:
        raise RequestError(f"job {job.id} ({job.worker}) has ended already: it is {job.state}")
    step = cancel(state, job, "cancelled by hand", now)
    return replace(step, reply=Reply("ack", {"job": job.id, "state": "cancelled"})), job


def answered(answer: Callable[[], Reply]) -> Reply:
    """Give the answer to a question, or why it has none."""
    try:
        return answer()
    except RequestError as error:
        return refusal(error)


def refusal(error: RequestError) -> Reply:
    """Give the answer to a request that cannot be met."""
    return refused(error.what, error.hint)
