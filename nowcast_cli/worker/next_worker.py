"""The worker that is to run next, as ``after_`` functions name it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        Where it is to run: a key of ``run: enabled hosts``, or localhost.
    """

    module: str
    args: list[Any] = field(default_factory=list)
    host: str = "localhost"

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
        }
        with Client.of(config) as client:
            try:
                reply = client.ask(Message("nowcast", "launch", request))
            except NoAnswer as error:
                raise WorkerError(error.what, cause=error.cause, hint=error.hint) from None
        if reply.type != "ack":
            raise refusal(reply, f"the manager does not launch {self.module}")
        logger.debug("the manager has taken on %s", self)


def refusal(reply: Message, otherwise: str) -> WorkerError:
    """Make an error of the manager's own sentence, where its reply has one."""
    said = reply.payload if isinstance(reply.payload, dict) else {"what": reply.payload}
    what, hint = said.get("what"), said.get("hint")
    if not isinstance(what, str):
        what = f"{otherwise}: it answered {reply.type!r}"
    return WorkerError(what, hint=hint if isinstance(hint, str) else None)
