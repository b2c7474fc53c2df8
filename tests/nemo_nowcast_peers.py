"""Peers as NEMO_Nowcast has them, written to its wire format: plain sockets, YAML, no ids."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Self

import yaml
import zmq


class Peer:
    """Something that serves in a thread of its own until the end of a ``with`` block."""

    def __enter__(self) -> Self:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        # term() makes the blocking call of the thread raise ContextTerminated
        self._context.term()
        self._thread.join(5)

    def _run(self) -> None:
        try:
            self.serve()
        except zmq.ContextTerminated:
            for socket in self.sockets:
                socket.close(linger=0)

    sockets: list[zmq.Socket[bytes]]

    def serve(self) -> None:
        raise NotImplementedError


class PlainBroker(Peer):
    """A ROUTER for workers, a DEALER for the manager, and zmq.proxy between them."""

    def __init__(self, workers: int, manager: int) -> None:
        self.ports = (workers, manager)
        self.passed: list[list[bytes]] = []  # in either direction

    def serve(self) -> None:
        clients = self._context.socket(zmq.ROUTER)
        manager = self._context.socket(zmq.DEALER)
        self.sockets = [clients, manager]
        for socket, port in zip(self.sockets, self.ports, strict=True):
            socket.linger = 0
            socket.bind(f"tcp://127.0.0.1:{port}")
        seen = self._context.socket(zmq.PAIR)
        self.sockets.append(seen)
        seen.bind("inproc://passed")
        threading.Thread(target=self._watch, daemon=True).start()
        self._ready.set()
        zmq.proxy(clients, manager, seen)

    def _watch(self) -> None:
        with contextlib.suppress(zmq.ZMQError), self._context.socket(zmq.PAIR) as watched:
            watched.linger = 0
            watched.connect("inproc://passed")
            while True:
                self.passed.append(watched.recv_multipart())


class RepManager(Peer):
    """A REP socket that keeps a checklist, and forgets nothing that was said twice."""

    def __init__(self, port: int, keys: dict[str, str]) -> None:
        self.port = port
        self.keys = keys
        self.checklist: dict[Any, Any] = {}
        self.received: list[dict[str, Any]] = []

    def serve(self) -> None:
        socket = self._context.socket(zmq.REP)
        self.sockets = [socket]
        socket.linger = 0
        socket.connect(f"tcp://localhost:{self.port}")
        self._ready.set()
        while True:
            message = yaml.safe_load(socket.recv_string())
            self.received.append(message)
            kind, payload = self._answer(message["source"], message["type"], message["payload"])
            socket.send_string(yaml.dump({"source": "manager", "type": kind, "payload": payload}))

    def _answer(self, source: str, kind: str, payload: Any) -> tuple[str, Any]:
        if source not in self.keys:
            return "unregistered worker", None
        if kind == "need":
            return "ack", self.checklist[payload]
        if payload is not None:
            self.checklist[self.keys[source]] = payload
        return "ack", None


class ReqWorker:
    """A worker's REQ socket: what is told goes out as YAML, what comes back is YAML."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.rcvtimeo = 10_000
        self._socket.connect(f"tcp://localhost:{port}")

    def tell(self, kind: str, payload: Any = None) -> dict[str, Any]:
        """Send a message as upstream's dumper writes it (which has tags for Python's tuples)."""
        body = yaml.dump({"source": self.name, "type": kind, "payload": payload})
        self._socket.send_string(body)
        reply = yaml.safe_load(self._socket.recv_string())
        assert reply["source"] == "manager"
        return dict(reply)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)
