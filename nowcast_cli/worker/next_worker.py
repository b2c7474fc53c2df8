"""The worker that is to run next, as ``after_`` functions name it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nowcast_cli.messages.message import Message
from nowcast_cli.worker.errors import WorkerError


@dataclass
class NextWorker:
    """A worker to launch; two with the same values are equal.

    Parameters
    ----------
    module
        Dotted name of the worker's module, as ``workers.make_forecast``.
    args
        What follows the configuration file on its command line.
    host
        Where it is to run: an executor, a key of ``run: enabled hosts``, or localhost, which says
        nothing of it.
    for_each
        The members of an ensemble, a job for each: a range, a list or ``"1..21"``, each value of
        which fills ``{member}`` in ``args``; or a mapping of names to such, all combinations of
        which fill ``{name}``. None for those of the configuration, or for one job.
    at_most
        How many members run at once; None for what the configuration says, or for no limit.
    ending
        When the ensemble ends: when ``"all"`` members have, when ``"any"`` has succeeded, or when
        so many have. None for what the configuration says, or for all.
    """

    module: str
    args: list[Any] = field(default_factory=list)
    host: str = "localhost"
    for_each: Any = field(default=None, kw_only=True)
    at_most: int | None = field(default=None, kw_only=True)
    ending: Literal["all", "any"] | int | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        """Give the call that makes it, without what is left out."""
        said = f"module={self.module!r}, args={self.args!r}, host={self.host!r}"
        more = {"for_each": self.for_each, "at_most": self.at_most, "ending": self.ending}
        words = [f"{name}={value!r}" for name, value in more.items() if value is not None]
        return f"{type(self).__qualname__}({', '.join([said, *words])})"

    def launch(self, config: Mapping[str, Any], logger_name: str) -> None:
        """Ask the manager to launch the worker; returns when it has been taken on.

        Raises WorkerError when the manager refuses, or does not answer within the deadline.
        """
        from nowcast_cli.messages.client import Client, NoAnswer

        logger = logging.getLogger(logger_name)
        logger.info("launching %s", self)
        request = {
            "module": self.module,
            "arguments": [str(argument) for argument in self.args],
            "host": self.host,
            **self._ensemble(),
        }
        with Client.of(config) as client:
            try:
                reply = client.ask(Message("nowcast", "launch", request))
            except NoAnswer as error:
                raise WorkerError(error.what, cause=error.cause, hint=error.hint) from None
        if reply.type != "ack":
            raise refusal(reply, f"the manager does not launch {self.module}")
        logger.debug("the manager has taken on %s", self)

    def _ensemble(self) -> dict[str, Any]:
        if self.for_each is None and self.at_most is None and self.ending is None:
            return {}
        from nowcast_cli.config.ensembles import NotAnEnsemble, request_of, wished

        try:
            return request_of(wished(self.for_each, self.at_most, self.ending))
        except NotAnEnsemble as error:
            raise WorkerError(f"{self} cannot be launched: {error}") from None


def refusal(reply: Message, otherwise: str) -> WorkerError:
    """Make an error of the manager's own sentence, where its reply has one."""
    said = reply.payload if isinstance(reply.payload, dict) else {"what": reply.payload}
    what, hint = said.get("what"), said.get("hint")
    if not isinstance(what, str):
        what = f"{otherwise}: it answered {reply.type!r}"
    return WorkerError(what, hint=hint if isinstance(hint, str) else None)
