"""The way to the manager: one message, one answer."""

from __future__ import annotations

import logging
from typing import Any

import zmq

from nowcast_cli.agent.settings import AgentSettings
from nowcast_cli.messages.agent_messages import (
    Acknowledge,
    AgentMessageError,
    OfAgent,
    acknowledge_in,
    over_broker,
)
from nowcast_cli.messages.client import Client, NoAnswer, NotAdmitted
from nowcast_cli.messages.message import MessageError


class NotHeard(Exception):
    """The manager has not taken in a message, or nobody knows; the text is a sentence."""


class Link:
    """Carries messages to the manager, by way of the message broker; for several threads.

    Nothing is repeated here: whoever asks asks anew, with what is true by then.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self._remedy = (
            f"Where the system is: nowcast key add {settings.name} --role agent (or rotate it); "
            "bring the file here, for --key"
        )
        context: zmq.Context[Any] = zmq.Context()
        self._client = Client(
            settings.master.host,
            settings.master.port,
            repeat=False,
            limits=settings.message_limits,
            context=context,
            key=settings.key,
        )

    def say(self, message: OfAgent, patience: float) -> Acknowledge:
        """Tell the manager, and give its answer. Raises NotHeard after ``patience`` seconds."""
        try:
            return acknowledge_in(self._client.ask(over_broker(message), deadline=patience))
        except NotAdmitted as error:
            raise NotHeard(f"{error.what}, for {error.cause}. {self._remedy}") from None
        except (NoAnswer, MessageError) as error:
            words = error.cause if isinstance(error, NoAnswer) and error.cause else error.what
            raise NotHeard(words) from None
        except AgentMessageError as error:
            raise NotHeard(str(error)) from None


class Reach:
    """Says why the manager is away, each reason once, and once that it is back."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[str] = set()

    def lost(self, why: str) -> None:
        """Take note that nobody has answered. A revoked key looks like silence at first."""
        if why not in self._told:
            self._logger.warning(
                "the manager is not reached: %s; it is tried again, and jobs go on", why
            )
        self._told.add(why)

    def back(self) -> bool:
        """Take note of an answer; tells whether the manager had been away."""
        was_away = bool(self._told)
        if was_away:
            self._logger.info("the manager is reached again")
        self._told.clear()
        return was_away
