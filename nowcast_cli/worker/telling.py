"""Telling the manager from inside a job; what nobody takes is kept in the outbox."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast_cli.messages import outbox
from nowcast_cli.messages.message import Message
from nowcast_cli.worker.stopping import Stopped

if TYPE_CHECKING:
    from nowcast_cli.messages.client import Client

_SECOND_CHANCE = 2.0  # seconds to find out whether the manager is back


@dataclass
class Teller:
    """Tells the manager, in order; a message is answered, or in the outbox, or both.

    Parameters
    ----------
    client
        The way to the manager.
    folder
        The outbox.
    """

    client: Client
    folder: Path
    logger: logging.Logger
    has_final: bool = field(default=False, init=False)
    _kept: list[Message] = field(default_factory=list, init=False)

    @property
    def all_told(self) -> bool:
        """Whether nothing waits in the outbox."""
        return not self._kept

    def tell(self, message: Message, *, deadline: float | None = None) -> Message | None:
        """Send a message that has an id; give the reply, or None when it is kept for later.

        Raises MessageError when the message cannot be sent. When a signal stops it, the message
        is kept first.
        """
        from nowcast_cli.messages.client import NoAnswer  # loads ZeroMQ

        try:
            self._tell_kept()
            reply = self.client.ask(message, deadline=deadline)
        except NoAnswer as error:
            self.logger.error("%s: %s; %s", error.what, error.cause, error.hint)
            self._keep(message)
            return None
        except Stopped:
            self._keep(message)
            raise
        self.has_final = message.outcome is not None
        return reply

    def ask(self, message: Message) -> Message:
        """Send a message whose reply alone is of use. Raises NoAnswer; nothing is kept."""
        self._tell_kept()
        return self.client.ask(message)

    def _tell_kept(self) -> None:
        """Send first what was said first. Raises NoAnswer when the manager is still away."""
        while self._kept:
            self.client.ask(self._kept[0], deadline=_SECOND_CHANCE)
            told = self._kept.pop(0)
            (self.folder / f"{told.id}.yaml").unlink(missing_ok=True)

    def _keep(self, message: Message) -> None:
        self._kept.append(message)
        self.has_final = message.outcome is not None
        try:
            path = outbox.put(self.folder, message)
        except OSError as error:
            self.logger.critical(
                "the message (%s) is lost: it cannot be kept in %s: %s",
                message.type,
                self.folder,
                error.strerror,
            )
        else:
            self.logger.error(
                "the message (%s) is kept as %s; the manager takes it in when it is back",
                message.type,
                path,
            )
