"""A service's talk with the manager, in a thread of its own: its calls may take their time."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias
from uuid import uuid4

import zmq

from nowcast_cli.actions.context import ActionFailed
from nowcast_cli.actions.orders_in_hand import OrdersInHand
from nowcast_cli.bus.performer_link import PerformerLink
from nowcast_cli.crash_points import reached
from nowcast_cli.messages.performing import (
    Answer,
    Ask,
    Order,
    Orders,
    PerformingError,
    Progress,
    Renewed,
    Result,
    Welcome,
    Withdraw,
    frames_of,
    result_text,
    to_performer,
)

_LAST_ACKNOWLEDGEMENTS = 5.0  # s to wait for them at the end


@dataclass(frozen=True, slots=True)
class _Idle:
    """A thread waits for its first order."""


@dataclass(frozen=True, slots=True)
class _Ended:
    order: str
    text: bytes


@dataclass(frozen=True, slots=True)
class _NotBegun:
    order: Order


_News: TypeAlias = _Idle | _Ended | _NotBegun | Progress | Renewed | Ask


class ServiceTalk:
    """Takes orders in for the threads that carry them out, and tells how they have ended.

    Parameters
    ----------
    run
        The system's run folder.
    name
        Of the service.
    at_once
        How many orders it carries out at once.
    serves
        The keys of its actions.
    """

    def __init__(self, run: Path, name: str, at_once: int, serves: tuple[str, ...]) -> None:
        self._logger = logging.getLogger(name)
        self._pid = os.getpid()
        self._trouble: Exception | None = None
        self._serves = serves
        self._hands = OrdersInHand(at_once)
        self._at_once = self._takes = at_once
        self._context: zmq.Context[Any] = zmq.Context()
        self._link = PerformerLink(
            self._context, run, name, at_once, serves, lambda: list(self._hands.ids())
        )
        self._news: SimpleQueue[_News] = SimpleQueue()
        self._to_do: SimpleQueue[Order | None] = SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stop = False
        self._leave_by: float | None = None
        self._idle = 0
        self._asks: dict[str, tuple[Ask, SimpleQueue[Answer]]] = {}
        self._thread = threading.Thread(target=self._talk, name=f"{name}-talk", daemon=True)
        self._thread.start()

    # --- from other threads

    def carry_out(self, perform: Callable[[Order], bytes]) -> None:
        """Carry out orders in this thread, one after the other, until the talk has ended."""
        self._tell(_Idle())
        while (order := self._to_do.get()) is not None:
            # Once more, and right before: the process may have been stopped since it was given.
            if self._link.may_begin():
                reached("service.received")
                text = perform(order)
                if os.getpid() != self._pid:
                    os._exit(0)  # the child of a function's fork, which came back beside its parent
                reached("service.carried_out")
                self._tell(_Ended(order.id, text))
            else:
                self._tell(_NotBegun(order))

    def stop(self) -> None:
        """End what is in hand, then leave. Safe in a signal handler."""
        self._stop = True
        os.eventfd_write(self._wake, 1)

    def wait(self) -> None:
        """Wait until it has left. Raises RuntimeError where it has ended by a mistake."""
        self._thread.join()
        if self._trouble is not None:
            raise RuntimeError("the talk with the manager has ended") from self._trouble

    def say(self, word: Progress | Renewed) -> None:
        """Pass on a word of a call."""
        self._tell(word)

    def ask(self, key: str, values: Mapping[str, Any], seconds: float) -> Any:
        """Have an action of another performer done. Raises ActionFailed."""
        ask = Ask(f"ask-{uuid4().hex}", key, values, seconds)
        try:
            frames_of(ask)
        except (TypeError, ValueError, RecursionError) as error:
            raise ActionFailed(f"{key} cannot be asked with these values: {error}") from None
        answers: SimpleQueue[Answer] = SimpleQueue()
        self._asks[ask.id] = (ask, answers)
        try:
            self._tell(ask)
            answer = answers.get(timeout=seconds)
        except Empty:
            raise ActionFailed(f"{key} has not answered in the time of the call") from None
        finally:
            del self._asks[ask.id]
        if answer.state != "done":
            raise ActionFailed(f"{key}: {answer.reason or answer.state}")
        return answer.gave

    def _tell(self, news: _News) -> None:
        self._news.put(news)
        os.eventfd_write(self._wake, 1)

    # --- the talk

    def _talk(self) -> None:
        poller = zmq.Poller()
        poller.register(self._link.socket, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        try:
            while not self._is_over():
                poller.poll(int(self._wait_at_most() * 1000) + 1)
                self._turn()
            self._link.bye()
        except Exception as error:
            self._logger.exception("the talk with the manager has ended by a mistake of nowcast")
            self._trouble = error
        finally:
            self._link.close()
            self._context.term()
            for _ in range(self._at_once):
                self._to_do.put(None)

    def _wait_at_most(self) -> float:
        now = time.monotonic()
        due = [self._link.wait_at_most()]
        due += [at - now for at in (self._hands.due_at(), self._leave_by) if at is not None]
        return max(0.0, min(due))

    def _is_over(self) -> bool:
        """Whether it is to leave: nothing runs, and all results are taken, or nobody takes them."""
        if not self._stop or self._hands.runs or not self._news.empty():
            return False
        if self._leave_by is None:
            self._leave_by = time.monotonic() + _LAST_ACKNOWLEDGEMENTS
        return self._link.kept == 0 or time.monotonic() >= self._leave_by

    def _turn(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        for frames in self._link.turn():
            try:
                self._hear(frames)
            except PerformingError as error:
                self._logger.error("what the manager says is not understood: %s", error)
        self._take_news()
        self._tell_overdue()
        if self._stop:
            self._hands.close()
        if self._hands.takes != self._takes:
            self._takes = self._hands.takes
            self._link.serve(self._takes, self._serves)
        while self._idle and self._link.may_begin():
            order = self._hands.begin(time.monotonic())
            if order is None:
                break
            self._idle -= 1
            self._to_do.put(order)

    def _hear(self, frames: list[bytes]) -> None:
        match to_performer(frames):
            case Orders(orders):
                self._hands.take(orders)
            case Withdraw(ids):
                self._hands.withdraw(set(ids))
            case Welcome(keep=keep):
                self._hands.keep(set(keep))
                for ask, _ in list(self._asks.values()):
                    self._link.say(ask)
            case Answer() as answer:
                _, answers = self._asks.get(answer.id, (None, None))
                if answers is not None:
                    answers.put(answer)

    def _take_news(self) -> None:
        done: dict[str, bytes] = {}
        while not self._news.empty():
            match self._news.get():
                case _Idle():
                    self._idle += 1
                case _Ended(order, text):
                    self._idle += 1
                    if self._hands.ended(order):
                        done[order] = text
                case _NotBegun(order):
                    self._idle += 1
                    self._hands.not_begun(order)
                case Renewed() as word:
                    self._hands.renewed(word.id, word.seconds, time.monotonic())
                    self._link.say(word)
                case word:
                    self._link.say(word)
        if done:
            self._link.done(done)
            reached("service.told")

    def _tell_overdue(self) -> None:
        late = self._hands.overdue(time.monotonic())
        for order in late:
            self._logger.error("%s runs for longer than %g s", order.key, order.seconds)
        if late:
            self._link.done({order.id: _timed_out(order) for order in late})


def _timed_out(order: Order) -> bytes:
    reason = f"{order.key} did not end within {order.seconds:g} s"
    return result_text(Result(order.id, "timed out", reason=reason, seconds=order.seconds))
