"""Asks for the runs of files, several at once, and remembers which were answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

import zmq

from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages.asker import Asker
from nowcast_cli.messages.message import Message
from nowcast_cli.store.seen_files import Memory

_AT_ONCE = 32  # requests under way: the manager takes what has come in one commit


class Asking:
    """Keeps each request until it is answered; a file whose request is under way is not new."""

    def __init__(
        self, new_asker: Callable[[], Asker], memory: Memory, logger: logging.Logger
    ) -> None:
        self._askers = [new_asker() for _ in range(_AT_ONCE)]
        self._memory = memory
        self._logger = logger
        self._under_way: set[str] = set()
        self._to_remember: set[str] = set()
        self.trouble: str | None = None

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._under_way)

    def knows(self, request_id: str) -> bool:
        """Tell whether that was asked before."""
        return request_id in self._under_way or request_id in self._memory

    def put(self, message: Message) -> None:
        """Ask this, which has an id."""
        assert message.id is not None
        reached("file_watcher.found")
        self._under_way.add(message.id)
        min(self._askers, key=lambda asker: asker.waiting).put(message)

    def turn(self) -> None:
        """Take in answers, and ask what waits."""
        for asker in self._askers:
            for asked, reply in asker.turn() if asker.waiting else ():
                self._answered(asked, reply)
        if self._to_remember:
            reached("file_watcher.answered")
            self._remember()
            reached("file_watcher.remembered")

    def _answered(self, asked: Message, reply: Message) -> None:
        said = reply.payload if isinstance(reply.payload, Mapping) else {}
        about = asked.payload
        if reply.type == "ack":
            self._logger.debug(
                "%s: flow %s begins (run %s)", about["origin"], about["flow"], said.get("run")
            )
        else:
            what = said.get("what") or f"({reply.type})"
            self._logger.error(
                "%s: flow %s does not begin, the manager refused: %s; touch the file to have it "
                "asked again",
                about["origin"], about["flow"], what,
            )  # fmt: skip
        self._under_way.discard(str(asked.id))
        self._to_remember.add(str(asked.id))

    def there(self, ids: Collection[str]) -> None:
        """Take in which files are there, by the ids of their requests."""
        self._keep(lambda today: self._memory.there(ids, today))

    def _remember(self) -> None:
        # Those that cannot be written are known here, and written with the next ones.
        if self._keep(lambda today: self._memory.add(self._to_remember, today)):
            self._to_remember.clear()

    def _keep(self, write: Callable[[date], None]) -> bool:
        try:
            write(datetime.now(UTC).date())
        except NowcastError as error:
            if self.trouble is None:
                self._logger.error("%s: %s; %s", error.what, error.cause, error.hint)
            self.trouble = error.what
            return False
        self.trouble = None
        return True

    def sockets(self) -> list[zmq.Socket[Any]]:
        """Give the sockets on which answers may come; others after each turn."""
        sockets = (asker.socket() for asker in self._askers if asker.waiting)
        return [socket for socket in sockets if socket is not None]

    def wait_at_most(self) -> float | None:
        """Give the seconds until there is something to do without an answer."""
        waits = (asker.wait_at_most() for asker in self._askers)
        return min((wait for wait in waits if wait is not None), default=None)

    def close(self) -> None:
        """Let go of the sockets; what waits is asked again by the next one, for the same files."""
        for asker in self._askers:
            asker.close()
