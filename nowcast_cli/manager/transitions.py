"""What a message does to the state. Pure: values in, values out; no clock, file, socket or log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from nowcast_cli.config.ensembles import NO_ENSEMBLE, EnsembleSettings, NotAnEnsemble
from nowcast_cli.config.registry import Registry, WorkerEntry
from nowcast_cli.manager.barriers import barrier_for, pass_barrier, raise_barrier
from nowcast_cli.manager.job_transitions import (
    PlaceOf,
    end_by_message,
    new_job,
    settled_by,
    worker_name,
)
from nowcast_cli.manager.members import SettingsOf, begin, words_of
from nowcast_cli.manager.retries import TryAgain
from nowcast_cli.manager.state import (
    ACKNOWLEDGED,
    Entry,
    Note,
    Reply,
    State,
    Step,
    info,
    problem,
)
from nowcast_cli.messages import wire
from nowcast_cli.messages.message import Message
from nowcast_cli.store.merging import merged
from nowcast_cli.store.records import (
    ChecklistCleared,
    ChecklistPut,
    Effect,
    JobRecord,
    MessageReceived,
    MessageRecord,
    MessageSettled,
    Outcome,
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it arrived: with the id that makes it one, and as the YAML text that it was."""

    id: str
    message: Message
    body: str
    received: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A worker that an after_ function wants launched; with ``ensemble`` as several jobs."""

    module: str
    arguments: tuple[str, ...] = ()
    host: str = "localhost"
    ensemble: EnsembleSettings = NO_ENSEMBLE


@dataclass(frozen=True, slots=True)
class Decision:
    """What an after_ function returned: launches in order, and the workers of a barrier."""

    launches: tuple[Launch, ...]
    barrier: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def receive(
    state: State,
    registry: Registry,
    incoming: Incoming,
    *,
    job: JobRecord | None,
    after_functions: Collection[str] | None,
    again: TryAgain,
) -> Step:
    """Take in a worker's message that has not been seen before.

    Parameters
    ----------
    job
        The job that sent the message; None for a worker that was run by hand.
    after_functions
        Names of the after_ functions that there are; None while they are not known.
    again
        Gives the job that tries again what ended badly, where one does.
    """
    message = incoming.message
    entry = registry.workers.get(message.source)
    refusal = _refusal(entry, message)
    if refusal is not None:
        return Step(state, notes=(refusal[1],), reply=refusal[0])
    assert entry is not None
    if message.type == "need":
        return Step(state, reply=_needed(state, message.payload))
    if message.type == "clear checklist":
        return clear_checklist(state, incoming, job)
    outcome = _outcome_of(message)
    if job is not None and not job.unfinished:
        return _late(state, incoming, job, outcome)
    following = None
    if job is not None and outcome in ("failure", "crash"):
        ending = outcome if job.timed_out is None else "crash"
        following = again(job, ending, incoming.received)
    return _effective(state, entry, incoming, job, outcome, after_functions, following)


def job_of_no_id(state: State, message: Message) -> JobRecord | None:
    """Give the job that a message without an id is from, as far as can be told.

    NEMO_Nowcast's own library sends neither an id nor its job: of the jobs of that worker that
    run, the one that was made first. Else its end would be taken for a crash, after its success.
    """
    if message.id is not None or message.type == "need":
        return None
    running = [
        job
        for job in state.jobs.values()
        if job.worker == message.source and job.state in ("submitting", "running")
    ]
    return min(running, key=lambda job: job.id, default=None)


def _refusal(entry: WorkerEntry | None, message: Message) -> tuple[Reply, Note] | None:
    if entry is None:
        return Reply("unregistered worker"), problem(
            f"message received from unregistered worker: {message.source}"
        )
    if message.type not in entry.messages:
        return Reply("unregistered message type"), problem(
            f"unregistered message type received from {message.source} worker: {message.type}"
        )
    return None


def _needed(state: State, key: Any) -> Reply:
    try:
        return Reply("ack", state.checklist[key])
    except (KeyError, TypeError):
        return Reply(
            "no checklist key",
            {
                "what": f"There is no key {key!r} in the checklist.",
                "hint": "nowcast checklist show",
            },
        )


def _outcome_of(message: Message) -> Outcome | None:
    """Give how a worker ended by this message; None for one that it sends in between.

    Our client marks the last message. One of NEMO_Nowcast's sends no id and no mark: there, any
    message means that its worker has ended, and its type begins with the outcome by custom.
    """
    if message.outcome is not None or message.id is not None:
        return message.outcome
    if message.type.startswith("failure"):
        return "failure"
    return "crash" if message.type.startswith("crash") else "success"


def _record(
    state: State,
    incoming: Incoming,
    job: JobRecord | None,
    outcome: Outcome | None,
    effect: Effect | None = None,
    checklist_key: str | None = None,
) -> MessageRecord:
    message = incoming.message
    return MessageRecord(
        number=state.last_message + 1,
        id=incoming.id,
        received=incoming.received,
        source=message.source,
        type=message.type,
        body=incoming.body,
        job=None if job is None else job.id,
        chain=incoming.id if job is None else job.chain,
        outcome=outcome,
        state="received",
        effect=effect,
        checklist_key=checklist_key,
    )


def _journal(state: State, record: MessageRecord, reply: Reply = ACKNOWLEDGED) -> Step:
    return Step(
        replace(state, last_message=record.number),
        (MessageReceived(record),),
        journalled=record,
        reply=reply,
    )


def _late(state: State, incoming: Incoming, job: JobRecord, outcome: Outcome | None) -> Step:
    record = replace(_record(state, incoming, job, outcome), state="late")
    note = info(
        f"message ({record.type}) of {record.source} came after the end of its job {job.id} "
        f"({job.state}): recorded without effect"
    )
    return replace(_journal(state, record), notes=(note,))


def clear_checklist(state: State, incoming: Incoming, job: JobRecord | None) -> Step:
    """Empty the checklist; the message needs no decision."""
    message = incoming.message
    record = replace(_record(state, incoming, job, None, "clear"), state="answered")
    step = _journal(state, record)
    cleared = Step(
        replace(step.state, checklist={}),
        (ChecklistCleared(),),
        (info("checklist cleared"),),
        Reply("checklist cleared"),
        (Entry(record.number, message.source, message.type, None, "clear", decide=False),),
    )
    return step.then(cleared)


def _effective(
    state: State,
    worker: WorkerEntry,
    incoming: Incoming,
    job: JobRecord | None,
    outcome: Outcome | None,
    after_functions: Collection[str] | None,
    following: JobRecord | None,
) -> Step:
    key = _key_text(worker.checklist_key) if _changes_checklist(worker, incoming.message) else None
    record = _record(state, incoming, job, outcome, None if key is None else "put", key)
    record = settled_by(record, job, following)
    unheard = after_functions is not None and f"after_{record.source}" not in after_functions
    asks = record.state == "received"
    reply = Reply("no after_worker function") if unheard and asks else ACKNOWLEDGED
    step = _journal(state, record, reply)
    step = step.then(update_checklist(step.state, worker, record, incoming.message.payload))
    if job is not None and outcome is not None:
        said = incoming.message.reason
        step = step.then(end_by_message(step.state, job, record, outcome, following, said))
    return step


@lru_cache(maxsize=1024, typed=True)
def _key_text(key: Any) -> str:
    return wire.dump(key)


def _changes_checklist(worker: WorkerEntry, message: Message) -> bool:
    return message.payload is not None and worker.has_checklist_key


def update_checklist(
    state: State, worker: WorkerEntry, record: MessageRecord, payload: Any
) -> Step:
    """Put the payload of a message under the key of its worker, and hand the message on."""
    asks = record.state == "received"
    if record.effect is None:
        entry = Entry(record.number, record.source, record.type, payload, decide=asks)
        if payload is None:
            return Step(state, entries=(entry,))
        note = problem(
            f"the payload of message {record.number} ({record.type} of {record.source}) is not in "
            f"the checklist: add a `checklist key` to {record.source} in the message registry"
        )
        return Step(state, notes=(note,), entries=(entry,))
    key = worker.checklist_key
    value, was_merged = merged(state.checklist, key, payload)
    put = ChecklistPut(key, value, tuple(payload) if was_merged else None)
    return Step(
        replace(state, checklist={**state.checklist, key: value}),
        (put,),
        (info(f"checklist updated with [{key}] items from {record.source} worker"),),
        entries=(Entry(record.number, record.source, record.type, payload, "put", key, asks),),
    )


def decide(
    state: State,
    record: MessageRecord,
    decision: Decision,
    *,
    now: str,
    new_id: Callable[[], str],
    worker_names: Mapping[str, str],
    place_of: PlaceOf,
    settings_of: SettingsOf,
) -> Step:
    """Take in what follows from the message ``record``, which was received or stuck until now.

    Parameters
    ----------
    worker_names
        Names of workers by their modules, where the registry gives a module.
    place_of
        Gives where a job runs, of the worker and the host of its launch.
    settings_of
        Gives what the registry says of the ensembles of a worker.
    """
    left_out = "\n".join(decision.warnings) or None  # for who looks at the message
    settled = MessageSettled(record.number, "decided", now, left_out)
    notes = tuple(problem(f"message {record.number}: {text}") for text in decision.warnings)
    step = Step(state, (settled,), notes)
    if decision.barrier:
        step = step.then(raise_barrier(step.state, decision.barrier, record.number, now))
    # A message without an outcome is one in between: its worker has not ended. And a barrier that
    # is raised here waits for what is launched here, also for another run of this worker.
    passes = record.outcome is not None and record.source not in decision.barrier
    barrier = barrier_for(step.state, record.source) if passes else None
    for launch in decision.launches:
        worker = worker_names.get(launch.module) or worker_name(launch.module)
        job = new_job(
            new_id(),
            launch.module,
            launch.arguments,
            place_of(worker, launch.host),
            cause=record.number,
            chain=record.chain,
            barrier=None if barrier is None else barrier.number,
            now=now,
            worker=worker,
        )
        step = step.then(_launched(step.state, job, launch, record, settings_of, new_id))
    return step.then(pass_barrier(step.state, record.source, now)) if barrier else step


def _launched(
    state: State,
    job: JobRecord,
    launch: Launch,
    record: MessageRecord,
    settings_of: SettingsOf,
    new_id: Callable[[], str],
) -> Step:
    try:
        step, ensemble = begin(state, job, launch.ensemble, settings_of, new_id)
    except NotAnEnsemble as error:
        words = f"message {record.number}: {job.worker} is not launched, as an ensemble {error}"
        return Step(state, notes=(problem(words),))
    verb = "holding" if job.state == "held" else "launching"
    note = info(f"{verb} {words_of(job, ensemble)}, which follows {record.source}")
    return replace(step, notes=(*step.notes, note))


def stick(state: State, record: MessageRecord, error: str, now: str) -> Step:
    """Take in that nothing could be decided on the message ``record``, and why."""
    last_line = error.strip().splitlines()[-1] if error.strip() else "no reason given"
    note = problem(
        f"message {record.number} ({record.type} of {record.source}) is stuck: {last_line}; it is "
        f"taken again when next_workers changes, or by: nowcast message retry {record.number}"
    )
    return Step(state, (MessageSettled(record.number, "stuck", now, error),), (note,))
