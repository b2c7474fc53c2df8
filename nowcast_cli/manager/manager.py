"""The manager's turns: take in, decide, commit, answer, act."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

import zmq

from nowcast_cli.config.agents import agent_times
from nowcast_cli.config.limits import limits
from nowcast_cli.config.log_settings import SHORTEST_JOURNAL
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.config.settings import endpoints, next_workers_deadline
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.executors.kinds import MAKERS
from nowcast_cli.executors.local import LocalExecutor
from nowcast_cli.executors.remote_executor import Surroundings
from nowcast_cli.manager import job_transitions, requests
from nowcast_cli.manager.admission import Admission
from nowcast_cli.manager.agent_desk import AgentDesk
from nowcast_cli.manager.agent_requests import AgentRequests
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.checklist_picture import ChecklistPicture
from nowcast_cli.manager.clock import as_stored, now
from nowcast_cli.manager.committing import Committing
from nowcast_cli.manager.decider_process import DeciderProcess
from nowcast_cli.manager.deciders import Deciders
from nowcast_cli.manager.flows import Flows
from nowcast_cli.manager.housekeeping import Housekeeping
from nowcast_cli.manager.inbox import Arrived, Inbox
from nowcast_cli.manager.intake import Intake
from nowcast_cli.manager.job_watch import JobWatch
from nowcast_cli.manager.log_batches import batch_log_files
from nowcast_cli.manager.notifier_process import NotifierProcess
from nowcast_cli.manager.recovery import recover
from nowcast_cli.manager.reload import checked_config, find_module_file, needs_restart
from nowcast_cli.manager.remote_jobs import RemoteJobs
from nowcast_cli.manager.retries import counted_anew
from nowcast_cli.manager.slowness import Slowness
from nowcast_cli.manager.standby import TakeOver
from nowcast_cli.manager.state import Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.manager.undecided import Undecided, unstuck
from nowcast_cli.security.source import key_source, security_of
from nowcast_cli.store.database import Store
from nowcast_cli.store.leader import Deposed
from nowcast_cli.store.records import JobPut, JobRecord


class Manager:
    """The edge around the transitions: sockets, store, deciders and jobs of one system."""

    def __init__(
        self,
        context: DaemonContext,
        zmq_context: zmq.Context[Any],
        taken_over: TakeOver | None = None,
    ) -> None:
        self._context = context
        self._taken_over = taken_over
        self._warm_decider = None if taken_over is None else taken_over.decider
        self._logger = context.logger
        self._config = context.config
        self._registry = registry_of(context.config)
        paths, registry = context.paths, self._registry
        self._store = Store(paths.database)
        parsed = None if taken_over is None else taken_over.parsed
        self._state = recover(self._store, paths.checklist_file, self._logger, parsed)
        self._committing = Committing(self._store, self._logger)
        self._undecided = Undecided(self._store.undecided_messages())
        self._checklist = ChecklistPicture(self._store, paths.checklist_file, self._logger)
        orders = {
            "retry": self._retry,
            "reload": self._reload_by_request,
            "clean": self._clean_by_request,
        }
        self._housekeeping = Housekeeping(
            paths.database,
            lambda rows: self._store.commit([rows]),
            self._store.give_back,
            time.monotonic,
        )
        keys = paths.keys if security_of(self._config) == "curve" else None
        self._agents = AgentDesk(
            self._store, registry, agent_times(self._config), paths, keys, self._answer
        )
        orders |= AgentRequests(self._agents.floor).orders()
        self._flows = Flows(self._store, self._config, registry)
        orders |= self._flows.orders
        self._intake = Intake(self._store, registry, orders, self._logger)
        self._intake.limits = limits(self._config)
        self._intake.hear_agent = self._agents.hear
        self._intake.is_waiting = self._agents.is_waiting
        python = str(self._config["python"])
        executor = LocalExecutor(paths, python, paths.config_file)
        around = Surroundings(paths, python, keys)
        makers = {**MAKERS, "agents": self._agents.executor}
        remote = RemoteJobs(registry.executors, self._hosts(), makers, around)
        self._admission = Admission(registry, uptime)
        self._slowness = Slowness(self._store.run_times)
        self._jobs = JobWatch(
            executor, remote, paths, registry, time.monotonic, self._slowness.history_of
        )
        self._deciders = Deciders(
            self._begun_decider,
            module_file=find_module_file(registry.next_workers_module, paths.deployment),
            deadline=lambda: next_workers_deadline(self._config),
            monotonic=time.monotonic,
        )
        self._endpoints = endpoints(self._config)
        self._inbox = Inbox(
            zmq_context,
            self._endpoints.host,
            self._endpoints.manager,
            key_source(self._config, "manager"),
        )
        self._notifier = NotifierProcess(context.config_file, time.monotonic, self._logger)
        self._alone: str | None = None
        self._logs = batch_log_files()
        self._poller = zmq.Poller()
        for readable in (
            self._inbox.socket, self._inbox.monitor, context.signals.fileno(),
            context.health.fileno(), self._deciders.fileno(), *self._jobs.filenos(),
            self._agents.fileno(),
        ):  # fmt: skip
            self._poller.register(readable, zmq.POLLIN)
        self._resume()

    def _resume(self) -> None:
        """Go on where the last manager ended: its undecided messages and its open jobs."""
        self._recount()
        self._deciders.enqueue(self._undecided.entries())
        anew = counted_anew(self._state, uptime())
        self._store.commit(anew.changes)
        self._state = anew.state
        open_jobs = list(self._state.jobs.values())
        for job in open_jobs:
            if job.state in ("waiting", "held"):
                continue
            if job.state == "cancelled" or job.timed_out is not None:
                self._end(job)
            else:
                self._jobs.adopt(job)
        if open_jobs or self._undecided:
            self._logger.info(
                "going on with %d open jobs and %d messages that are not decided",
                len(open_jobs),
                len(self._undecided),
            )

    def _recount(self) -> None:
        turn = Turn(self._state)
        self._intake.recount(turn)
        if turn.changes:
            self._store.commit(turn.changes)
        self._state = turn.state
        self._undecided.take_in(turn)

    def _begun_decider(self) -> DeciderProcess:
        """Give a decider that has the checklist as it is now; the first may be warm already."""
        decider, self._warm_decider = self._warm_decider, None
        if decider is not None and not decider.lives():
            decider.end()
            decider = None
        if decider is None:
            decider = DeciderProcess(self._context.config_file)
        decider.begin(self._store.text.document())
        return decider

    def run(self) -> None:
        """Turn after turn, until a signal."""
        self._deciders.pump()
        self._notifier.tend(self._config, self._state.last_message)
        while not self._told_to_end(self._wait()):
            turn = self._take_in()
            if not self._commit(turn):
                return
            self._act(turn)
            if self._checklist.due_in() == 0.0:
                self._checklist.write(self._state.last_message)
            self._keep_house()
            self._notifier.tend(self._config, self._state.last_message)
            for handler in self._logs:
                handler.flush()

    def _wait(self) -> dict[Any, int]:
        limits = (
            self._checklist.due_in(),
            self._housekeeping.due_in(),
            self._deciders.wait_at_most(),
            self._jobs.wait_at_most(),
            self._admission.due_in(),
            self._flows.due_in(),
            1.0 if self._undecided.stuck() else None,
            self._inbox.wait_at_most(),
            self._agents.wait_at_most(),
        )
        shortest = min((limit for limit in limits if limit is not None), default=None)
        # Rounded up: a poll that ends early would turn in vain.
        milliseconds = None if shortest is None else int(shortest * 1000) + (shortest > 0)
        return dict(self._poller.poll(milliseconds))

    def _told_to_end(self, ready: Mapping[Any, int]) -> bool:
        if self._inbox.monitor in ready and self._inbox.greet():
            host, port = self._endpoints.host, self._endpoints.manager
            self._logger.info("connected to %s port %d", host, port)
        self._inbox.greet_again()
        if (alone := self._inbox.alone()) and not self._alone:
            self._logger.error(alone)
        self._alone = alone
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
        trouble = (
            self._committing.trouble
            or self._checklist.trouble
            or self._jobs.trouble()
            or self._alone
        )
        ready = self._inbox.connected and self._deciders.loaded
        return self._context.status(
            "in trouble" if trouble else "ready" if ready else "starting",
            connected=self._inbox.connected,
            undecided=len(self._undecided) - len(self._undecided.stuck()),
            stuck=len(self._undecided.stuck()),
            jobs=sum(job.unfinished for job in self._state.jobs.values()),
            trouble=trouble or self._jobs.trouble_elsewhere(),
            cleaning=self._housekeeping.status(),
            agents=self._agents.status(),
            configuration=self._config.changed,
            **{"next workers": self._deciders.broken or "ok", "refused": self._deciders.refused},
            **({} if self._taken_over is None else {"took over": self._taken_over.told}),
        )

    def _take_in(self) -> Turn:
        """Gather what has come: messages, what happened to jobs, decisions, changed modules."""
        turn = Turn(self._state)
        self._intake.after_functions = self._deciders.after_functions
        for arrived in self._inbox.take():
            self._intake.arrived(turn, arrived)
        turn.add(self._agents.step(turn.state))
        for happening in self._jobs.happenings():
            self._intake.happening(turn, happening)
        for decided in self._deciders.results():
            record = self._undecided.get(decided.number)
            # Else it was decided by a decider that was stepped past, or is to be decided anew.
            if record is not None and decided.number not in turn.settled:
                self._intake.decision(turn, record, decided.result)
        if (turn.entries or self._undecided.stuck()) and self._deciders.modules_changed():
            self._logger.info("next_workers has changed: loading it anew")
            turn.add(unstuck(turn, self._undecided.stuck()))
        self._admit(turn)
        return turn

    def _admit(self, turn: Turn) -> None:
        """End ensembles, launch what may begin by now; whatever else a turn does comes before."""
        self._intake.conclude(turn)
        self._flows.follow(turn)
        turn.add(self._admission.admit(turn.state, turn.changes))
        turn.put_jobs_once()

    def _retry(self, turn: Turn, payload: Any) -> Step:
        step = self._undecided.retry(turn, payload)
        if self._deciders.broken is not None:
            self._deciders.load_anew()
        return step

    # --- committing and acting

    def _commit(self, turn: Turn) -> bool:
        """Put the turn on the disk; False when told to end before that was possible."""
        return self._committing.commit(turn.changes, self._told_to_end_within)

    def _told_to_end_within(self, seconds: float) -> bool:
        poller = zmq.Poller()
        poller.register(self._context.signals.fileno(), zmq.POLLIN)
        poller.register(self._context.health.fileno(), zmq.POLLIN)
        return self._told_to_end(dict(poller.poll(int(seconds * 1000))))

    def _act(self, turn: Turn) -> None:
        """Do what the committed turn asks for: answers first, then decisions, launches, files."""
        if turn.state.last_message != self._state.last_message:
            self._checklist.mark()
        reached("manager.before_acting")
        self._state = turn.state
        self._undecided.take_in(turn)
        self._slowness.follow(turn.changes)
        for arrived, reply in turn.answers:
            self._answer(arrived, reply)
        self._agents.act()
        for note in turn.notes:
            self._logger.log(note.level, "%s", note.text)
        reached("manager.before_deciding")
        self._deciders.enqueue(turn.entries)
        self._deciders.pump()
        reached("manager.before_launching")
        self._launch_and_end(turn)
        reached("manager.launched")
        for path in turn.taken_files:
            path.unlink(missing_ok=True)
            reached("manager.emptied_an_outbox")

    def _answer(self, arrived: Arrived, reply: bytes) -> None:
        self._inbox.answer(arrived, reply)

    def _launch_and_end(self, turn: Turn) -> None:
        latest = {
            change.job.id: change.job for change in turn.changes if isinstance(change, JobPut)
        }
        for job in latest.values():
            if job.state == "submitting":
                self._jobs.launch(job)
            elif job.id not in self._state.jobs:
                self._jobs.forget(job.id)
            elif job.state == "cancelled" or job.timed_out is not None:
                self._end(job)

    def _end(self, job: JobRecord) -> None:
        """End the processes of a job; close at once one that was kept from beginning."""
        if not self._jobs.end(job, now()):
            return
        turn = Turn(self._state)
        closed = job_transitions.closed(turn.state, job)
        turn.add(closed)
        self._admit(turn)
        if self._commit(turn):
            self._act(turn)

    # --- cleaning, reloading and ending

    def _clean_by_request(self, turn: Turn, payload: Any) -> Step:
        self._housekeeping.begin(payload, as_stored(time.time() - SHORTEST_JOURNAL))
        return Step(turn.state)

    def _keep_house(self) -> None:
        try:
            self._housekeeping.turn()
        except sqlite3.OperationalError as error:
            self._housekeeping.close()
            self._logger.error("the journal is not cleaned to its end: %s", error)

    def _hosts(self) -> dict[str, RemoteHost]:
        return remote_hosts(self._config, str(self._context.paths.config_file))

    def _reload_by_request(self, turn: Turn, payload: Any) -> Step:  # noqa: ARG002
        if problems := self._reload():
            raise requests.RequestError("\n".join(problems), "nowcast validate")
        return Step(turn.state)

    def _reload(self) -> list[str]:
        """Take in a changed configuration and next_workers; gives the problems of a broken one."""
        config, problems = checked_config(self._context.config_file)
        if config is None:
            for line in problems:
                self._logger.error("%s", line)
            self._logger.error("the configuration is not reloaded: the old one goes on")
            return problems
        for line in needs_restart(self._config, config):
            self._logger.warning("%s", line)
        self._config = config
        self._registry = registry_of(config)
        self._intake.use(self._registry)
        self._intake.limits = limits(config)
        self._admission.use(self._registry)
        self._flows.use(config, self._registry)
        self._agents.use(self._registry, agent_times(config))
        self._deciders.reload()
        self._jobs.use(self._hosts(), self._registry)
        self._notifier.reload()
        self._logger.info("configuration and next_workers reloaded from %s", config.file)
        return []

    def close(self) -> None:
        """Write what is committed to the checklist file, then let go of everything."""
        self._notifier.close()
        self._housekeeping.close()
        with contextlib.suppress(Deposed):  # it is for the one who leads now to write it
            self._checklist.close(self._state.last_message)
        self._inbox.close()
        self._deciders.close()
        self._jobs.close()
        with contextlib.suppress(Deposed, sqlite3.Error):  # only when agents were last heard of
            self._store.commit(self._agents.close())
        self._store.close()
