"""What others can do to the message broker: die, stop, talk nonsense. It goes on."""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import Any

import pytest
import zmq

from broker_process import (
    HELLO,
    BrokerProcess,
    lines_of,
    manager_process,
    socket_to,
    take,
)
from helpers import wait_until
from systems import MakeSystem


def passes_messages(broker: BrokerProcess, context: zmq.Context[Any]) -> bool:
    """Pass one message, which a stranger may be given first, to a manager that greets as ours."""
    with (
        socket_to(context, zmq.DEALER, broker.manager) as manager,
        socket_to(context, zmq.REQ, broker.workers) as client,
    ):
        client.send(b"still there?")
        manager.send_multipart(offered(manager))
        return client.recv() == b"still there?"


def offered(manager: zmq.Socket[bytes]) -> list[bytes]:
    """Greet the broker, again and again as our manager does, until it offers a request."""

    def greeted() -> int:
        manager.send_multipart(HELLO)
        return int(manager.poll(500))

    wait_until(greeted, what="the request to be offered to the manager")
    return manager.recv_multipart()


def test_requests_in_the_hands_of_a_killed_manager_are_answered_by_the_next(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        wait_until(lambda n=number: broker.waiting() == n + 1, what="the request to arrive")
    with manager_process(broker.manager, answers=False) as killed:
        assert lines_of(killed, 50) == [str(number) for number in range(50)]
        killed.kill()
        killed.wait()
    with manager_process(broker.manager, answers=True) as manager:
        assert lines_of(manager, 50) == [str(number) for number in range(50)]
        for number, client in enumerate(clients):
            assert client.recv() == b"answer to %d" % number
    assert broker.waiting() == 0


def test_managers_killed_over_and_over_lose_nothing(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(8)]
    sent = dict.fromkeys(clients, 0)
    poller = zmq.Poller()
    for client in clients:
        poller.register(client, zmq.POLLIN)
        client.send(b"0")
    for _ in range(5):
        with manager_process(broker.manager, answers=True):
            until = {client: sent[client] + 30 for client in clients}
            while any(sent[client] < until[client] for client in clients):
                ready = poller.poll(10_000)
                assert ready, "no answer came"
                for client, _ in ready:
                    assert client.recv() == b"answer to %d" % sent[client]
                    sent[client] += 1
                    client.send(b"%d" % sent[client])
    with manager_process(broker.manager, answers=True):
        for client in clients:
            assert client.recv() == b"answer to %d" % sent[client]


def test_a_stopped_manager_stops_nobody_else_and_goes_on_where_it_was(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    with manager_process(broker.manager, answers=True) as manager:
        first = socket_to(context, zmq.REQ, broker.workers)
        first.send(b"first")
        assert first.recv() == b"answer to first"
        os.kill(manager.pid, signal.SIGSTOP)
        clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        wait_until(lambda: broker.waiting() == 20, what="the broker to take in the requests")
        os.kill(manager.pid, signal.SIGCONT)
        for number, client in enumerate(clients):
            assert client.recv() == b"answer to %d" % number


def test_a_client_that_has_vanished_costs_nothing_and_its_request_still_counts(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    gone = socket_to(context, zmq.REQ, broker.workers)
    gone.send(b"my last words")
    wait_until(lambda: broker.waiting() == 1)
    gone.close()
    manager = socket_to(context, zmq.DEALER, broker.manager)
    client, stamp, empty, body = take(manager, 1)[0]
    assert body == b"my last words"
    manager.send_multipart([client, stamp, empty, b"answer"])
    wait_until(lambda: broker.waiting() == 0)
    manager.close()
    wait_until(lambda: not broker.has_manager(), what="the end of the manager")
    assert passes_messages(broker, context)
    assert "WARNING" not in broker.log


@pytest.mark.parametrize("port", ["workers", "manager"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(range(256)) * 400,
        b"\xff" + bytes(8) + b"\x7f\x03",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48) + b"\xff" * 500,
        b"",
    ],
    ids=["http", "noise", "half a greeting", "noise after a greeting", "nothing"],
)
def test_bytes_that_are_not_zeromq_are_no_matter(
    broker: BrokerProcess, context: zmq.Context[Any], port: str, garbage: bytes
) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", getattr(broker, port)), 5) as connection:
            connection.sendall(garbage)
            # Reset rather than close for half of what a broken peer does.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert passes_messages(broker, context)


def test_a_connection_that_says_nothing_is_given_no_request(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    with socket.create_connection(("127.0.0.1", broker.manager), 5):
        assert passes_messages(broker, context)


WRONG_REQUESTS = [
    [b"no empty frame"],
    [b""],
    [b"two", b"frames"],
    [b"", b"body", b"and more"],
    [b"", b"", b""],
    [b"x"] * 100,
]


@pytest.mark.parametrize("frames", WRONG_REQUESTS, ids=lambda frames: str(frames)[:30])
def test_a_request_of_a_wrong_shape_is_dropped_with_a_warning(
    broker: BrokerProcess, context: zmq.Context[Any], frames: list[bytes]
) -> None:
    sender = socket_to(context, zmq.DEALER, broker.workers)
    for _ in range(100):
        sender.send_multipart(frames)
    wait_until(lambda: "dropped a message on the workers' port" in broker.log)
    assert passes_messages(broker, context)
    assert broker.waiting() == 0
    assert broker.log.count("dropped a message") <= 3


WRONG_ANSWERS = [
    [b"hello"],
    [b"", b"hullo", b""],
    [b""],
    [b"", b""],
    [b"client", b"stamp", b"", b"reply", b"and more"],
    [b"client", b"stamp", b"no empty frame", b"reply"],
    [b"x"] * 100,
]


@pytest.mark.parametrize("frames", WRONG_ANSWERS, ids=lambda frames: str(frames)[:30])
def test_an_answer_of_a_wrong_shape_is_dropped_with_a_warning(
    broker: BrokerProcess, context: zmq.Context[Any], frames: list[bytes]
) -> None:
    manager = socket_to(context, zmq.DEALER, broker.manager)
    for _ in range(100):
        manager.send_multipart(frames)
    wait_until(lambda: "dropped a message on the manager's port" in broker.log)
    manager.close()
    wait_until(lambda: not broker.has_manager(), what="the end of the manager")
    assert passes_messages(broker, context)
    assert broker.log.count("dropped a message") <= 3


def test_an_answer_to_a_request_of_another_broker_is_dropped(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.DEALER, broker.manager)
    manager.send_multipart([b"client", b"a stamp of old!!", b"", b"answer"])
    client = socket_to(context, zmq.REQ, broker.workers)
    client.send(b"request")
    frames = take(manager, 1)[0]
    manager.send_multipart([frames[0], b"a stamp of old!!", b"", b"wrong"])
    manager.send_multipart([*frames[:3], b"right"])
    manager.send_multipart([*frames[:3], b"twice"])
    assert client.recv() == b"right"
    client.send(b"another")
    frames = take(manager, 1)[0]
    manager.send_multipart([*frames[:3], b"the second"])
    assert client.recv() == b"the second"


def test_a_body_of_20_mb_passes_both_ways_and_is_kept_for_the_next_manager(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    body = os.urandom(1 << 20) * 20
    client = socket_to(context, zmq.REQ, broker.workers)
    client.send(body)
    wait_until(lambda: broker.waiting() == 1)
    with socket_to(context, zmq.DEALER, broker.manager) as first:
        assert take(first, 1)[0][3] == body
    with socket_to(context, zmq.DEALER, broker.manager) as second:
        frames = offered(second)
        assert frames[3] == body
        second.send_multipart(frames)
        assert client.recv() == body


def test_a_request_asked_again_of_a_restarted_broker_is_answered(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.DEALER, broker.manager)
    asked_once = socket_to(context, zmq.REQ, broker.workers)
    asked_once.send(b"request")
    of_the_killed = take(manager, 1)[0]
    broker.kill()
    broker.start()
    manager.send_multipart([*of_the_killed[:3], b"answer to nobody"])
    asked_again = socket_to(context, zmq.REQ, broker.workers)
    asked_again.send(b"request")
    frames = take(manager, 1)[0]
    assert frames[1] != of_the_killed[1]
    manager.send_multipart([*frames[:3], b"answer"])
    assert asked_again.recv() == b"answer"


def test_a_manager_without_a_broker_says_so_and_goes_on_when_one_comes(
    make_system: MakeSystem,
) -> None:
    system = make_system().start()
    system.kill("message_broker")
    wait_until(lambda: (system.health() or {}).get("trouble"), what="the manager's sentence")
    health = system.health() or {}
    assert health["state"] == "in trouble"
    assert "no message broker answers at localhost port" in health["trouble"]
    wait_until(lambda: "no message broker answers" in system.log(), what="a line of the log")
    assert system.log().count("no message broker answers") == 1
    system.start("message_broker")
    wait_until(lambda: (system.health() or {}).get("state") == "ready", what="the manager")
    assert system.finish("first", 1).type == "ack"
