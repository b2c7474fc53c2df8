"""What the broker passes on for performers and subscribers, beside a bare proxy of ZeroMQ.

Orders go from a manager to a performer, results back, events to subscribers: in messages of one
frame and of many, as they come when there is little and when there is much to do. Each round
measures the broker and a proxy of the same kinds of sockets, one after the other, because a
machine's speed drifts; the ratios are medians of the rounds' ratios. Run it with
``.venv/bin/python tests/benchmarks/bus_frames.py [MESSAGES [ROUNDS]]``.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).parent.parent))

from broker_echo import cpu_seconds

from broker_process import free_port, running_broker

FRAME = json.dumps({"id": "x" * 40, "state": "done", "gave": {"level": 1.5}, "note": "y" * 90})
BODY = FRAME.encode()
WINDOW = 64  # messages on their way: performers are given no more than they take
TOPIC = b"flows~forecast~step~s~done~"


def proxy(kinds: tuple[int, int], addresses: tuple[str, str]) -> None:
    """Pass everything on between two sockets of the kinds that the broker has."""
    context = zmq.Context()
    sockets = [context.socket(kind) for kind in kinds]
    for socket, address in zip(sockets, addresses, strict=True):
        socket.sndhwm = socket.rcvhwm = 0
        socket.bind(address)
    zmq.proxy(*sockets)


class Sides(ABC):
    """A manager, a performer and subscribers at the broker, or at the proxy."""

    def __init__(self, context: zmq.Context[Any]) -> None:
        self.context = context
        self.manager = self.open(zmq.DEALER)
        self.performer = self.open(zmq.DEALER)
        self.identity = b""

    def open(self, kind: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0
        return socket

    def to_performer(self, frames: list[bytes]) -> list[bytes]:
        return [self.identity, *frames]

    def be_there(self) -> None:
        """Say hello, lest the broker calls the performer gone; nothing is under way after it."""
        self.performer.send_multipart([b"hello", b"{}"])
        while b"hello" not in self.manager.recv_multipart():
            pass

    @abstractmethod
    def publisher(self) -> zmq.Socket[bytes]:
        """Open the socket that says events."""

    @abstractmethod
    def publish(self, publisher: zmq.Socket[bytes], events: int) -> None:
        """Say so many events in one message, or as the side takes them."""


class AtBroker(Sides):
    def __init__(self, context: zmq.Context[Any], run: Path, manager: int) -> None:
        super().__init__(context)
        self.events = f"ipc://{run / 'events.sock'}"
        self.manager.connect(f"tcp://127.0.0.1:{manager}")
        self.performer.connect(f"ipc://{run / 'actions.sock'}")
        self.manager.send_multipart([b"", b"hello", b"greeting"])
        assert self.manager.recv_multipart()[1] == b"broker"
        self.performer.send_multipart([b"hello", b"{}"])
        self.identity = self.manager.recv_multipart()[2]

    def to_performer(self, frames: list[bytes]) -> list[bytes]:
        return [b"", b"performer", self.identity, *frames]

    def publisher(self) -> zmq.Socket[bytes]:
        return self.manager

    def publish(self, publisher: zmq.Socket[bytes], events: int) -> None:
        publisher.send_multipart([b"", b"publish", b"{}", *([TOPIC, BODY] * events)])


class AtProxy(Sides):
    def __init__(self, context: zmq.Context[Any], addresses: tuple[str, str, str, str]) -> None:
        super().__init__(context)
        performers, manager, self.events, self.source = addresses
        self.manager.connect(manager)
        self.performer.connect(performers)
        self.performer.send_multipart([b"hello", b"{}"])
        self.identity = self.manager.recv_multipart()[0]

    def publisher(self) -> zmq.Socket[bytes]:
        publisher = self.open(zmq.PUB)
        publisher.connect(self.source)
        return publisher

    def publish(self, publisher: zmq.Socket[bytes], events: int) -> None:
        for _ in range(events):
            publisher.send_multipart([TOPIC, BODY])


def passed_on(
    send: Callable[[], None], receive: Callable[[], None], messages: int, frames: int
) -> float:
    """Give the frames a second, with a window of messages under way."""
    for _ in range(WINDOW):
        send()
    began = time.perf_counter()
    for _ in range(messages):
        receive()
        send()
    seconds = time.perf_counter() - began
    for _ in range(WINDOW):
        receive()
    return messages * frames / seconds


def orders(side: Sides, messages: int, frames: int) -> float:
    said = side.to_performer([b"orders", *([BODY] * frames)])
    return passed_on(
        lambda: side.manager.send_multipart(said, copy=False),
        lambda: side.performer.recv_multipart(copy=False) and None,
        messages,
        frames,
    )


def results(side: Sides, messages: int, frames: int) -> float:
    said = [b"done", *([BODY] * frames)]
    return passed_on(
        lambda: side.performer.send_multipart(said, copy=False),
        lambda: side.manager.recv_multipart(copy=False) and None,
        messages,
        frames,
    )


def events(side: Sides, messages: int, frames: int, subscribers: int = 1) -> float:
    publisher = side.publisher()
    sockets = [side.open(zmq.SUB) for _ in range(subscribers)]
    for socket in sockets:
        socket.subscribe(b"flows~")
        socket.connect(side.events)
    for socket in sockets:
        while not socket.poll(50):
            side.publish(publisher, 1)
    for socket in sockets:
        while socket.poll(100):
            socket.recv_multipart()

    def receive() -> None:
        for socket in sockets:
            for _ in range(frames):
                socket.recv_multipart(copy=False)

    rate = passed_on(lambda: side.publish(publisher, frames), receive, messages, frames)
    for socket in sockets:
        socket.close()
    if publisher is not side.manager:
        publisher.close()
    while side.manager.poll(100):  # how many subscribers there are
        side.manager.recv_multipart()
    return rate


CASES: dict[str, tuple[Callable[..., float], int, dict[str, int]]] = {
    "orders, one a message": (orders, 1, {}),
    "orders, 64 a message": (orders, 64, {}),
    "results, one a message": (results, 1, {}),
    "results, 64 a message": (results, 64, {}),
    "events, one a message": (events, 1, {}),
    "events, 64 a message": (events, 64, {}),
    "events, 64 a message, 10 subscribers": (events, 64, {"subscribers": 10}),
}


def report(name: str, rates: dict[str, list[float]], cpus: dict[str, list[float]]) -> None:
    """Print medians, and the median of the ratios of each round."""

    def ratio(values: dict[str, list[float]]) -> float:
        pairs = zip(values["broker"], values["proxy"], strict=True)
        return median(ours / (theirs or 0.01) for ours, theirs in pairs)

    print(
        f"{name:38} broker {median(rates['broker']):9,.0f}/s {median(cpus['broker']):5.1f} us CPU"
        f"   proxy {median(rates['proxy']):9,.0f}/s {median(cpus['proxy']):5.1f} us CPU"
        f"   ratios {ratio(rates):.2f} {ratio(cpus):.2f}"
    )


def main(messages: int = 2000, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder, running_broker(Path(folder)) as broker:
        addresses = (
            f"ipc://{folder}/performers.sock",
            f"tcp://127.0.0.1:{free_port()}",
            f"ipc://{folder}/events.sock",
            f"tcp://127.0.0.1:{free_port()}",
        )
        fork = multiprocessing.get_context("spawn")
        pairs = (zmq.ROUTER, zmq.DEALER), (zmq.XPUB, zmq.XSUB)
        beside = [
            fork.Process(target=proxy, args=(kinds, pair), daemon=True)
            for kinds, pair in zip(pairs, (addresses[:2], addresses[2:]), strict=True)
        ]
        for process in beside:
            process.start()
        context = zmq.Context()
        pids = {"broker": [broker.pid], "proxy": [process.pid or 0 for process in beside]}
        sides = {
            "broker": AtBroker(context, broker.run, broker.manager),
            "proxy": AtProxy(context, addresses),
        }
        for name, (measure, frames, more) in CASES.items():
            count = max(100, messages // frames * 4 // more.get("subscribers", 1))
            rates: dict[str, list[float]] = {side: [] for side in sides}
            cpus: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(rounds):
                for label, side in sides.items():
                    side.be_there()
                    before = sum(map(cpu_seconds, pids[label]))
                    rates[label].append(measure(side, count, frames, **more))
                    used = sum(map(cpu_seconds, pids[label])) - before
                    cpus[label].append(1e6 * used / (count * frames))
            report(name, rates, cpus)
        context.destroy(linger=0)
        for process in beside:
            process.kill()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
