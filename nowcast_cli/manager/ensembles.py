"""How an ensemble ends: its members are counted, and one message tells of all of them. Pure.

What becomes of members is read from the changes of a turn, whoever made them; so the last end and
the combined message are committed together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nowcast_cli.config.ensembles import CANCELLED, FAILED, Label
from nowcast_cli.config.limits import Limits
from nowcast_cli.config.registry import ANSWERED_BY_MANAGER, Registry
from nowcast_cli.manager import members
from nowcast_cli.manager.barriers import pass_barrier
from nowcast_cli.manager.state import Note, State, Step, info, problem, with_ensemble
from nowcast_cli.manager.transitions import Incoming, update_checklist
from nowcast_cli.messages import wire
from nowcast_cli.messages.message import Message
from nowcast_cli.store.records import (
    Change,
    EnsembleRecord,
    EnsembleState,
    JobPut,
    JobRecord,
    JobState,
    Member,
    MessageReceived,
    MessageRecord,
    Outcome,
)

Ending = Outcome | Literal["cancelled"]

_STATES: dict[Ending, EnsembleState] = {
    "success": "succeeded",
    "failure": "failed",
    "crash": "crashed",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a member has come to: its last job's state, and its final message, where it sent one."""

    label: Label
    state: JobState
    type: str | None = None
    payload: Any = None


# Gives what was heard of the members of an ensemble, in their order.
HeardOf = Callable[[EnsembleRecord], Iterable[Heard]]


def told_by_member(incoming: Incoming, member: Member, limits: Limits) -> Incoming:
    """Give a message of a member with its payload under the member's name.

    So it stands in the journal and in the checklist. Raises MessageError where it is too much.
    """
    message = incoming.message
    if message.payload is None or message.type in ANSWERED_BY_MANAGER:
        return incoming
    told = replace(message, payload={member.label: message.payload})
    return replace(incoming, message=told, body=told.encode(limits).decode())


def conclude(
    before: State,
    state: State,
    changes: Collection[Change],
    registry: Registry,
    heard_of: HeardOf,
    now: str,
) -> Iterator[Step]:
    """Count the members that have ended by ``changes``, which led from ``before`` to ``state``.

    An ensemble whose ending is decided by them ends: the members that are left are cancelled, and
    the combined message asks what follows. Gives a step for each ensemble, as each may have a
    message.
    """
    for ensemble_id, jobs in _ended(before, changes).items():
        ensemble = state.ensembles.get(ensemble_id)
        if ensemble is not None:
            counted = members.counted(ensemble, jobs)
            step = _counted(before, state, counted, registry, heard_of, now)
            state = step.state
            yield step


def recounted(
    state: State,
    ensemble: EnsembleRecord,
    last: Mapping[int, JobRecord],
    registry: Registry,
    heard_of: HeardOf,
    now: str,
) -> Step:
    """Count the members of an open ensemble anew, by the ``last`` jobs of those that have any.

    It changes something only in a store that was put back: members without a job are lost.
    """
    none = replace(ensemble, succeeded=0, failed=0, crashed=0, cancelled=0)
    counted = members.counted(none, (job for job in last.values() if not job.unfinished))
    counted = replace(counted, crashed=counted.crashed + ensemble.size - len(last))
    if counted == ensemble:
        return Step(state)
    return _counted(state, state, counted, registry, heard_of, now)


def _ended(before: State, changes: Iterable[Change]) -> dict[str, list[JobRecord]]:
    """Give the members that have ended, and are not tried again, by their ensembles."""
    latest: dict[str, JobRecord] = {}
    tried_again: set[str | None] = set()
    for change in changes:
        if isinstance(change, JobPut) and change.job.ensemble is not None:
            latest[change.job.id] = change.job
            tried_again.add(change.job.predecessor)
    by_ensemble: dict[str, list[JobRecord]] = defaultdict(list)
    for job in latest.values():
        known = before.jobs.get(job.id)
        is_news = not job.unfinished and (known is None or known.unfinished)
        if is_news and job.id not in tried_again and job.ensemble is not None:
            by_ensemble[job.ensemble].append(job)
    return by_ensemble


def _counted(
    before: State,
    state: State,
    ensemble: EnsembleRecord,
    registry: Registry,
    heard_of: HeardOf,
    now: str,
) -> Step:
    ending = ending_of(ensemble)
    if ending is None:
        return with_ensemble(state, ensemble)
    reason = "" if ending == "success" else _why(ensemble)
    so_far = f"{ensemble.succeeded} of {ensemble.size} members have succeeded"
    step = members.cancel_left(state, ensemble, f"its ensemble has ended: {so_far}", now)
    ensemble = replace(
        ensemble,
        state=_STATES[ending],
        cancelled=ensemble.cancelled + ensemble.left,
        ended=now,
        reason=reason or None,
    )
    if ending == "cancelled":
        note = info(f"all members of {ensemble.worker} are cancelled (ensemble {ensemble.id})")
        put = with_ensemble(step.state, ensemble)
        step = step.then(replace(put, notes=(note,)))
        if _was_held(before, ensemble):
            return step
        return step.then(pass_barrier(step.state, ensemble.worker, now))
    return step.then(_told(step.state, ensemble, ending, registry, heard_of, now))


def ending_of(ensemble: EnsembleRecord) -> Ending | None:
    """Say how an ensemble ends by what its members have come to; None while that is open."""
    least, left = ensemble.at_least, ensemble.left
    if least is not None and ensemble.succeeded >= least:
        return "success"
    if left and (least is None or ensemble.succeeded + left >= least):
        return None
    if least is None and ensemble.succeeded == ensemble.size:
        return "success"
    if ensemble.failed:
        return "failure"
    return "crash" if ensemble.succeeded or ensemble.crashed else "cancelled"


def _why(ensemble: EnsembleRecord) -> str:
    counts = (
        (ensemble.succeeded, "succeeded"),
        (ensemble.failed, "failed"),
        (ensemble.crashed, "crashed"),
        (ensemble.cancelled, "cancelled"),
    )
    told = ", ".join(f"{count} {words}" for count, words in counts if count)
    least = ensemble.at_least
    needed = "all" if least is None else f"{least} of {ensemble.size}"
    return f"of its {ensemble.size} members {told}; {needed} had to succeed"


def _was_held(before: State, ensemble: EnsembleRecord) -> bool:
    """Say whether none of the members was released by the barrier that held what it follows."""
    held = {job.state for job in before.jobs.values() if job.ensemble == ensemble.id}
    return ensemble.barrier is not None and held <= {"held"}


def _told(
    state: State,
    ensemble: EnsembleRecord,
    outcome: Outcome,
    registry: Registry,
    heard_of: HeardOf,
    now: str,
) -> Step:
    """Derive the one message that tells of all members."""
    worker = registry.workers.get(ensemble.worker)
    heard = list(heard_of(ensemble))
    kind = _type_of(outcome, heard)
    if worker is None or (kind == "crash" and kind not in worker.messages):
        unheard = problem(
            f"nothing follows from the crash of {ensemble.worker} (ensemble {ensemble.id}): the "
            f"message registry gives it no `crash` message"
        )
        step = with_ensemble(state, ensemble)
        step = replace(step, notes=(_note(ensemble), unheard))
        return step.then(pass_barrier(step.state, ensemble.worker, now))
    payload = combined(heard)
    message = Message(ensemble.worker, kind, payload, outcome=outcome, reason=ensemble.reason)
    record = MessageRecord(
        number=state.last_message + 1,
        id=f"ensemble-{ensemble.id}",
        received=now,
        source=ensemble.worker,
        type=kind,
        body=message.serialize(),
        job=None,
        chain=ensemble.chain,
        outcome=outcome,
        state="received",
        effect="put" if worker.has_checklist_key else None,
        checklist_key=wire.dump(worker.checklist_key) if worker.has_checklist_key else None,
    )
    step = Step(
        replace(state, last_message=record.number),
        (MessageReceived(record),),
        (_note(ensemble),),
        journalled=record,
    )
    put = update_checklist(step.state, worker, record, payload)
    if not worker.has_checklist_key and all(each.payload is None for each in heard):
        put = replace(put, notes=())  # nothing is lost: no member had anything to say
    step = step.then(put)
    return step.then(with_ensemble(step.state, replace(ensemble, final_message=record.number)))


def combined(heard: Iterable[Heard]) -> dict[Label, Any]:
    """Give the payload of the combined message: what each member said, and who did not succeed."""
    payload: dict[Label, Any] = {}
    failed: list[Label] = []
    cancelled: list[Label] = []
    for each in heard:
        if each.state == "succeeded":
            payload[each.label] = each.payload
        elif each.state in ("failed", "crashed", "timed out", "lost"):
            failed.append(each.label)
        else:
            cancelled.append(each.label)
    return {**payload, FAILED: failed, CANCELLED: cancelled}


def _type_of(outcome: Outcome, heard: Collection[Heard]) -> str:
    """Give the type of the message: that of the first member that ended so."""
    if outcome == "crash":
        return "crash"
    state = "succeeded" if outcome == "success" else "failed"
    types = (each.type for each in heard if each.state == state and each.type is not None)
    return next(types, outcome)


def _note(ensemble: EnsembleRecord) -> Note:
    words = f"{ensemble.worker} {ensemble.state} (ensemble {ensemble.id})"
    if ensemble.reason is None:
        return info(f"{words}: {ensemble.succeeded} of {ensemble.size} members have succeeded")
    return problem(f"{words}: {ensemble.reason}")
