"""The manager's turns: take in, decide, commit, answer, act."""

from __future__ import annotations

import contextlib
import gc
import signal
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

import zmq

from nowcast_cli.config.log_settings import SHORTEST_JOURNAL
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.manager import job_transitions, requests
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import as_stored, now
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.log_batches import batch_log_files
from nowcast_cli.manager.parts import Parts
from nowcast_cli.manager.reload import checked_config, needs_restart
from nowcast_cli.manager.retries import counted_anew
from nowcast_cli.manager.standby import TakeOver
from nowcast_cli.manager.state import Reply, Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.manager.undecided import unstuck
from nowcast_cli.store.leader import Deposed
from nowcast_cli.store.records import JobPut, JobRecord

_GARBAGE = (50_000, 20, 20)  # values made and not freed, before garbage is looked for


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
        self._logger = context.logger
        orders = {
            "retry": self._retry,
            "reload": self._reload_by_request,
            "clean": self._clean_by_request,
        }
        self._parts = Parts(context, zmq_context, taken_over, orders)
        self._state = self._parts.recovered
        self._alone: str | None = None
        self._logs = batch_log_files()
        self._poller = self._parts.poller()
        self._resume()

    def _resume(self) -> None:
        """Go on where the last manager ended: its undecided messages and its open jobs."""
        self._recount()
        self._parts.deciders.enqueue(self._parts.undecided.entries())
        anew = counted_anew(self._state, uptime())
        self._parts.store.commit(anew.changes)
        self._state = anew.state
        open_jobs = list(self._state.jobs.values())
        for job in open_jobs:
            if job.state in ("waiting", "held"):
                continue
            if job.state == "cancelled" or job.timed_out is not None:
                self._end(job)
            else:
                self._parts.jobs.adopt(job)
        if open_jobs or self._parts.undecided:
            self._logger.info(
                "going on with %d open jobs and %d messages that are not decided",
                len(open_jobs),
                len(self._parts.undecided),
            )

    def _recount(self) -> None:
        turn = Turn(self._state)
        self._parts.intake.recount(turn)
        self._parts.events.seal(turn)
        if turn.changes:
            self._parts.store.commit(turn.changes)
        self._state = turn.state
        self._parts.undecided.take_in(turn)

    def run(self) -> None:
        """Turn after turn, until a signal."""
        # What is there by now stays. A turn makes thousands of values that are no garbage before
        # it is committed: to look through them each time there are some more takes a fifth of it.
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        self._parts.deciders.pump()
        self._parts.notifier.tend(self._parts.config, self._state.last_message)
        while not self._told_to_end(self._wait()):
            turn = self._take_in()
            if not self._commit(turn):
                return
            self._act(turn)
            if self._parts.checklist.due_in() == 0.0:
                self._parts.checklist.write(self._state.last_message)
            self._keep_house()
            self._parts.notifier.tend(self._parts.config, self._state.last_message)
            for handler in self._logs:
                handler.flush()

    def _wait(self) -> dict[Any, int]:
        shortest = self._parts.due_in()
        # Rounded up: a poll that ends early would turn in vain.
        milliseconds = None if shortest is None else int(shortest * 1000) + (shortest > 0)
        return dict(self._poller.poll(milliseconds))

    def _told_to_end(self, ready: Mapping[Any, int]) -> bool:
        if self._parts.inbox.monitor in ready and self._parts.inbox.greet():
            host, port = self._parts.endpoints.host, self._parts.endpoints.manager
            self._logger.info("connected to %s port %d", host, port)
            self._parts.events.connected()
        self._parts.inbox.greet_again()
        if (alone := self._parts.inbox.alone()) and not self._alone:
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
        parts = self._parts
        trouble = (
            parts.committing.trouble
            or parts.checklist.trouble
            or parts.jobs.trouble()
            or self._alone
        )
        ready = parts.inbox.connected and parts.deciders.loaded
        return self._context.status(
            "in trouble" if trouble else "ready" if ready else "starting",
            connected=parts.inbox.connected,
            undecided=len(parts.undecided) - len(parts.undecided.stuck()),
            stuck=len(parts.undecided.stuck()),
            jobs=sum(job.unfinished for job in self._state.jobs.values()),
            trouble=trouble or parts.jobs.trouble_elsewhere(),
            cleaning=parts.housekeeping.status(),
            agents=parts.agents.status(),
            performers=parts.flows.status(),
            configuration=parts.config.changed,
            **{
                "next workers": parts.deciders.broken or "ok",
                "refused": parts.deciders.refused,
            },
            **({} if self._taken_over is None else {"took over": self._taken_over.told}),
        )

    def _take_in(self) -> Turn:
        """Gather what has come: messages, what happened to jobs, decisions, changed modules."""
        parts, turn = self._parts, Turn(self._state)
        parts.intake.after_functions = parts.deciders.after_functions
        for arrived in parts.inbox.take():
            if isinstance(arrived, Arrived):
                parts.intake.arrived(turn, arrived)
            else:
                parts.events.heard(arrived)
                parts.flows.hear(arrived)
        turn.add(parts.agents.step(turn.state))
        for happening in parts.jobs.happenings():
            parts.intake.happening(turn, happening)
        for decided in parts.deciders.results():
            record = parts.undecided.get(decided.number)
            # Else it was decided by a decider that was stepped past, or is to be decided anew.
            if record is not None and decided.number not in turn.settled:
                parts.intake.decision(turn, record, decided.result)
        if (turn.entries or parts.undecided.stuck()) and parts.deciders.modules_changed():
            self._logger.info("next_workers has changed: loading it anew")
            turn.add(unstuck(turn, parts.undecided.stuck()))
        self._admit(turn)
        return turn

    def _admit(self, turn: Turn) -> None:
        """End ensembles, launch what may begin by now; whatever else a turn does comes before."""
        self._parts.intake.conclude(turn)
        self._parts.left_registrations.step(turn)
        turn.add(self._parts.products.step(turn.state))
        self._parts.flows.follow(turn)
        turn.add(self._parts.admission.admit(turn.state, turn.changes))
        turn.put_jobs_once()
        self._parts.events.seal(turn)

    def _retry(self, turn: Turn, payload: Any) -> Step:
        step = self._parts.undecided.retry(turn, payload)
        if self._parts.deciders.broken is not None:
            self._parts.deciders.load_anew()
        return step

    # --- committing and acting

    def _commit(self, turn: Turn) -> bool:
        """Put the turn on the disk; False when told to end before that was possible."""
        return self._parts.committing.commit(turn.changes, self._told_to_end_within)

    def _told_to_end_within(self, seconds: float) -> bool:
        poller = zmq.Poller()
        poller.register(self._context.signals.fileno(), zmq.POLLIN)
        poller.register(self._context.health.fileno(), zmq.POLLIN)
        return self._told_to_end(dict(poller.poll(int(seconds * 1000))))

    def _act(self, turn: Turn) -> None:
        """Do what the committed turn asks for: answers first, then decisions, launches, files."""
        if turn.state.last_message != self._state.last_message:
            self._parts.checklist.mark()
        reached("manager.before_acting")
        self._state = turn.state
        self._parts.undecided.take_in(turn)
        self._parts.slowness.follow(turn.changes)
        for arrived, reply in turn.answers:
            self._parts.inbox.answer(arrived, reply)
        self._parts.agents.act()
        self._parts.products.act()
        self._parts.left_registrations.act()
        self._parts.flows.act(turn.changes)
        self._parts.events.tell(turn.changes)
        for note in turn.notes:
            self._logger.log(note.level, "%s", note.text)
        reached("manager.before_deciding")
        self._parts.deciders.enqueue(turn.entries)
        self._parts.deciders.pump()
        reached("manager.before_launching")
        self._launch_and_end(turn)
        reached("manager.launched")
        for path in turn.taken_files:
            path.unlink(missing_ok=True)
            reached("manager.emptied_an_outbox")

    def _launch_and_end(self, turn: Turn) -> None:
        latest = {
            change.job.id: change.job for change in turn.changes if isinstance(change, JobPut)
        }
        for job in latest.values():
            if job.state == "submitting":
                self._parts.jobs.launch(job)
            elif job.id not in self._state.jobs:
                self._parts.jobs.forget(job.id)
            elif job.state == "cancelled" or job.timed_out is not None:
                self._end(job)

    def _end(self, job: JobRecord) -> None:
        """End the processes of a job; close at once one that was kept from beginning."""
        if not self._parts.jobs.end(job, now()):
            return
        turn = Turn(self._state)
        closed = job_transitions.closed(turn.state, job)
        turn.add(closed)
        self._admit(turn)
        if self._commit(turn):
            self._act(turn)

    # --- cleaning, reloading and ending

    def _clean_by_request(self, turn: Turn, payload: Any) -> Step:
        self._parts.housekeeping.begin(payload, as_stored(time.time() - SHORTEST_JOURNAL))
        return Step(turn.state)

    def _keep_house(self) -> None:
        try:
            self._parts.housekeeping.turn()
        except sqlite3.OperationalError as error:
            self._parts.housekeeping.close()
            self._logger.error("the journal is not cleaned to its end: %s", error)

    def _reload_by_request(self, turn: Turn, payload: Any) -> Step:  # noqa: ARG002
        problems, later = self._reload()
        if problems:
            raise requests.RequestError("\n".join(problems), "nowcast validate")
        return Step(turn.state, reply=Reply("ack", {"later": later}))

    def _reload(self) -> tuple[list[str], list[str]]:
        """Take in a changed configuration and next_workers.

        Gives the problems of a broken one, and what of another takes a restart.
        """
        config, problems = checked_config(self._context.config_file)
        if config is None:
            for line in problems:
                self._logger.error("%s", line)
            self._logger.error("the configuration is not reloaded: the old one goes on")
            return problems, []
        later = needs_restart(self._parts.config, config)
        for line in later:
            self._logger.warning("%s", line)
        self._parts.use(config)
        self._logger.info("configuration and next_workers reloaded from %s", config.file)
        return [], later

    def close(self) -> None:
        """Write what is committed to the checklist file, then let go of everything."""
        self._parts.notifier.close()
        self._parts.farewell()
        self._parts.housekeeping.close()
        with contextlib.suppress(Deposed):  # it is for the one who leads now to write it
            self._parts.checklist.close(self._state.last_message)
        self._parts.inbox.close()
        self._parts.deciders.close()
        self._parts.jobs.close()
        with contextlib.suppress(Deposed, sqlite3.Error):  # only when agents were last heard of
            self._parts.store.commit(self._parts.agents.close())
        self._parts.store.close()
