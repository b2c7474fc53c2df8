"""The manager's turns: take in, decide, commit, answer, act."""

from __future__ import annotations

import logging
import pprint
import signal
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import zmq

from nowcast_cli.config.registry import Registry, registry_of
from nowcast_cli.config.settings import endpoints, next_workers_deadline
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.executors.local import LocalExecutor
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager import job_transitions, requests, transitions
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.decider_process import DeciderProcess
from nowcast_cli.manager.deciders import Decided, Deciders
from nowcast_cli.manager.inbox import Arrived, Inbox
from nowcast_cli.manager.job_watch import Claimed, Ended, Happening, JobWatch, Lost, Told
from nowcast_cli.manager.recovery import entry_of, recover
from nowcast_cli.manager.reload import checked_config, find_module_file
from nowcast_cli.manager.replies import encode_reply, reply_of_text, reply_text
from nowcast_cli.manager.state import Reply, Step, refused
from nowcast_cli.manager.transitions import Decision, Incoming
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages import wire
from nowcast_cli.messages.message import Message, MessageError
from nowcast_cli.store.checklist_file import ChecklistFile
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    ChecklistCleared,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    MessageSettled,
)

WRITE_RETRY = 1.0


def run_manager(context: DaemonContext) -> int:
    """Run the manager until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code 0."""
    zmq_context: zmq.Context[Any] = zmq.Context()
    manager = Manager(context, zmq_context)
    try:
        manager.run()
    finally:
        manager.close()
        zmq_context.destroy(linger=200)
    return 0


class Manager:
    """The edge around the transitions: sockets, store, deciders and jobs of one system."""

    def __init__(self, context: DaemonContext, zmq_context: zmq.Context[Any]) -> None:
        self._context = context
        self._logger = context.logger
        self._config = context.config
        self._registry: Registry = registry_of(context.config)
        self._worker_names = _worker_names(self._registry)
        paths = context.paths
        self._store = Store(paths.database)
        self._state = recover(self._store, paths.checklist_file, self._logger)
        self._undecided = {record.number: record for record in self._store.undecided_messages()}
        self._checklist_file = ChecklistFile(paths.checklist_file, time.monotonic)
        self._checklist_file.mark()
        executor = LocalExecutor(paths, str(self._config["python"]), paths.config_file)
        self._jobs = JobWatch(executor, paths, time.monotonic)
        self._deciders = self._new_deciders()
        self._endpoints = endpoints(self._config)
        self._inbox = Inbox(zmq_context, self._endpoints.host, self._endpoints.manager)
        self._trouble: str | None = None
        self._poller = zmq.Poller()
        for readable in (
            self._inbox.socket, self._inbox.monitor, context.signals.fileno(),
            context.health.fileno(), self._deciders.fileno(), self._jobs.fileno(),
        ):  # fmt: skip
            self._poller.register(readable, zmq.POLLIN)
        self._resume()

    def _new_deciders(self) -> Deciders:
        return Deciders(
            lambda: DeciderProcess(self._context.config_file, self._store.text.document()),
            module_file=find_module_file(
                self._registry.next_workers_module, self._context.paths.deployment
            ),
            deadline=lambda: next_workers_deadline(self._config),
            monotonic=time.monotonic,
        )

    def _resume(self) -> None:
        """Go on where the last manager ended: its undecided messages and its open jobs."""
        self._deciders.enqueue(
            entry_of(record) for record in self._undecided.values() if record.state == "received"
        )
        open_jobs = [job for job in self._state.jobs.values() if job.state != "held"]
        for job in open_jobs:
            if job.state == "cancelled":
                self._end_cancelled(job)
            else:
                self._jobs.adopt(job)
        if open_jobs or self._undecided:
            self._logger.info(
                "going on with %d open jobs and %d messages that are not decided",
                len(open_jobs), len(self._undecided),
            )  # fmt: skip

    def run(self) -> None:
        """Turn after turn, until a signal."""
        self._deciders.pump()
        while not self._told_to_end(self._wait()):
            turn = Turn(self._state)
            for arrived in self._inbox.take():
                self._take_in(turn, arrived)
            for happening in self._jobs.happenings():
                self._take_happening(turn, happening)
            for decided in self._deciders.results():
                self._take_decision(turn, decided)
            self._take_changed_modules(turn)
            if not self._commit(turn):
                return
            self._act(turn)
            self._write_checklist_when_due()

    def _wait(self) -> dict[Any, int]:
        limits = (
            self._checklist_file.due_in(),
            self._deciders.wait_at_most(),
            self._jobs.wait_at_most(),
            1.0 if self._has_stuck() else None,
        )
        shortest = min((limit for limit in limits if limit is not None), default=None)
        # Rounded up: a poll that ends early would turn in vain.
        milliseconds = None if shortest is None else int(shortest * 1000) + (shortest > 0)
        return dict(self._poller.poll(milliseconds))

    def _has_stuck(self) -> bool:
        return bool(self._stuck())

    def _told_to_end(self, ready: Mapping[Any, int]) -> bool:
        if self._inbox.monitor in ready and self._inbox.greet():
            host, port = self._endpoints.host, self._endpoints.manager
            self._logger.info("connected to %s port %d", host, port)
        if self._context.health.fileno() in ready:
            self._context.health.answer(self._status())
        if self._context.signals.fileno() in ready:
            arrived = self._context.signals.read()
            if signal.SIGTERM in arrived or signal.SIGINT in arrived:
                return True
            if signal.SIGHUP in arrived:
                self._reload()
        return False

    def _status(self) -> dict[str, Any]:
        ready = self._inbox.connected and self._deciders.loaded and self._trouble is None
        return self._context.status(
            "ready" if ready else "starting" if self._trouble is None else "in trouble",
            connected=self._inbox.connected,
            undecided=sum(record.state == "received" for record in self._undecided.values()),
            stuck=len(self._stuck()),
            jobs=sum(job.unfinished for job in self._state.jobs.values()),
            trouble=self._trouble,
            **{"next workers": self._deciders.broken or "ok"},
        )

    # --- taking in

    def _take_in(self, turn: Turn, arrived: Arrived) -> None:
        try:
            message = Message.deserialize(arrived.body)
        except MessageError as error:
            self._logger.error("refused: %s", error.what)
            turn.answers.append((arrived, encode_reply(refused(error.what, error.hint), None)))
            return
        reply = self._take_message(turn, message, message.id or f"stamp-{arrived.stamp.hex()}")
        turn.answers.append((arrived, encode_reply(reply, message.id)))

    def _take_message(self, turn: Turn, message: Message, message_id: str) -> Reply:
        before = turn.journalled.get(message_id) or self._store.message_by_id(message_id)
        if before is not None:
            return reply_of_text(before.reply_text)
        payload_text = None if message.payload is None else wire.dump(message.payload)
        incoming = Incoming(message_id, message, payload_text, now())
        if message.source == requests.SOURCE:
            return self._take_request(turn, incoming)
        job = None if message.job is None else self._job(turn, message.job)
        step = transitions.receive(
            turn.state,
            self._registry,
            incoming,
            job=job,
            after_functions=self._deciders.after_functions,
        )
        if step.journalled is not None:
            self._log_received(message)
        self._log_cleared(turn, step)
        turn.add(_with_reply_text(step))
        return step.reply or Reply("ack")

    def _job(self, turn: Turn, job_id: str) -> JobRecord | None:
        return turn.state.jobs.get(job_id) or self._store.job(job_id)

    def _log_received(self, message: Message) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            words = self._registry.workers[message.source].messages.get(message.type, "")
            self._logger.debug(
                "received message from %s: (%s) %s", message.source, message.type, words
            )

    def _log_cleared(self, turn: Turn, step: Step) -> None:
        """Write a checklist that is about to be emptied to the handlers that are there for it."""
        if not any(isinstance(change, ChecklistCleared) for change in step.changes):
            return
        logger = logging.getLogger("checklist")
        if logger.handlers:
            level = max(logging.INFO, *(handler.level for handler in logger.handlers))
            logger.log(level, "checklist:\n%s", pprint.pformat(dict(turn.state.checklist)))

    def _take_request(self, turn: Turn, incoming: Incoming) -> Reply:
        try:
            step, chain = self._answer_request(turn, incoming)
        except requests.RequestError as error:
            return requests.refusal(error)
        reply = step.reply or Reply("ack")
        if step.journalled is None:
            record = requests.journalled(step.state, incoming, chain, reply_text(reply) or "")
            step = step.then(record)
        turn.add(step)
        return reply

    def _answer_request(self, turn: Turn, incoming: Incoming) -> tuple[Step, str]:
        """Carry out a request; gives its step and the chain that it belongs to."""
        payload = incoming.message.payload
        match incoming.message.type:
            case "launch":
                step, job = requests.launch(
                    turn.state,
                    payload,
                    now=incoming.received,
                    new_id=new_id,
                    worker_names=self._worker_names,
                )
                return step, job.chain
            case "rerun":
                step, job = requests.rerun(
                    turn.state, self._named_job(turn, payload), now=incoming.received, new_id=new_id
                )
                return step, job.chain
            case "cancel":
                step, job = requests.cancel_job(
                    turn.state, self._named_job(turn, payload), now=incoming.received
                )
                return step, job.chain
            case "clear checklist":
                step = transitions.clear_checklist(turn.state, incoming, None)
                self._log_cleared(turn, step)
                return step, incoming.id
            case "retry":
                return self._retry(turn, payload), incoming.id
            case "reload":
                if problems := self._reload():
                    raise requests.RequestError("\n".join(problems), "nowcast validate")
                return Step(turn.state), incoming.id
        raise requests.RequestError(
            f"There is no request {incoming.message.type!r}.", "nowcast --help"
        )

    def _named_job(self, turn: Turn, payload: Any) -> JobRecord | None:
        job_id = payload.get("job") if isinstance(payload, dict) else None
        return self._job(turn, job_id) if isinstance(job_id, str) else None

    def _take_happening(self, turn: Turn, happening: Happening) -> None:
        if isinstance(happening, Told):
            self._take_message(turn, happening.message, happening.message.id or new_id())
            turn.taken_files.append(happening.path)
            return
        job = turn.state.jobs.get(happening.job_id)
        if job is None:
            self._jobs.forget(happening.job_id)
            return
        match happening:
            case Claimed(_, pid, at):
                turn.add(job_transitions.claimed(turn.state, job, pid, at))
            case Ended(_, exit_record, reason):
                turn.add(
                    job_transitions.process_ended(
                        turn.state, self._registry, job, exit_record, reason, now()
                    )
                )
            case Lost(_, reason):
                turn.add(job_transitions.lost(turn.state, self._registry, job, reason, now()))

    def _take_decision(self, turn: Turn, decided: Decided) -> None:
        record = self._undecided.get(decided.number)
        if record is None:
            return  # decided before, by a decider that was stepped past
        if isinstance(decided.result, Decision):
            step = transitions.decide(
                turn.state,
                record,
                decided.result,
                now=now(),
                new_id=new_id,
                worker_names=self._worker_names,
            )
        else:
            step = transitions.stick(turn.state, record, decided.result, now())
        turn.add(step)

    def _take_changed_modules(self, turn: Turn) -> None:
        """Load next_workers anew when it has changed, and take what was stuck again."""
        if not (turn.entries or self._has_stuck()) or not self._deciders.modules_changed():
            return
        self._logger.info("%s has changed: loading it anew", self._registry.next_workers_module)
        turn.add(self._unstick(turn, self._stuck()))

    def _stuck(self) -> list[MessageRecord]:
        return [record for record in self._undecided.values() if record.state == "stuck"]

    def _retry(self, turn: Turn, payload: Any) -> Step:
        """Take stuck messages again: ``{message: id, number or "all"}``."""
        wanted = payload.get("message") if isinstance(payload, dict) else None
        stuck = [
            record
            for record in self._stuck()
            if str(wanted) in ("all", record.id, str(record.number))
        ]
        if not stuck and wanted != "all":
            raise requests.RequestError(
                f"Message {wanted} is not stuck.", "nowcast message list --state stuck"
            )
        if self._deciders.broken is not None:
            self._deciders.reload()
        return replace(
            self._unstick(turn, stuck),
            reply=Reply("ack", {"messages": [record.number for record in stuck]}),
        )

    def _unstick(self, turn: Turn, stuck: list[MessageRecord]) -> Step:
        return Step(
            turn.state,
            tuple(MessageSettled(record.number, "received", None) for record in stuck),
            entries=tuple(entry_of(record) for record in stuck),
        )

    # --- committing and acting

    def _commit(self, turn: Turn) -> bool:
        """Put the turn on the disk; on a full one, wait for room. False when told to end before."""
        while turn.changes:
            try:
                self._store.commit(turn.changes)
                break
            except sqlite3.OperationalError as error:
                if self._trouble is None:
                    self._logger.critical(
                        "the store %s cannot be written: %s; messages wait until it can",
                        self._store.path, error,
                    )  # fmt: skip
                self._trouble = f"the store cannot be written: {error}"
                if self._told_to_end(self._wait_in_trouble()):
                    return False
        if self._trouble is not None:
            self._logger.info("the store can be written again")
            self._trouble = None
        return True

    def _wait_in_trouble(self) -> dict[Any, int]:
        poller = zmq.Poller()
        poller.register(self._context.signals.fileno(), zmq.POLLIN)
        poller.register(self._context.health.fileno(), zmq.POLLIN)
        return dict(poller.poll(int(WRITE_RETRY * 1000)))

    def _act(self, turn: Turn) -> None:
        """Do what the committed turn asks for: answers first, then decisions, launches, files."""
        if turn.changes:
            if turn.state.last_message != self._state.last_message:
                self._checklist_file.mark()
            self._state = turn.state
            self._undecided |= turn.undecided()
            self._settle(turn)
        for arrived, reply in turn.answers:
            self._inbox.answer(arrived, reply)
        for note in turn.notes:
            self._logger.log(note.level, "%s", note.text)
        self._deciders.enqueue(turn.entries)
        self._deciders.pump()
        self._launch_and_end(turn)
        for path in turn.taken_files:
            path.unlink(missing_ok=True)

    def _settle(self, turn: Turn) -> None:
        for change in turn.changes:
            if not isinstance(change, MessageSettled):
                continue
            if change.state == "decided":
                self._undecided.pop(change.number, None)
            elif change.number in self._undecided:
                self._undecided[change.number] = replace(
                    self._undecided[change.number], state=change.state, error=change.error
                )

    def _launch_and_end(self, turn: Turn) -> None:
        latest = {
            change.job.id: change.job for change in turn.changes if isinstance(change, JobPut)
        }
        for job in latest.values():
            if job.state == "submitting":
                self._jobs.launch(job)
            elif job.id not in self._state.jobs:
                self._jobs.forget(job.id)
            elif job.state == "cancelled":
                self._end_cancelled(job)

    def _end_cancelled(self, job: JobRecord) -> None:
        """End the process of a cancelled job; close at once one that was kept from beginning."""
        if not self._jobs.cancel(job, now()):
            return
        turn = Turn(self._state)
        turn.add(job_transitions.process_ended(turn.state, self._registry, job, {}, "", now()))
        if self._commit(turn):
            self._act(turn)

    def _write_checklist_when_due(self) -> None:
        if self._checklist_file.due_in() == 0.0:
            self._write_checklist()

    def _write_checklist(self) -> None:
        document, journal = self._store.text.document(), self._state.last_message
        try:
            self._checklist_file.write(document, journal, now())
        except OSError as error:
            self._logger.error("the checklist file cannot be written: %s", error)

    # --- reloading and ending

    def _reload(self) -> list[str]:
        """Take in a changed configuration and next_workers; gives the problems of a broken one."""
        config, problems = checked_config(self._context.config_file)
        if config is None:
            for line in problems:
                self._logger.error("%s", line)
            self._logger.error("the configuration is not reloaded: the old one goes on")
            return problems
        self._config = config
        self._registry = registry_of(config)
        self._worker_names = _worker_names(self._registry)
        self._deciders.reload()
        self._logger.info("configuration and next_workers reloaded from %s", config.file)
        return []

    def close(self) -> None:
        """Write what is committed to the checklist file, then let go of everything."""
        if self._checklist_file.due_in() is not None:
            self._write_checklist()
        self._inbox.close()
        self._deciders.close()
        self._jobs.close()
        self._store.close()


def _with_reply_text(step: Step) -> Step:
    """Put the reply into the journal, where it is not the plain acknowledgement."""
    record, text = step.journalled, reply_text(step.reply or Reply("ack"))
    if record is None or text is None or record.reply_text == text:
        return step
    told = replace(record, reply_text=text)
    changes = tuple(
        MessageReceived(told) if change == MessageReceived(record) else change
        for change in step.changes
    )
    return replace(step, changes=changes, journalled=told)


def _worker_names(registry: Registry) -> dict[str, str]:
    return {
        entry.module: name for name, entry in registry.workers.items() if entry.module is not None
    }
