"""Performers, subscribers and a manager at a real broker."""

from __future__ import annotations

import json
from typing import Any

import zmq

from broker_process import BrokerProcess
from bus_peers import BusManager, performer, subscriber
from helpers import wait_until

HELLO = [b"hello", b'{"name": "somebody"}']


def say_hello(manager: BusManager, peer: zmq.Socket[bytes]) -> bytes:
    """Say hello to the manager; gives the identity that it knows the performer by."""
    peer.send_multipart(HELLO)
    frames = manager.wait_for(b"performer")
    assert frames[3:] == HELLO
    return frames[2]


def test_what_performers_and_the_manager_say_is_passed_on(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    first, second = (performer(context, broker) for _ in range(2))
    identities = [say_hello(manager, each) for each in (first, second)]
    manager.tell(identities[1], b"orders", b"one", b"two")
    assert second.recv_multipart() == [b"orders", b"one", b"two"]
    first.send_multipart([b"done", b"a", b"b"])
    assert manager.wait_for(b"performer", identities[0])[3:] == [b"done", b"a", b"b"]
    first.send(b"alive")
    assert first.recv() == b"alive"
    assert (broker.health() or {})["performers"] == 2


def test_events_go_to_those_who_have_subscribed_to_them_with_beacons_behind(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    jobs = subscriber(context, broker, b"jobs~")
    manager.wait_for_subscribers()
    both = subscriber(context, broker, b"jobs~", b"beacon~jobs~")
    wait_until(lambda: (broker.health() or {})["subscribers"] == 2)
    manager.publish({"jobs": 6})
    assert both.recv_multipart()[0] == b"beacon~jobs~"
    manager.publish({"jobs": 8}, b"jobs~a~", b"7", b"flows~b~", b"1", b"jobs~c~", b"8")
    assert [jobs.recv_multipart() for _ in range(2)] == [[b"jobs~a~", b"7"], [b"jobs~c~", b"8"]]
    told = [both.recv_multipart() for _ in range(3)]
    assert told[:2] == [[b"jobs~a~", b"7"], [b"jobs~c~", b"8"]]
    assert json.loads(told[2][1]) == {"stream": "jobs", "last": 8}
