"""Peers of the broker's sockets for actions and events: a manager, performers, subscribers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zmq

from broker_process import BrokerProcess
from helpers import wait_until
from nowcast_cli.security.curve import present
from nowcast_cli.security.key import key_file, read_key

GREETING = b"greeting"


class BusManager:
    """A manager that has greeted; keeps what the broker says, the newest last."""

    def __init__(
        self,
        context: zmq.Context[Any],
        broker: BrokerProcess,
        greeting: bytes = GREETING,
        key: str | None = None,
    ) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self.socket.linger = 0
        if key is not None:
            present(self.socket, read_key(key_file(broker.state / "keys", key)))
        self.socket.connect(f"tcp://127.0.0.1:{broker.manager}")
        self.heard: list[list[bytes]] = []
        wait_until(lambda: self._is_heard(greeting), what="the broker's answer")

    def greet(self, greeting: bytes = GREETING) -> None:
        self.socket.send_multipart([b"", b"hello", greeting])

    def _is_heard(self, greeting: bytes) -> bool:
        """Greet; the answer may have gone to a manager whose end the broker has not seen yet."""
        self.greet(greeting)
        return bool(self.socket.poll(3000)) and self.wait_for(b"broker") != []

    def listen(self) -> list[list[bytes]]:
        """Give all that was heard so far."""
        while self.socket.poll(0):
            self.heard.append(self.socket.recv_multipart())
        return self.heard

    def wait_for(self, *beginning: bytes) -> list[bytes]:
        """Wait for something that begins with these frames, take it away and give it."""

        def found() -> list[bytes] | None:
            for frames in self.listen():
                if frames[1 : 1 + len(beginning)] == [*beginning]:
                    self.heard.remove(frames)
                    return frames
            return None

        return wait_until(found, timeout=20, what=f"{beginning} to be heard")

    def wait_for_subscribers(self) -> None:
        wait_until(
            lambda: json.loads(self.wait_for(b"broker")[2])["subscribers"], what="a subscriber"
        )

    def tell(self, identity: bytes, *frames: bytes) -> None:
        self.socket.send_multipart([b"", b"performer", identity, *frames])

    def publish(self, numbers: dict[str, int], *frames: bytes) -> None:
        self.socket.send_multipart([b"", b"publish", json.dumps(numbers).encode(), *frames])


def here(context: zmq.Context[Any], kind: int, path: Path) -> zmq.Socket[bytes]:
    """Connect a socket to one of the run folder; receives wait 20 s at most."""
    peer = context.socket(kind)
    peer.linger = 0
    peer.rcvtimeo = 20_000
    peer.reconnect_ivl = 20
    peer.connect(f"ipc://{path}")
    return peer


def performer(context: zmq.Context[Any], broker: BrokerProcess) -> zmq.Socket[bytes]:
    """Connect somebody who may say hello."""
    return here(context, zmq.DEALER, broker.run / "actions.sock")


def subscriber(
    context: zmq.Context[Any], broker: BrokerProcess, *topics: bytes
) -> zmq.Socket[bytes]:
    """Connect somebody who has subscribed to these topics."""
    peer = here(context, zmq.SUB, broker.run / "events.sock")
    for topic in topics:
        peer.subscribe(topic)
    return peer
