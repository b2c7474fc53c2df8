"""The sockets of flows with nothing in between: what the machine gives at most.

Requester and subscriber (this process), subject, two workers, integration manager, each a process
of its own, over ``ipc://`` with the kinds of sockets that flows have: ROUTER, DEALER, XPUB. A
message is JSON of about 300 bytes, read and written by the worker; nothing is kept, and what a
process has in hand is lost with it.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import zmq

NOTE = "x" * 190
WORKERS = 2
IN_FLIGHT = 500
TOPIC = b"bare~"


def message(number: int) -> bytes:
    """Give a message of about 300 bytes."""
    told = {"source": "requester", "type": "step", "id": f"{number:036}", "number": number}
    return json.dumps(told | {"note": NOTE}).encode()


def subject(folder: str) -> None:
    """Hand each request to the worker with the fewest in hand."""
    context = zmq.Context()
    requests, workers = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    for socket, name in ((requests, "requests"), (workers, "workers")):
        socket.rcvhwm = socket.sndhwm = 0
        socket.bind(f"ipc://{folder}/{name}")
    identities: list[bytes] = [workers.recv_multipart()[0] for _ in range(WORKERS)]
    number = 0
    while True:
        _, body = requests.recv_multipart()
        workers.send_multipart([identities[number % WORKERS], body])
        number += 1


def worker(folder: str) -> None:
    """Read a message, write another one."""
    context = zmq.Context()
    subject, integration = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    for socket, name in ((subject, "workers"), (integration, "integration")):
        socket.rcvhwm = socket.sndhwm = 0
        socket.connect(f"ipc://{folder}/{name}")
    subject.send(b"ready")
    while True:
        told = json.loads(subject.recv())
        told["number"] += 1
        integration.send(json.dumps(told).encode())


def integration_manager(folder: str) -> None:
    """Publish what workers give."""
    context = zmq.Context()
    results, events = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
    results.rcvhwm = events.sndhwm = 0
    results.bind(f"ipc://{folder}/integration")
    events.bind(f"ipc://{folder}/events")
    while True:
        _, body = results.recv_multipart()
        events.send_multipart([TOPIC, body])


@contextlib.contextmanager
def processes(*targets: Callable[[str], None], folder: Path) -> Iterator[None]:
    """Run functions as processes until the end of the block."""
    started = [
        multiprocessing.Process(target=each, args=(str(folder),), daemon=True) for each in targets
    ]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.join()


@contextlib.contextmanager
def pipeline(folder: Path) -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Run the pipeline; gives the sockets of the requester and the subscriber."""
    targets = (subject, integration_manager, *[worker] * WORKERS)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with processes(*targets, folder=folder), context:
        requester, subscriber = context.socket(zmq.DEALER), context.socket(zmq.SUB)
        requester.sndhwm = subscriber.rcvhwm = 0
        requester.connect(f"ipc://{folder}/requests")
        subscriber.connect(f"ipc://{folder}/events")
        subscriber.subscribe(TOPIC)
        while not subscriber.poll(50):  # until all have found each other
            requester.send(message(0))
        while subscriber.poll(500):
            subscriber.recv_multipart()
        try:
            yield requester, subscriber
        finally:
            requester.close(0)
            subscriber.close(0)


def rate(sockets: tuple[Any, Any], seconds: float) -> float:
    """Give messages a second, with many of them in flight."""
    requester, subscriber = sockets
    for number in range(IN_FLIGHT):
        requester.send(message(number))
    began, seen = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        json.loads(subscriber.recv_multipart()[1])
        seen += 1
        requester.send(message(seen))
    lasted = time.perf_counter() - began
    for _ in range(IN_FLIGHT):
        subscriber.recv_multipart()
    return seen / lasted


def way(sockets: tuple[Any, Any], times: int) -> float:
    """Give the median of seconds from a request to its event, one after the other."""
    requester, subscriber = sockets
    taken = []
    for number in range(times):
        began = time.perf_counter()
        requester.send(message(number))
        subscriber.recv_multipart()
        taken.append(time.perf_counter() - began)
    return median(taken)
