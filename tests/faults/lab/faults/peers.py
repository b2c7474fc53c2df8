"""Clients that behave as no client of ours does: many at once, or one that never reads."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import zmq

from nowcast_cli.messages.message import Message
from nowcast_cli.security.curve import present

if TYPE_CHECKING:
    from lab.system import LabSystem

_AT_ONCE = 300
_REPEAT = 4.0  # seconds without an answer after which a client asks anew
_PATIENCE = 90.0


class OpenConnection:
    """A client that speaks ZMTP 3.0 by itself, so that it can leave out the reading."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        ready = b"\x05READY" + b"\x0bSocket-Type" + b"\x00\x00\x00\x06DEALER"
        connection.sendall(greeting + b"\x04" + bytes([len(ready)]) + ready)

    def ask_for(self, key: str, times: int) -> None:
        """Ask for a value of the checklist many times. Raises OSError."""
        for _ in range(times):
            body = json.dumps({"source": "hand", "type": "need", "payload": key}).encode()
            self._connection.sendall(b"\x01\x00" + b"\x00" + bytes([len(body)]) + body)


def crowd(system: LabSystem, ids: Sequence[str], seconds: float) -> set[str]:
    """Have one client for each id tell one message, spread over the time; gives who was answered.

    Each has a connection of its own; one without an answer asks again, as our clients do.
    """
    context = zmq.Context()
    context.max_sockets = 4 * _AT_ONCE
    answered: set[str] = set()
    waiting: dict[zmq.Socket[bytes], tuple[str, float]] = {}
    to_come = list(reversed(ids))
    began = time.monotonic()
    try:
        while (to_come or waiting) and time.monotonic() - began < seconds + _PATIENCE:
            come = len(ids) - len(to_come)
            due = (time.monotonic() - began) / seconds * len(ids)
            while to_come and come < due and len(waiting) < _AT_ONCE:
                _ask(context, system, waiting, to_come.pop())
                come += 1
            _hear(context, system, waiting, answered)
    finally:
        context.destroy(linger=0)
    return answered


def _ask(
    context: zmq.Context[zmq.Socket[bytes]],
    system: LabSystem,
    waiting: dict[zmq.Socket[bytes], tuple[str, float]],
    message_id: str,
) -> None:
    client = context.socket(zmq.REQ)
    client.linger = 0
    if system.key is not None:
        present(client, system.key.read())
    client.connect(f"tcp://{system.settings['zmq']['host']}:{system.port}")
    message = Message("hand", "progress", {"flood": message_id[-2:]}, id=message_id)
    client.send(message.encode())
    waiting[client] = (message_id, time.monotonic())


def _hear(
    context: zmq.Context[zmq.Socket[bytes]],
    system: LabSystem,
    waiting: dict[zmq.Socket[bytes], tuple[str, float]],
    answered: set[str],
) -> None:
    poller = zmq.Poller()
    for client in waiting:
        poller.register(client, zmq.POLLIN)
    for client, _ in poller.poll(10):
        client.recv_multipart()
        answered.add(waiting.pop(client)[0])
        client.close()
    for client, (message_id, since) in list(waiting.items()):
        if time.monotonic() - since > _REPEAT:
            del waiting[client]
            client.close()
            _ask(context, system, waiting, message_id)
