"""What a worker says, checked against the message registry, logged, and told."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.limits import limits
from nowcast_cli.config.paths import system_paths
from nowcast_cli.config.registry import Registry, registry_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message, Outcome
from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.next_worker import refusal
from nowcast_cli.worker.telling import Teller

_REFUSALS = ("unregistered worker", "unregistered message type", "no checklist key", "refused")
_NOBODY = Message("manager", "ack")


@dataclass(frozen=True)
class Reporter:
    """Speaks for one worker. Without a teller (``--debug``) it logs what it would have sent."""

    name: str
    config: Config
    logger: logging.Logger
    teller: Teller | None

    def tell(
        self,
        msg_type: str,
        payload: Any = None,
        *,
        outcome: Outcome | None = None,
        reason: str | None = None,
        deadline: float | None = None,
    ) -> Message:
        """Send a message and give the reply; an ``ack`` when there is nobody to reply.

        Raises WorkerError when worker or type are not registered, when the manager refuses, and
        when a ``need`` gets no answer; MessageError when the payload cannot be sent.
        """
        registry = registry_of(self.config)
        words = self._words(registry, msg_type)
        job = _job_of_this_process()
        message = Message(
            self.name, msg_type, payload, id=new_id(), job=job, outcome=outcome, reason=reason
        )
        if self.teller is None:
            # What could not be sent is to be found out here, too.
            message.encode(limits(self.config))
            self.logger.debug(
                "**debug mode** message that would have been sent to manager: (%s) %s",
                msg_type,
                words,
            )
            return _NOBODY
        self.logger.debug("sent message: (%s) %s", msg_type, words)
        reply = (
            _need(self.teller, message)
            if msg_type == "need"
            else self.teller.tell(message, deadline=deadline)
        )
        if reply is None:
            return _NOBODY
        said = registry.manager.get(reply.type, "")
        self.logger.debug("received message from %s: (%s) %s", reply.source, reply.type, said)
        if reply.type in _REFUSALS:
            raise refusal(reply, f"the manager has refused the message {msg_type!r} of {self.name}")
        return reply

    def _words(self, registry: Registry, msg_type: str) -> str:
        worker = registry.workers.get(self.name)
        if worker is None:
            raise WorkerError(
                f"the worker {self.name} is not in the message registry of {self.config.file}",
                hint=f"add {self.name} below `message registry: workers:`",
            )
        if msg_type not in worker.messages:
            raise WorkerError(
                f"the message type {msg_type!r} of the worker {self.name} is not in the message "
                f"registry of {self.config.file}",
                hint=f"its types are: {', '.join(worker.messages)}",
            )
        return worker.messages[msg_type]


def _job_of_this_process() -> str | None:
    """Give the id of the job that this process is; None for one that a job has started."""
    if os.environ.get("NOWCAST_JOB_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return os.environ.get("NOWCAST_JOB_ID")


def connected_teller(config: Config, logger: logging.Logger) -> Teller:
    """Make a teller by the configuration; its outbox is the job's, or that of the system."""
    from nowcast_cli.messages.client import Client

    client = Client.of(config)
    folder = os.environ.get("NOWCAST_JOB_FOLDER")
    outbox = Path(folder, "outbox") if folder else system_paths(config).outbox
    logger.info("connected to %s port %s", client.host, client.port)
    return Teller(client, outbox, logger)


def _need(teller: Teller, message: Message) -> Message:
    """Ask for a value of the checklist, which is of no use later."""
    from nowcast_cli.messages.client import NoAnswer

    try:
        return teller.ask(message)
    except NoAnswer as error:
        raise WorkerError(error.what, cause=error.cause, hint=error.hint) from None
