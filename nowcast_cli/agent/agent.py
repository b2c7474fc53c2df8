"""The agent itself: it tells the manager of this host, and does what it is asked to.

Four threads, for each of which waiting is all right: one looks at the host, one reports, one
pulls orders, one carries them out. Nothing is kept but in the folders of jobs: what has become of
a job is seen there whenever the manager asks, so an agent may be killed at any instant.
"""

from __future__ import annotations

import logging
import os
import platform
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli import __version__
from nowcast_cli.agent import host, machine
from nowcast_cli.agent.carrying import Carrier, Doing
from nowcast_cli.agent.hand import Hand
from nowcast_cli.agent.link import Link, NotHeard, Reach
from nowcast_cli.agent.mishaps import Mishaps
from nowcast_cli.agent.old_jobs import OldJobs
from nowcast_cli.agent.place import id_of, take_place
from nowcast_cli.agent.running import RunningJobs
from nowcast_cli.agent.settings import AgentSettings
from nowcast_cli.daemon.signals import Signals
from nowcast_cli.errors import NowcastError
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.agent_messages import (
    MOST_ERRORS,
    Answer,
    OfAgent,
    Pull,
    Register,
    Report,
    Talkback,
    to_text,
)
from nowcast_cli.process_identity import boot_id, uptime

_PATIENCE = 10.0  # seconds for an answer
_SLOWEST_LINE = 100_000  # bytes a second, at which an answer of some megabytes still comes through
_PULL_WAIT = 10.0  # that a pull waits with the manager
_AFTER_A_FAILURE = 1.0
_LOOK_EVERY = 1.0
_STALE = 60.0  # without a look at the host, which costs milliseconds

_logger = logging.getLogger("agent")


def run_agent(settings: AgentSettings, signals: Signals) -> int:
    """Be the agent until a signal comes; jobs go on.

    Raises NowcastError when another agent has the place or the name.
    """
    with take_place(settings.state, settings.name):
        _logger.info(
            "the agent %s works in %s, for the manager at %s",
            settings.name, settings.state, settings.master,
        )  # fmt: skip
        agent = Agent(settings)
        agent.start()
        agent.wait(signals)
        _logger.info("ended; its jobs go on")
        return 0


class Agent:
    """An agent with the place of its name."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._instance = new_id()
        self._machine = f"{id_of(settings.state)}@{host.name_of_host()}"
        self._gpus = host.gpus()
        self._link = Link(settings)
        self._reach = Reach(_logger)
        self._mishaps = Mishaps(settings.state / "mishaps.json")
        self._running = RunningJobs(settings.state)
        self._old_jobs = OldJobs(settings.state)
        self._hand = Hand(settings.python, settings.state)
        doing = Doing(self._answer, self._lease, self._complain)
        self._carrier = Carrier(self._hand, doing, settings.message_limits.message_size)
        self._ending = os.eventfd(0, os.EFD_CLOEXEC)
        self._refused: str | None = None
        self._talkback = Talkback()
        self._registered = threading.Event()  # the manager knows this instance
        self._unknown = threading.Event()  # it has asked who this is
        self._has_seen = threading.Event()
        self._seen: tuple[Report, float]
        self._number = 0
        self._stale = 0  # reports in a row without a new look at the host

    def start(self) -> None:
        """Begin to work."""
        for work in (self._look, self._report, self._pull, self._carrier.turn):
            threading.Thread(target=self._for_ever, args=(work,), daemon=True).start()

    def wait(self, signals: Signals) -> None:
        """Wait for a signal to end. Raises NowcastError when the manager refuses this agent."""
        select.select([signals.fileno(), self._ending], [], [])
        if self._refused is not None:
            raise NowcastError(
                f"the manager refuses the agent {self._settings.name}",
                cause=self._refused,
                hint="each agent needs a name of its own: nowcast key add NAME --role agent",
            )

    # --- the work of the threads

    def _for_ever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Exception:  # without this thread nobody would do its work any more
                _logger.exception("a mistake in nowcast itself")
                self._mishaps.note_exception()
                time.sleep(_AFTER_A_FAILURE)

    def _look(self) -> None:
        """See what the host is like, more often than it is reported."""
        seen = host.use_now(
            self._settings.name, self._instance, self._settings.state, self._running.ids()
        )
        self._seen = seen, uptime()
        self._old_jobs.remove(seen.running)
        self._has_seen.set()
        time.sleep(min(_LOOK_EVERY, self._talkback.report_every))

    def _report(self) -> None:
        """Tell the manager who this is, where it does not know, and then what is in use."""
        self._has_seen.wait()
        seen, at = self._seen
        self._stale = self._stale + 1 if uptime() - at > _STALE else 0
        if self._stale == 2:  # at the first time all of this process may have been frozen
            self._complain(f"the disk of {self._settings.state} does not answer")
        try:
            if self._registered.is_set():
                self._tell_use(seen)
            else:
                self._register(seen)
        except NotHeard as error:
            self._reach.lost(str(error))
            time.sleep(_AFTER_A_FAILURE)
            return
        if self._reach.back():
            self._carrier.hurry()
        # Whoever is asked who it is does not wait.
        self._unknown.wait(self._talkback.report_every)

    def _register(self, seen: Report) -> None:
        self._unknown.clear()
        self._say(self._introduction(seen), _PATIENCE)
        self._registered.set()
        if self._refused is None:
            _logger.info("registered with the manager")

    def _introduction(self, seen: Report) -> Register:
        settings = self._settings
        return Register(
            agent=settings.name,
            instance=self._instance,
            boot=boot_id(),
            machine=self._machine,
            hostname=socket.gethostname(),
            version=__version__,
            python=platform.python_version(),
            state_directory=str(settings.state),
            config_file=None if settings.config_file is None else str(settings.config_file),
            cpus=machine.cpus(),
            memory=machine.memory(),
            clock=time.time(),
            gpus=self._gpus,
            disks=seen.disks,
            tags=host.tags(settings.tags, self._gpus),
            limits=settings.limits,
            running=seen.running,
        )

    def _tell_use(self, seen: Report) -> None:
        errors = self._mishaps.first(MOST_ERRORS)
        self._number += 1
        report = replace(
            seen,
            number=self._number,
            clock=time.time(),
            errors=errors,
            order=self._carrier.order,
        )
        self._say(report, _PATIENCE)
        self._mishaps.told(errors)

    def _pull(self) -> None:
        """Wait with the manager for another order than the one that is had."""
        self._registered.wait()
        # Answered well within the lease: it is what lets jobs begin.
        wait = min(_PULL_WAIT, self._talkback.lease / 3)
        pull = Pull(self._settings.name, self._instance, self._carrier.order, wait)
        try:
            self._say(pull, wait + _PATIENCE)
        except NotHeard:  # of which the reports tell
            time.sleep(_AFTER_A_FAILURE)

    def _answer(self, order: str, part: Mapping[str, Any]) -> None:
        answer = Answer(self._settings.name, self._instance, order, part)
        self._say(answer, _PATIENCE + len(to_text(answer)) / _SLOWEST_LINE)

    # --- what the manager says

    def _say(self, message: OfAgent, patience: float) -> None:
        """Tell the manager, and do what it answers. Raises NotHeard."""
        asked = uptime()
        answer = self._link.say(message, patience)
        self._take(answer.talkback)
        if answer.assignments is not None:
            self._carrier.take(answer.assignments, asked)
        elif isinstance(message, Pull | Answer):
            self._carrier.confirm(message.order, asked)

    def _take(self, talkback: Talkback) -> None:
        if talkback.refused is not None:
            self._refused = talkback.refused
            os.eventfd_write(self._ending, 1)
        elif talkback.register:  # by a manager that knows nothing else of this agent
            self._registered.clear()
            self._unknown.set()
        else:
            if talkback.state != self._talkback.state:
                _logger.info("the agent is %s now", talkback.state)
            self._talkback = talkback

    def _lease(self) -> float:
        return self._talkback.lease

    def _complain(self, sentence: str) -> None:
        if self._mishaps.note(sentence):
            _logger.error("%s", sentence)
