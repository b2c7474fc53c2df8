"""Requests of the scheduler: in order, repeated until they are answered, never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import zmq

from helpers import wait_until
from nowcast_cli.config.settings import Endpoints
from nowcast_cli.messages.asker import Asker
from nowcast_cli.messages.message import Message


@dataclass
class World:
    """An asker with a clock in hand, and the socket of who answers."""

    asker: Asker
    peer: zmq.Socket[bytes]
    now: float = 0.0

    def turn(self) -> list[str | None]:
        return [asked.id for asked, _ in self.asker.turn()]

    def received(self) -> tuple[bytes, Message]:
        assert self.peer.poll(5000)
        identity, _, body = self.peer.recv_multipart()
        return identity, Message.deserialize(body)

    def answer(self, identity: bytes, body: bytes) -> None:
        self.peer.send_multipart([identity, b"", body])

    def wait_for_answer(self) -> None:
        socket = self.asker.socket()
        assert socket is not None
        wait_until(lambda: socket.poll(0), what="the answer to arrive")


@pytest.fixture
def world() -> Iterator[World]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as peer:
        peer.linger = 0
        port = peer.bind_to_random_port("tcp://127.0.0.1")
        made: list[World] = []
        asker = Asker(context, Endpoints("127.0.0.1", port, 0), lambda: made[0].now)
        made.append(World(asker, peer))
        yield made[0]
        asker.close()


def message(name: str) -> Message:
    return Message("nowcast", "launch", None, id=name)


def ack(name: str) -> bytes:
    return Message("manager", "ack", None, id=name).serialize().encode()


def test_requests_are_asked_one_after_the_other(world: World) -> None:
    world.asker.put(message("a"))
    world.asker.put(message("b"))
    assert world.turn() == []
    identity, asked = world.received()
    assert (asked.id, world.asker.waiting) == ("a", 2)
    assert not world.peer.poll(50)
    world.answer(identity, ack("a"))
    world.wait_for_answer()
    assert world.turn() == ["a"]
    assert world.received()[1].id == "b"


def test_a_request_is_repeated_with_the_same_id_in_growing_distances(world: World) -> None:
    world.asker.put(message("a"))
    for wait in (0.5, 1.0, 2.0, 4.0, 4.0):
        assert world.turn() == []
        assert world.received()[1].id == "a"
        assert world.asker.wait_at_most() == wait
        world.now += wait / 2
        assert world.turn() == []
        assert not world.peer.poll(20)
        world.now += wait / 2


@pytest.mark.parametrize("strange", [b"[1, 2", b"\xff", ack("another")])
def test_an_answer_that_is_none_does_not_count(world: World, strange: bytes) -> None:
    world.asker.put(message("a"))
    world.turn()
    identity, _ = world.received()
    world.answer(identity, strange)
    world.wait_for_answer()
    assert world.turn() == []
    assert world.asker.waiting == 1
    assert world.asker.wait_at_most() == 0.5
    world.now += 0.5
    world.turn()
    identity, asked = world.received()
    assert asked.id == "a"
    world.answer(identity, ack("a"))
    world.wait_for_answer()
    assert world.turn() == ["a"]
    assert world.asker.wait_at_most() is None
