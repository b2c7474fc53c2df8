"""Sockets that are polled by one descriptor: nothing that has arrived is overlooked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from nowcast_cli.broker.quiet_sockets import QuietSockets

LONG = 20_000  # ms, in which what has arrived is found


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


def test_all_that_arrives_is_found_though_the_sockets_are_sent_by_meanwhile(
    context: zmq.Context[Any],
) -> None:
    count, peers = 2000, 3
    quiet = QuietSockets()
    received: list[bytes] = []
    everybody: list[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]] = []
    for number in range(peers):
        ours, theirs = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        ours.sndhwm = theirs.rcvhwm = 0
        port = ours.bind_to_random_port("tcp://127.0.0.1")
        theirs.connect(f"tcp://127.0.0.1:{port}")

        def take(ours: zmq.Socket[bytes] = ours) -> None:
            received.append(ours.recv(zmq.NOBLOCK))

        def talk(theirs: zmq.Socket[bytes] = theirs, number: int = number) -> None:
            for each in range(count):
                theirs.send(b"%d" % each)
                if each % 10 == number:  # an answer, which is under way while others come
                    theirs.recv()

        everybody.append((ours, theirs))
        quiet.add(ours, take)
        threading.Thread(target=talk, daemon=True).start()
        for _ in range(count // 10 + 1):
            ours.send(b"answer")
    while len(received) < peers * count:
        ready = zmq.zmq_poll(quiet.waits_for(), LONG)
        assert ready, f"{len(received)} were found"
        quiet.work(ready)
        for each, _ in everybody[: len(received) % (peers + 1)]:
            quiet.use(each)
            each.send(b"more")
    assert not zmq.zmq_poll(quiet.waits_for(), 0) or not quiet.work([])
    quiet.close()


def test_a_descriptor_is_found_too_and_what_was_removed_is_not() -> None:
    quiet = QuietSockets()
    ours, theirs = socket.socketpair()
    received: list[bytes] = []
    quiet.add(ours.fileno(), lambda: received.append(ours.recv(10)))
    for _ in range(3):
        theirs.send(b"x")
        assert quiet.work(zmq.zmq_poll(quiet.waits_for(), LONG))
    assert received == [b"x"] * 3
    assert not quiet.work(zmq.zmq_poll(quiet.waits_for(), 0))
    quiet.remove(ours.fileno())
    theirs.send(b"x")
    assert not quiet.work(zmq.zmq_poll(quiet.waits_for(), 0))
    ours.close()
    theirs.close()
    quiet.close()


def test_what_closes_another_that_is_ready_too_is_no_trouble(context: zmq.Context[Any]) -> None:
    quiet = QuietSockets()
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[int] = []

    def close_other(index: int) -> None:
        seen.append(index)
        quiet.remove(pairs[1 - index][0].fileno())

    for index, (ours, theirs) in enumerate(pairs):
        quiet.add(ours.fileno(), lambda index=index: close_other(index))
        theirs.send(b"x")
    assert quiet.work(zmq.zmq_poll(quiet.waits_for(), LONG))
    assert len(seen) == 1
    for pair in pairs:
        for each in pair:
            each.close()
    quiet.close()


def test_what_has_come_is_seen_also_where_another_device_uses_the_socket_after_the_poll(
    tmp_path: Path,
) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as here:
        here.bind(f"ipc://{tmp_path / 'here'}")
        heard: list[bytes] = []
        quiet = QuietSockets()
        quiet.add(here, lambda: heard.append(here.recv_multipart(zmq.NOBLOCK)[1]))

        def turn() -> None:
            quiet.work(zmq.zmq_poll(quiet.waits_for(), 1000))

        with context.socket(zmq.DEALER) as there:
            there.connect(f"ipc://{tmp_path / 'here'}")
            there.send(b"one")
            while not heard:
                turn()
            turn()
            ready = zmq.zmq_poll(quiet.waits_for(), 0)
            there.send(b"two")
            assert here.poll(5000)  # sees that it has come: no descriptor tells of it again
            quiet.use(here)
            quiet.work(ready)
            turn()
        quiet.remove(here)
        quiet.close()
    assert heard == [b"one", b"two"]
