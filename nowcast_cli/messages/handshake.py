"""Why a connection to the broker does not come about: what ZeroMQ knows of it, as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import zmq

from nowcast_cli.security.monitor import next_event
from nowcast_cli.security.source import KeySource

_NO_DETAIL = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_AUTH = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_PROTOCOL = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_SUCCEEDED = zmq.EVENT_HANDSHAKE_SUCCEEDED
FAILED = _NO_DETAIL | _AUTH | _PROTOCOL


@dataclass(frozen=True)
class Refusal:
    """What happened, why, and the remedy. ``final``: to try again does not help."""

    what: str
    cause: str
    hint: str
    final: bool

    @property
    def text(self) -> str:
        """All of it, for a log."""
        return f"{self.what}: {self.cause}; {self.hint}"


class Handshakes:
    """Watches the handshakes of one socket; make it before the socket connects.

    ``where`` and ``key`` are as in :class:`Judge`.
    """

    def __init__(self, socket: zmq.Socket[Any], where: str, key: KeySource | None) -> None:
        self._socket = socket
        self._judge = Judge(where, key)
        self.monitor = socket.get_monitor_socket(FAILED | _SUCCEEDED)

    def refusal(self) -> Refusal | None:
        """Take in what has happened, and say why there is no connection, where that is known."""
        found: Refusal | None = None
        while self.monitor.poll(0):
            event, _ = next_event(self.monitor)
            found = self._judge.hear(event)
        return found

    def close(self) -> None:
        """Stop watching; the socket is its owner's."""
        self._socket.disable_monitor()
        self.monitor.close(0)


class Judge:
    """Says what a failed handshake means.

    Parameters
    ----------
    where
        The address, for people.
    key
        Where the key of the socket was read, None for a socket without.
    """

    def __init__(self, where: str, key: KeySource | None) -> None:
        self._where = where
        self._key = key

    def hear(self, event: int) -> Refusal | None:
        """Take in what a monitor tells; None where all is well, or not known as yet."""
        if event == _AUTH:
            return self._refused()
        if event == _PROTOCOL:
            return self._mismatch()
        if event == _NO_DETAIL and self._key is not None:
            return self._strange()
        return None

    def _refused(self) -> Refusal:
        path = self._key.path if self._key is not None else None
        return Refusal(
            f"the message broker at {self._where} refuses the key {path}",
            "it is not on the list of the broker, was revoked, or is of another role",
            "nowcast key list there shows the keys; nowcast key rotate makes a new one",
            final=True,
        )

    def _mismatch(self) -> Refusal:
        if self._key is None:
            return Refusal(
                f"the message broker at {self._where} refuses connections without a key",
                "its system has `security: curve`, and this configuration has not",
                "write security: curve into nowcast.yaml here, and bring a key: nowcast key add",
                final=True,
            )
        return Refusal(
            f"the message broker at {self._where} knows no keys",
            "this configuration has `security: curve`; the broker was started without it",
            "nowcast restart, where the broker runs",
            final=True,
        )

    def _strange(self) -> Refusal:
        """Judge a connection that is closed without a word, as by a broker with another key.

        A broker that was killed in between looks the same, once.
        """
        path = self._key.path if self._key is not None else None
        return Refusal(
            f"what listens at {self._where} is not the message broker that the key {path} is for",
            "it has another key, or is another program",
            "where the broker's key was replaced, bring the file of the key anew; see also "
            "nowcast doctor",
            final=False,
        )
