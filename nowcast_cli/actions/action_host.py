"""The action host: between the broker and the action workers. No user's code runs in it."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import zmq

from nowcast_cli.actions.crew import Crew
from nowcast_cli.actions.heard import Heard
from nowcast_cli.actions.worker_process import Held
from nowcast_cli.bus.performer_link import PerformerLink
from nowcast_cli.config import Config
from nowcast_cli.config.action_workers import action_worker_settings
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages.performing import (
    MAPPING,
    Answer,
    PerformingError,
    Welcome,
    Withdraw,
    read_order,
    to_performer,
)

NAME = "action_workers"
_ORDERS_A_WORKER = 100  # that the host takes; most wait there, and none is lost with a worker
_TIME_TO_END = 6.0  # s from SIGTERM on, for what runs
_TIME_TO_LEAVE = 1.5  # s, for results to be acknowledged
_LONGEST_TURN = 1.0  # s


def run_action_host(context: DaemonContext) -> int:
    """Run action workers until SIGTERM or SIGINT; SIGHUP replaces them. Returns the exit code 0."""
    zmq_context: zmq.Context[Any] = zmq.Context()
    settings = action_worker_settings(context.config)
    crew = Crew(settings, context.config_file, context.logger)
    link = PerformerLink(
        zmq_context,
        context.paths.run,
        NAME,
        settings.number * _ORDERS_A_WORKER,
        MAPPING,
        crew.in_hand,
    )
    host = ActionHost(context, crew, link)
    try:
        host.run()
    finally:
        crew.kill()
        link.close()
        zmq_context.destroy()
    return 0


@dataclass(slots=True)
class _Ending:
    kill_at: float
    leave_at: float = float("inf")


class ActionHost:
    """Takes orders from the link to the crew, and what became of them back."""

    def __init__(self, context: DaemonContext, crew: Crew, link: PerformerLink) -> None:
        self._context, self._crew, self._link = context, crew, link
        self._logger = context.logger
        self._ending: _Ending | None = None

    def run(self) -> None:
        """Turn after turn, until it has been told to end and what ran has ended."""
        wait = 0.0
        while True:
            ready = self._wait(wait)
            if self._link.socket in ready or self._link.wait_at_most() <= 0:
                for frames in self._link.turn():
                    self._take_in(frames)
            self._tell(self._crew.turn(ready))
            if self._ending is None:
                if self._link.may_begin():
                    self._crew.give(self._link.begin_until)
            elif self._has_ended(self._ending):
                self._link.bye()
                return
            wait = min(_LONGEST_TURN, self._link.wait_at_most(), self._crew.wait_at_most())
            if self._ending is not None:
                wait = min(wait, 0.05)

    def _wait(self, seconds: float) -> Collection[Any]:
        """Wait for what there is to see to; give what is ready of it."""
        signals, health = self._context.signals.fileno(), self._context.health.fileno()
        reading, writing = self._crew.descriptors()
        wanted: list[tuple[Any, int]] = [(self._link.socket, zmq.POLLIN)]
        wanted += [(each, zmq.POLLIN) for each in (signals, health, *reading)]
        wanted += [(each, zmq.POLLOUT) for each in writing]
        ready = {each for each, _ in zmq.zmq_poll(wanted, int(seconds * 1000) + (seconds > 0))}
        if health in ready:
            self._context.health.answer(self._context.status(**self.facts()))
        if signals in ready:
            self._heed(self._context.signals.read())
        return ready

    def facts(self) -> dict[str, Any]:
        """Give what there is to say of its health."""
        return {
            **self._crew.facts(),
            "connected": self._link.is_welcome,
            "unacknowledged": self._link.kept,
        }

    def _heed(self, arrived: list[int]) -> None:
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            if self._ending is None:
                self._logger.info("told to end: nothing more begins")
                self._ending = _Ending(time.monotonic() + _TIME_TO_END)
                self._crew.end()
                self._link.serve(0, MAPPING)  # which says, too, what will not begin any more
        elif signal.SIGHUP in arrived:
            self._reload()

    def _reload(self) -> None:
        config = Config()
        try:
            config.load(self._context.config_file)
            settings = action_worker_settings(config)
        except NowcastError as error:
            self._logger.error("%s: the action workers are not replaced", error.what)
            return
        self._crew.reload(settings)
        self._link.serve(settings.number * _ORDERS_A_WORKER, MAPPING)
        self._logger.info("the action workers are replaced by %d new ones", settings.number)

    def _take_in(self, frames: list[bytes]) -> None:
        try:
            if frames[0] == b"orders":
                if self._ending is None:
                    reached("action_host.received")
                    self._crew.take(Held(read_order(text), text) for text in frames[1:])
                return
            word = to_performer(frames)
        except PerformingError as error:
            self._logger.error("a word of the manager is not understood: %s", error)
            return
        if isinstance(word, Welcome):
            self._crew.keep(word.keep)
            for text in self._crew.asks():
                self._link.pass_on([b"ask", text])
        elif isinstance(word, Withdraw):
            self._crew.withdraw(word.ids)
        elif isinstance(word, Answer):
            self._crew.answered(word.id, frames[1])

    def _tell(self, heard: Heard) -> None:
        for frames in heard.words:
            self._link.pass_on(frames)
        if heard.results:
            reached("action_host.heard")
            self._link.done(heard.results)
            reached("action_host.told")

    def _has_ended(self, ending: _Ending) -> bool:
        now = time.monotonic()
        if not self._crew.is_empty:
            if now < ending.kill_at:
                return False
            self._tell(self._crew.kill())
        ending.leave_at = min(ending.leave_at, now + _TIME_TO_LEAVE)
        return not self._link.kept or now >= ending.leave_at
