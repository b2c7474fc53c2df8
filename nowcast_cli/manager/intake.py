"""Taking in: what arrives becomes steps of a turn. Reads the store and writes the log, no more."""

from __future__ import annotations

import logging
import pprint
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.ensembles import EnsembleSettings
from nowcast_cli.config.limits import DEFAULTS
from nowcast_cli.config.registry import Registry
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager import (
    ensemble_requests,
    ensembles,
    holds,
    job_transitions,
    requests,
    scheduling,
    transitions,
)
from nowcast_cli.manager.boot_clock import Uptime, uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.happenings import (
    Claimed,
    Ended,
    Happening,
    Lost,
    NativeChanged,
    Overran,
    Slow,
    Stayed,
    Told,
)
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.members_heard import MembersHeard
from nowcast_cli.manager.replies import encode_reply, reply_of_text, reply_text
from nowcast_cli.manager.retries import BadEnding, next_attempt
from nowcast_cli.manager.state import ACKNOWLEDGED, Reply, State, Step, refused
from nowcast_cli.manager.transitions import Decision, Incoming
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.message import Message, MessageError, refuse_large
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    ChecklistCleared,
    EnsembleRecord,
    JobRecord,
    MessageReceived,
    MessageRecord,
)

# A request that only the manager itself can carry out; given its payload.
Order = Callable[[Turn, Any], Step]

_SCHEDULING: Mapping[str, Callable[[State, Any, str], Step]] = {
    "schedule": lambda state, payload, _: scheduling.follow(state, payload),
    "pause schedule": scheduling.pause,
    "resume schedule": scheduling.resume,
    "overdue": lambda state, payload, _: scheduling.overdue(state, payload),
}


class Intake:
    """Turns messages, requests, what happened to jobs, and decisions into steps.

    ``after_functions`` are the names of those that ``next_workers`` has, None while not known;
    ``limits`` what is too much to be taken in.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        orders: Mapping[str, Order],
        logger: logging.Logger,
        uptime: Callable[[], Uptime] = uptime,
    ) -> None:
        self._uptime = uptime
        self._store = store
        self._heard = MembersHeard(store)
        self._orders = orders
        self._logger = logger
        self.after_functions: Collection[str] | None = None
        self.limits = DEFAULTS
        # Requests that are answered later, by who takes them, and that are not for the journal.
        self.answered_later: Mapping[str, Callable[[Arrived, Message], None]] = {}
        self.is_waiting: Callable[[Arrived], bool] = lambda _: False
        self.questions: Mapping[str, Callable[[Turn, Any], Reply]] = {}  # these change nothing
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """Go on with a registry that was reloaded."""
        self._registry = registry
        self._worker_names = {
            entry.module: name
            for name, entry in registry.workers.items()
            if entry.module is not None
        }

    def arrived(self, turn: Turn, arrived: Arrived) -> None:
        """Take in a request of the broker; each gets an answer, also what is no message."""
        if self.is_waiting(arrived):
            return
        try:
            refuse_large(len(arrived.body), self.limits)
            message = Message.deserialize(arrived.body, self.limits)
        except MessageError as error:
            self._logger.error("refused: %s", error.what)
            turn.answers.append((arrived, encode_reply(refused(error.what, error.hint), None)))
            return
        if message.source == requests.SOURCE and message.type in self.answered_later:
            self.answered_later[message.type](arrived, message)
            return
        message_id = message.id or _id_of_stamp(arrived.stamp)
        reply = self.message(turn, message, message_id, arrived.body.decode())
        turn.answers.append((arrived, encode_reply(reply, message.id)))

    def _again(self, job: JobRecord, ending: BadEnding, at: str) -> JobRecord | None:
        return next_attempt(self._registry, job, ending, at, new_id=new_id, uptime=self._uptime)

    def message(self, turn: Turn, message: Message, message_id: str, body: str) -> Reply:
        """Take in a message; one whose id was seen before has no effect and gets its old reply."""
        if message.source == requests.SOURCE and message.type in self.questions:
            return requests.answered(lambda: self.questions[message.type](turn, message.payload))
        before = turn.journalled.get(message_id) or self._store.message_by_id(message_id)
        if before is not None:
            return reply_of_text(before.reply_text)
        incoming = Incoming(message_id, message, body, now())
        if message.source == requests.SOURCE:
            return self._request(turn, incoming)
        sender = self._sender(turn, message)
        if sender is not None and sender.member is not None and sender.unfinished:
            try:
                incoming = ensembles.told_by_member(incoming, sender.member, self.limits)
            except MessageError as error:
                return refused(error.what, error.hint)
        step = transitions.receive(
            turn.state,
            self._registry,
            incoming,
            job=sender,
            after_functions=self.after_functions,
            again=self._again,
        )
        if sender is not None and sender.ensemble is not None and step.journalled is not None:
            said = step.journalled
            if said.outcome is not None:
                self._heard.remember(sender.ensemble, said, incoming.message.payload)
        self._log(turn, message, step)
        turn.add(_with_reply_text(step))
        return step.reply or ACKNOWLEDGED

    def _sender(self, turn: Turn, message: Message) -> JobRecord | None:
        if message.job is None:
            return transitions.job_of_no_id(turn.state, message)
        return self._job(turn, message.job)

    def _job(self, turn: Turn, job_id: str) -> JobRecord | None:
        return turn.state.jobs.get(job_id) or self._store.job(job_id)

    def _log(self, turn: Turn, message: Message, step: Step) -> None:
        if step.journalled is not None and self._logger.isEnabledFor(logging.DEBUG):
            words = self._registry.workers[message.source].messages.get(message.type, "")
            self._logger.debug(
                "received message from %s: (%s) %s", message.source, message.type, words
            )
        if any(isinstance(change, ChecklistCleared) for change in step.changes):
            self._log_checklist(turn)

    def _log_checklist(self, turn: Turn) -> None:
        """Write a checklist that is about to be emptied to the handlers that are there for it."""
        logger = logging.getLogger("checklist")
        if logger.handlers:
            level = max(logging.INFO, *(handler.level for handler in logger.handlers))
            logger.log(level, "checklist:\n%s", pprint.pformat(dict(turn.state.checklist)))

    def _request(self, turn: Turn, incoming: Incoming) -> Reply:
        """Carry out a request. A refusal is an answer too: a repeat must not be carried out."""
        try:
            step, chain = self._carry_out(turn, incoming)
        except requests.RequestError as error:
            step, chain = Step(turn.state, reply=requests.refusal(error)), incoming.id
        reply = step.reply or ACKNOWLEDGED
        if step.journalled is None:
            text = reply_text(reply)
            step = step.then(requests.journalled(step.state, incoming, chain, text))
        turn.add(step)
        return reply

    def _carry_out(self, turn: Turn, incoming: Incoming) -> tuple[Step, str]:
        """Carry out a request; gives its step and the chain that it belongs to."""
        payload, kind, at = incoming.message.payload, incoming.message.type, incoming.received
        if kind in self._orders:
            return self._orders[kind](turn, payload), incoming.id
        if kind == "clear checklist":
            self._log_checklist(turn)
            return transitions.clear_checklist(turn.state, incoming, None), incoming.id
        if kind == "hold":
            return holds.hold(turn.state, payload, at, self._registry.workers), incoming.id
        if kind == "release":
            return holds.release(turn.state, payload), incoming.id
        if kind in _SCHEDULING:
            return _SCHEDULING[kind](turn.state, payload, at), incoming.id
        if kind == "launch" and isinstance(payload, dict) and "schedule" in payload:
            step, begun = scheduling.launch(
                turn.state,
                payload,
                now=at,
                new_id=new_id,
                worker_names=self._worker_names,
                place_of=self._registry.place_of,
                settings_of=self._ensembles_of,
            )
            return step, begun or incoming.id
        if kind == "launch":
            step, job = requests.launch(
                turn.state,
                payload,
                now=at,
                new_id=new_id,
                worker_names=self._worker_names,
                place_of=self._registry.place_of,
                settings_of=self._ensembles_of,
            )
        elif kind == "cancel" and (ensemble := self._named_ensemble(turn, payload)):
            return ensemble_requests.cancel(turn.state, ensemble, at), ensemble.chain
        elif kind == "rerun":
            old = self._named_job(turn, payload)
            ensemble = self._named_ensemble(turn, payload) or self._ensemble_of(turn, old)
            if ensemble is not None:
                return self._rerun(turn, ensemble, old, bool(payload.get("failed")), at)
            step, job = requests.rerun(turn.state, old, now=at, new_id=new_id)
        elif kind == "cancel":
            step, job = requests.cancel_job(turn.state, self._named_job(turn, payload), now=at)
        else:
            raise requests.RequestError(f"there is no request {kind!r}", "nowcast --help")
        return step, job.chain

    def _named_ensemble(self, turn: Turn, payload: Any) -> EnsembleRecord | None:
        named = payload.get("job") if isinstance(payload, dict) else None
        if not isinstance(named, str):
            return None
        return turn.state.ensembles.get(named) or self._store.ensemble(named)

    def _ensemble_of(self, turn: Turn, job: JobRecord | None) -> EnsembleRecord | None:
        if job is None or job.ensemble is None:
            return None
        return turn.state.ensembles.get(job.ensemble) or self._store.ensemble(job.ensemble)

    def _rerun(
        self, turn: Turn, ensemble: EnsembleRecord, member: JobRecord | None, failed: bool, at: str
    ) -> tuple[Step, str]:
        """Run again all of an ensemble, what of it has not succeeded, or one ``member``."""
        last = self._heard.last_jobs(turn, ensemble)
        chosen: Collection[int] | None = None if failed else last.keys()
        if member is not None and member.member is not None:
            chosen = (member.member.index,)
        step, new = ensemble_requests.run_again(
            turn.state, ensemble, last, chosen, now=at, new_id=new_id
        )
        return step, new.chain

    def _ensembles_of(self, worker: str) -> EnsembleSettings:
        return self._registry.jobs_of(worker).ensemble

    def _named_job(self, turn: Turn, payload: Any) -> JobRecord | None:
        job_id = payload.get("job") if isinstance(payload, dict) else None
        return self._job(turn, job_id) if isinstance(job_id, str) else None

    def happening(self, turn: Turn, happening: Happening) -> None:
        """Take in what a job's folder tells."""
        if isinstance(happening, Told):
            self._told(turn, happening)
            return
        job = turn.state.jobs.get(happening.job_id)
        if job is None:
            return  # closed already
        match happening:
            case Claimed(_, pid, at):
                step = job_transitions.claimed(turn.state, job, pid, at)
            case Ended(_, exit_record, reason, by_system):
                step = job_transitions.process_ended(
                    turn.state,
                    self._registry,
                    job,
                    exit_record,
                    reason,
                    now(),
                    self._again,
                    by_system,
                )
            case NativeChanged(_, native):
                step = job_transitions.native_changed(turn.state, job, native, now())
            case Lost(_, reason):
                step = job_transitions.lost(
                    turn.state, self._registry, job, reason, now(), self._again
                )
            case Overran(_, seconds):
                step = job_transitions.overran(turn.state, job, seconds, now())
            case Slow():
                step = job_transitions.slow(turn.state, job, happening, now())
            case Stayed(_, words):
                step = job_transitions.stayed(turn.state, job, words)
        turn.add(step)

    def conclude(self, turn: Turn) -> None:
        """Take in what the ends of members in this turn make of their ensembles."""
        if not turn.changes:
            return
        steps = ensembles.conclude(
            turn.begun,
            turn.state,
            tuple(turn.changes),
            self._registry,
            lambda ensemble: self._heard.of(turn, ensemble),
            now(),
        )
        for step in steps:
            turn.add(step)
        self._heard.forget_ended(turn.state.ensembles)

    def _told(self, turn: Turn, told: Told) -> None:
        message = told.message
        if told.path is None:
            job = turn.state.jobs.get(message.job or "")
            if job is None or not job.unfinished:
                return  # its command has ended it by a message of its own
            assert told.message.id is not None, "those that we make have one"
            try:
                body = message.encode(self.limits)
            except MessageError as error:
                message = replace(
                    message, type="failure", payload=None, outcome="failure", reason=error.what
                )
                body = message.encode(self.limits)
            self.message(turn, message, told.message.id, body.decode())
            return
        self.message(turn, message, message.id or told.path.stem, message.serialize())
        turn.taken_files.append(told.path)

    def recount(self, turn: Turn) -> None:
        """Count the members of all open ensembles anew, as the store may have been put back."""
        for ensemble in turn.state.ensembles.values():
            step = ensembles.recounted(
                turn.state,
                ensemble,
                self._heard.last_jobs(turn, ensemble),
                self._registry,
                lambda ended: self._heard.of(turn, ended),
                now(),
            )
            turn.add(step)

    def decision(self, turn: Turn, record: MessageRecord, result: Decision | str) -> None:
        """Take in what was decided on a message, or why nothing could be."""
        if isinstance(result, str):
            turn.add(transitions.stick(turn.state, record, result, now()))
            return
        turn.add(
            transitions.decide(
                turn.state,
                record,
                result,
                now=now(),
                new_id=new_id,
                worker_names=self._worker_names,
                place_of=self._registry.place_of,
                settings_of=self._ensembles_of,
            )
        )


def _id_of_stamp(stamp: bytes | None) -> str:
    """Give the id of a message without one: by its stamp, a message offered again is the same."""
    return new_id() if stamp is None else f"stamp-{stamp.hex()}"


def _with_reply_text(step: Step) -> Step:
    """Put the reply into the journal, where it is not the plain acknowledgement."""
    record, text = step.journalled, reply_text(step.reply or ACKNOWLEDGED)
    if record is None or text is None:
        return step
    told = replace(record, reply_text=text)
    changes = tuple(
        MessageReceived(told) if change == MessageReceived(record) else change
        for change in step.changes
    )
    return replace(step, changes=changes, journalled=told)
