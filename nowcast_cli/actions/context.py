"""What an action gets besides its values: ``context``, of one call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from nowcast_cli.messages.performing import Order, Progress, Renewed

ACTION_WORKERS = "action_workers"
_BETWEEN_WORDS = 0.1  # s between two words of progress that are passed on


class ActionFailed(Exception):
    """What was asked for by ``context.request`` was not done; a sentence says why."""


class Desk(Protocol):
    """Whom a call turns to, beyond itself."""

    def say(self, word: Progress | Renewed) -> None:
        """Pass on a word; it need not arrive."""

    def ask(self, call: ActionContext, key: str, values: Mapping[str, Any]) -> Any:
        """Have another action done, and give what it gave."""


class _CallLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """Names the run and step before each message."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put the step before the text."""
        return f"{self.extra}: {msg}", kwargs


class ActionContext:
    """The call: of which run and step it is, how long it has, whom it can ask.

    Attributes
    ----------
    key
        The action key of the step, or the one that was asked for.
    run, flow, step, attempt, correlation
        Texts and a number; empty where the call is of no run.
    token
        For a step decorated with ``@ASYNC``: what ``nowcast flow complete`` names it by. None
        otherwise.
    """

    __slots__ = (
        "_began", "_clock", "_desk", "_logger", "_order", "_seconds", "_spoke", "attempt",
        "correlation", "flow", "key", "run", "step", "token",
    )  # fmt: skip

    def __init__(
        self,
        order: Order,
        desk: Desk,
        clock: Callable[[], float] = time.monotonic,
        logger: str = ACTION_WORKERS,
    ) -> None:
        self.key = order.key
        self.run, self.flow, self.step = order.run, order.flow, order.step
        self.attempt, self.correlation = order.attempt, order.correlation
        self.token = order.id if order.asynchronous else None
        self._order, self._desk, self._clock, self._logger = order, desk, clock, logger
        self._seconds = order.seconds
        self._began = clock()
        self._spoke = float("-inf")

    @property
    def seconds_left(self) -> float:
        """Seconds until the call is ended from outside, by killing its process."""
        return max(0.0, self._began + self._seconds - self._clock())

    @property
    def deadline(self) -> datetime:
        """When the call is ended from outside, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds_left)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger of the system, which names the step in each message."""
        who = f"{self.flow}.{self.step} ({self.run[-8:]})" if self.run else self.key
        return _CallLogger(logging.getLogger(self._logger), who)  # type: ignore[arg-type]

    def progress(self, text: str | None = None, fraction: float | None = None) -> None:
        """Say how far it is: in words, as a fraction from 0 to 1, or both.

        Said more often than ten times a second, some words are left out.
        """
        now = self._clock()
        if now - self._spoke < _BETWEEN_WORDS and fraction != 1:
            return
        self._spoke = now
        part = None if fraction is None else min(1.0, max(0.0, float(fraction)))
        self._desk.say(Progress(self._order.id, None if text is None else str(text), part))

    def renew(self, seconds: float) -> None:
        """Ask for more time: the call has ``seconds`` from now on."""
        if not 0 < seconds < float("inf"):
            raise ValueError(f"a call is renewed for a number of seconds above 0, not {seconds!r}")
        self._began, self._seconds = self._clock(), float(seconds)
        self._desk.say(Renewed(self._order.id, float(seconds)))

    def request(self, key: str, values: Mapping[str, Any] | None = None) -> Any:
        """Have another action done in the middle of this one, and give what it gave.

        A component that ``actions.ini`` maps the key to is called at once, in this process; an
        exception that it raises comes out here. An action of a service is asked of that one.
        Raises ActionFailed where nobody answers the key, or the service has failed, or did not
        answer in the time of this call.
        """
        return self._desk.ask(self, key, values or {})

    def called_for(self, key: str) -> ActionContext:
        """Give the context of a component that is called in the middle of this call."""
        inner = ActionContext(self._order, self._desk, self._clock, self._logger)
        inner.key, inner.token = key, None
        inner._began, inner._seconds = self._began, self._seconds
        return inner
