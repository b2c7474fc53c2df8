"""Performers, subscribers and a manager at a real broker."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from broker_process import BrokerProcess, running_broker, socket_to
from bus_peers import BusManager, here, performer, subscriber
from helpers import wait_until
from nowcast_cli import subscribe
from nowcast_cli.config.log_datagrams import DatagramHandler
from nowcast_cli.messages.event import Event, decode_beacon, decode_event, encode_event, wire_topic
from nowcast_cli.security.curve import present
from nowcast_cli.security.key import key_file, read_key
from nowcast_cli.security.key_ring import KeyRing
from peer import free_port
from systems import System

HELLO = [b"hello", b'{"name": "somebody"}']
PROBE = b"probe~"


def say_hello(manager: BusManager, peer: zmq.Socket[bytes]) -> bytes:
    """Say hello to the manager; gives the identity that it knows the performer by."""
    peer.send_multipart(HELLO)
    frames = manager.wait_for(b"performer")
    assert frames[3:] == HELLO
    return frames[2]


def answer_of(peer: zmq.Socket[bytes], *frames: bytes) -> list[bytes]:
    peer.send_multipart(frames)
    return peer.recv_multipart()


def event(peer: zmq.Socket[bytes]) -> list[bytes]:
    """Receive the next message that is neither a beacon nor a probe."""
    while True:
        frames = peer.recv_multipart()
        if not frames[0].startswith(b"beacon~") and not frames[0].endswith(PROBE):
            return frames


def wait_until_told(manager: BusManager, topic: bytes, *peers: zmq.Socket[bytes]) -> None:
    """Publish probes until these have subscribed to ``topic``, which takes a moment."""
    for peer in peers:

        def is_told(peer: zmq.Socket[bytes] = peer) -> bool:
            manager.publish({}, topic + PROBE, b"probe")
            return bool(peer.poll(20)) and peer.recv_multipart()[0] == topic + PROBE

        wait_until(is_told, what="a subscriber to be told")


def beacon(peer: zmq.Socket[bytes]) -> bytes:
    """Receive the body of the next beacon."""
    while True:
        topic, body = peer.recv_multipart()
        if topic.startswith(b"beacon~"):
            return body


def subscribers(broker: BrokerProcess) -> int:
    return int((broker.health() or {})["subscribers"])


# --- performers


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
    assert answer_of(first, b"alive") == [b"alive"]
    assert (broker.health() or {})["performers"] == 2
    first.send(b"bye")
    assert manager.wait_for(b"performer", identities[0])[3:] == [b"bye"]
    assert answer_of(first, b"alive") == [b"hello?"]


def test_who_is_silent_is_called_gone_once_and_may_come_back(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    lively, silent = (performer(context, broker) for _ in range(2))
    say_hello(manager, lively)
    gone = say_hello(manager, silent)

    def was_called_gone() -> bool:
        assert answer_of(lively, b"alive") == [b"alive"]
        return any(frames[1:] == [b"gone", gone] for frames in manager.listen())

    wait_until(was_called_gone, what="who is silent to be called gone")
    assert answer_of(silent, b"done", b"late") == [b"hello?"]
    assert say_hello(manager, silent) == gone
    assert answer_of(silent, b"alive") == [b"alive"]
    assert [frames[1] for frames in manager.listen()] == [b"gone"]


def test_a_broker_that_stood_still_calls_nobody_gone(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    peers = [performer(context, broker) for _ in range(3)]
    for peer in peers:
        say_hello(manager, peer)
    os.kill(broker.pid, signal.SIGSTOP)
    time.sleep(4.2)  # more than the lease: the time is what is tested
    os.kill(broker.pid, signal.SIGCONT)
    assert [answer_of(peer, b"alive") for peer in peers] == [[b"alive"]] * 3
    assert manager.listen() == []


def test_who_has_hung_up_is_gone_when_something_is_for_it(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    peer = performer(context, broker)
    identity = say_hello(manager, peer)
    peer.close()

    def is_gone() -> bool:
        manager.tell(identity, b"orders", b"{}")
        return bool((broker.health() or {})["performers"] == 0)

    wait_until(is_gone, what="the broker to see that it has hung up")
    manager.wait_for(b"gone", identity)
    manager.tell(identity, b"orders", b"{}")
    manager.tell(b"nobody", b"orders", b"{}")
    say_hello(manager, performer(context, broker))
    assert manager.listen() == []  # it was told once, and of nobody else


def test_a_new_manager_is_told_by_everybody_who_they_are(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    first = BusManager(context, broker)
    peer = performer(context, broker)
    say_hello(first, peer)
    first.greet()  # again, as now and then: nobody is asked anything
    first.wait_for(b"broker")
    first.socket.close()
    second = BusManager(context, broker, b"another greeting")
    assert peer.recv() == b"hello?"
    say_hello(second, peer)
    assert answer_of(peer, b"alive") == [b"alive"]


def test_what_is_said_while_there_is_no_manager_is_not_kept(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    peer = performer(context, broker)
    peer.send_multipart(HELLO)
    for _ in range(100):
        peer.send_multipart([b"done", b"{}"])
    assert answer_of(peer, b"alive") == [b"alive"]
    manager = BusManager(context, broker)
    assert peer.recv() == b"hello?"
    say_hello(manager, peer)
    assert manager.listen() == []


def test_performers_and_subscribers_of_a_broker_that_was_killed_are_found_by_the_next(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    peers = [performer(context, broker) for _ in range(3)]
    for peer in peers:
        say_hello(manager, peer)
    listening = subscriber(context, broker, b"jobs~", b"beacon~jobs~")
    manager.wait_for_subscribers()
    manager.listen()
    manager.heard.clear()
    broker.kill()
    broker.start()
    for peer in peers:
        assert wait_until(lambda peer=peer: answer_of(peer, b"alive")) == [b"hello?"]
    manager.greet(b"on another connection")
    manager.wait_for(b"broker")
    for peer in peers:
        say_hello(manager, peer)
        assert answer_of(peer, b"alive") == [b"alive"]
    wait_until(lambda: subscribers(broker) == 1, what="the subscriber to be back")
    wait_until_told(manager, b"jobs~", listening)
    manager.publish({"jobs": 5}, b"jobs~a~", b"5")
    assert event(listening) == [b"jobs~a~", b"5"]
    assert decode_beacon(beacon(listening)) == ("jobs", 5)


# --- subscribers


def test_events_go_to_those_who_have_subscribed_to_them_with_beacons_behind(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    manager.publish({"jobs": 3})  # is old by the time that somebody subscribes
    jobs = subscriber(context, broker, b"jobs~")
    manager.wait_for_subscribers()
    both = subscriber(context, broker, b"jobs~", b"beacon~jobs~")
    manager.publish({"jobs": 6})
    assert decode_beacon(beacon(both)) == ("jobs", 6)
    wait_until_told(manager, b"jobs~", jobs, both)
    manager.publish({"jobs": 8}, b"jobs~a~", b"7", b"flows~b~", b"1", b"jobs~c~", b"8")
    for peer in (jobs, both):
        assert [event(peer) for _ in range(2)] == [[b"jobs~a~", b"7"], [b"jobs~c~", b"8"]]
    assert decode_beacon(beacon(both)) == ("jobs", 8)


def test_the_manager_is_told_of_the_first_subscriber_and_of_the_last_one_that_leaves(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    first, second = (subscriber(context, broker, b"jobs~") for _ in range(2))
    manager.wait_for_subscribers()
    wait_until(lambda: subscribers(broker) == 2)
    first.unsubscribe(b"jobs~")
    first.close()
    wait_until(lambda: subscribers(broker) == 1)
    second.close()
    assert json.loads(manager.wait_for(b"broker")[2]) == {"subscribers": 0}
    assert manager.listen() == []


def test_who_subscribes_is_told_the_last_value_of_what_is_a_status(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    first = subscriber(context, broker, b"daemons~")
    manager.wait_for_subscribers()
    said = [
        (wire_topic(topic), encode_event(Event("daemons", number, "now", topic, {}, status=True)))
        for number, topic in enumerate(("daemons~a", "daemons~b", "daemons~a"), 1)
    ]
    wait_until_told(manager, b"daemons~", first)
    manager.publish({"daemons": 3, "jobs": 1}, *(frame for pair in said for frame in pair))
    manager.publish({}, b"daemons~c~", b'{"number": 4}')  # which has no status
    assert [event(first)[0] for _ in range(4)][-1] == b"daemons~c~"
    second = subscriber(context, broker, b"daemons~")  # to the same: ZeroMQ does not tell of it
    assert [decode_event(event(second)[1]).number for _ in range(2)] == [2, 3]
    third = subscriber(context, broker, b"daemons~b~")
    assert decode_event(event(third)[1]).number == 2


def test_of_100_subscribers_one_that_does_not_read_harms_nobody(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    many = 15_000  # more than are kept for one subscriber, and than fits into sockets
    manager = BusManager(context, broker)
    reading = subscriber(context, broker, b"jobs~")
    stalled = context.socket(zmq.SUB)
    stalled.rcvhwm = 1
    stalled.linger = 0
    stalled.subscribe(b"jobs~")
    stalled.connect(f"ipc://{broker.run / 'events.sock'}")
    others = [subscriber(context, broker, b"flows~") for _ in range(98)]
    manager.wait_for_subscribers()
    wait_until(lambda: subscribers(broker) == 100, what="all to be there")
    wait_until_told(manager, b"jobs~", reading)
    wait_until_told(manager, b"flows~", *others)
    before = resident_mb(broker)
    for first in range(0, many, 100):
        pairs = [(b"jobs~a~", b"%d " % number + b"x" * 200) for number in range(first, first + 100)]
        manager.publish({"jobs": first + 100}, *(frame for pair in pairs for frame in pair))
        got = [int(event(reading)[1].split()[0]) for _ in range(100)]
        assert got == list(range(first, first + 100))
    manager.publish({}, b"flows~b~", b"1")
    assert [event(other) for other in others] == [[b"flows~b~", b"1"]] * 98
    assert resident_mb(broker) - before < 60
    got = []
    while stalled.poll(500):
        topic, body = stalled.recv_multipart()
        if not topic.endswith(PROBE):
            got.append(int(body.split()[0]))
    assert got == list(range(len(got)))  # the first ones, in order; what follows was lost to it
    assert len(got) < many


def resident_mb(broker: BrokerProcess) -> float:
    status = Path(f"/proc/{broker.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


# --- log records


def test_log_records_are_published_while_somebody_has_subscribed_to_them(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    path = broker.run / "log-records.sock"
    jobs = subscriber(context, broker, b"")
    wait_until_told(BusManager(context, broker), b"jobs~", jobs)
    assert not path.exists()
    logs = subscriber(context, broker, b"logs~somebody~")
    wait_until(path.exists, what="the socket for log records")
    logger = logging.Logger("somebody")
    logger.addHandler(DatagramHandler(path))
    logger.warning("the tide is %s", "high")
    told = decode_event(event(logs)[1])
    assert (told.id, told.topic) == ("logs:1", "logs~somebody~WARNING")
    assert (told.payload["text"], told.payload["process"]) == ("the tide is high", os.getpid())
    assert told.time.endswith("Z")
    logs.close()
    jobs.close()
    wait_until(lambda: not path.exists(), what="the socket to go with the last subscriber")
    logger.warning("nobody is told")


def test_what_daemons_and_jobs_log_is_published(system: System) -> None:
    told: set[str] = set()
    with subscribe("logs~manager", "logs~first", config=system.config_file) as records:
        wait_until(system.paths.log_records_socket.exists, what="the socket for log records")

        def all_have_told() -> bool:
            system.launch("first")
            while (event := records.next(0.5)) is not None:
                told.add(event.payload["logger"])
            return told == {"manager", "first"}

        wait_until(all_have_told, what="records of the manager and of a job")


# --- strangers


WRONG_WORDS = [[b""], [b"hullo"], [b"", b"body"], [b"alive", b"more"], [b"x"] * 50]


@pytest.mark.parametrize("frames", WRONG_WORDS, ids=lambda frames: str(frames)[:20])
def test_what_is_no_word_of_a_performer_is_told_of_and_dropped(
    broker: BrokerProcess, context: zmq.Context[Any], frames: list[bytes]
) -> None:
    manager = BusManager(context, broker)
    stranger, peer = (performer(context, broker) for _ in range(2))
    say_hello(manager, peer)
    for _ in range(100):
        stranger.send_multipart(frames)
    wait_until(lambda: "that is no word of a performer" in broker.log)
    assert answer_of(peer, b"alive") == [b"alive"]
    assert manager.listen() == []


def test_foreign_bytes_on_the_sockets_harm_nobody(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    peer, jobs = performer(context, broker), subscriber(context, broker, b"jobs~")
    say_hello(manager, peer)
    for name in ("actions.sock", "events.sock"):
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(broker.run / name))
                stranger.sendall(os.urandom(500))
    wait_until(lambda: subscribers(broker) == 1, what="strangers to be no subscribers")
    wait_until_told(manager, b"jobs~", jobs)
    assert answer_of(peer, b"alive") == [b"alive"]
    manager.publish({}, b"jobs~a~", b"1")
    assert event(jobs) == [b"jobs~a~", b"1"]


def test_a_stranger_takes_no_subscription_of_others_back(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = BusManager(context, broker)
    jobs = subscriber(context, broker, b"jobs~")
    manager.wait_for_subscribers()
    wait_until_told(manager, b"jobs~", jobs)
    stranger = here(context, zmq.XSUB, broker.run / "events.sock")
    stranger.send(b"no subscription")
    stranger.send_multipart([b"two", b"frames"])
    for _ in range(10):
        stranger.send(b"\0jobs~")
    wait_until(lambda: "on the socket for events that is no subscription" in broker.log)
    manager.publish({}, b"jobs~a~", b"1")
    assert event(jobs) == [b"jobs~a~", b"1"]
    stranger.close()
    manager.publish({}, b"jobs~a~", b"2")
    assert event(jobs) == [b"jobs~a~", b"2"]


def test_datagrams_that_are_no_records_are_told_of_and_dropped(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    logs = subscriber(context, broker, b"logs~")
    path = broker.run / "log-records.sock"
    wait_until(path.exists, what="the socket for log records")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:

        def is_told_of() -> bool:
            stranger.sendto(b"", str(path))
            stranger.sendto(b"no record", str(path))
            return bool(logs.poll(100))

        wait_until(is_told_of, what="the broker to tell of it")
    told = decode_event(event(logs)[1])  # the broker's own words for it
    assert "dropped a datagram of " in told.payload["text"]


WRONG_TALK = [
    [b"publish", b"{"],
    [b"publish", b"{}", b"jobs~a~"],
    [b"publish", b"[]", b"jobs~a~", b"1"],
    [b"performer", b"identity"],
    [b"performer"],
    [b"hullo", b"1"],
]


@pytest.mark.parametrize("frames", WRONG_TALK, ids=lambda frames: str(frames)[:30])
def test_side_talk_of_a_wrong_shape_is_told_of_and_dropped(
    broker: BrokerProcess, context: zmq.Context[Any], frames: list[bytes]
) -> None:
    manager = BusManager(context, broker)
    jobs = subscriber(context, broker, b"jobs~")
    manager.wait_for_subscribers()
    wait_until_told(manager, b"jobs~", jobs)
    manager.socket.send_multipart([b"", *frames])
    wait_until(lambda: "dropped a message on the manager's port" in broker.log)
    manager.publish({"jobs": 1}, b"jobs~a~", b"1")
    assert event(jobs) == [b"jobs~a~", b"1"]


def test_a_manager_of_an_older_release_is_told_nothing_new(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    peer, jobs = performer(context, broker), subscriber(context, broker, b"jobs~")
    wait_until(lambda: subscribers(broker) == 1)
    manager = zmq.Socket(context, zmq.DEALER)
    manager.connect(f"tcp://127.0.0.1:{broker.manager}")
    for greeting in ([], [[b"", b"hello", b""]]):
        for frames in greeting:
            manager.send_multipart(frames)
        peer.send_multipart(HELLO)
        assert answer_of(peer, b"alive") == [b"alive"]
        assert not manager.poll(200)
    manager.close(0)
    jobs.close()


def test_a_manager_of_nemo_nowcast_that_takes_the_place_of_ours_is_told_nothing_new(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    ours = BusManager(context, broker)
    peer = performer(context, broker)
    say_hello(ours, peer)
    ours.socket.close()
    wait_until(lambda: not (broker.health() or {})["manager takes messages"], what="it to be gone")
    peer.send_multipart([b"done", b"{}"])
    jobs = subscriber(context, broker, b"jobs~")
    wait_until(lambda: subscribers(broker) == 1)
    theirs = socket_to(context, zmq.REP, broker.manager)
    client = socket_to(context, zmq.REQ, broker.workers)
    peer.send_multipart([b"done", b"{}"])
    assert answer_of(peer, b"alive") == [b"alive"]
    client.send(b"request")
    theirs.send(b"answer to " + theirs.recv())
    assert client.recv() == b"answer to request"
    jobs.close()


# --- who may subscribe by the port for events


@pytest.fixture
def guarded(tmp_path: Path) -> Any:
    """Give a broker with keys and a port for events, and its keys."""
    port = free_port()
    settings = BrokerProcess(tmp_path, events=port, more="security: curve\n")
    keys = KeyRing(settings.state / "keys")
    keys.init()
    for name, role in (("board", "reader"), ("cluster", "agent"), ("guest", "reader")):
        keys.add(name, role)  # type: ignore[arg-type]
    try:
        yield settings.start(), keys
    finally:
        settings.kill()


def subscriber_with(
    context: zmq.Context[Any], broker: BrokerProcess, name: str | None
) -> zmq.Socket[bytes]:
    peer = context.socket(zmq.SUB)
    peer.linger = 0
    peer.subscribe(b"jobs~")
    if name is not None:
        present(peer, read_key(key_file(broker.state / "keys", name)))
    peer.connect(f"tcp://127.0.0.1:{broker.events}")
    return peer


def test_roles_that_may_read_subscribe_by_the_port_for_events_and_no_others(
    guarded: tuple[BrokerProcess, KeyRing], context: zmq.Context[Any]
) -> None:
    broker, keys = guarded
    manager = BusManager(context, broker, key="manager")
    admitted = {
        name: subscriber_with(context, broker, name)
        for name in ("board", "guest", "worker", "operator", "manager")
    }
    shut_out = [subscriber_with(context, broker, name) for name in (None, "cluster")]
    wait_until(lambda: subscribers(broker) == 5, what="all who may to be there")
    wait_until(lambda: "the port for events: its key, cluster, is one of a agent" in broker.log)
    wait_until(lambda: "a connection to the port for events: it showed no key" in broker.log)
    wait_until_told(manager, b"jobs~", *admitted.values())
    keys.revoke("guest")
    wait_until(lambda: "guest, was revoked at" in broker.log, what="the revoked to be shut out")
    wait_until(lambda: subscribers(broker) == 4, what="all others to be back")
    revoked = admitted.pop("guest")
    while revoked.poll(100):  # probes of before
        revoked.recv_multipart()
    wait_until_told(manager, b"jobs~", *admitted.values())
    assert not any(peer.poll(100) for peer in (*shut_out, revoked))


def test_a_port_for_events_without_keys_is_open_on_this_machine(
    tmp_path: Path, context: zmq.Context[Any]
) -> None:
    with running_broker(tmp_path, events=free_port()) as broker:
        manager = BusManager(context, broker)
        peer = subscriber_with(context, broker, None)
        manager.wait_for_subscribers()
        wait_until_told(manager, b"jobs~", peer)
        assert f"events socket bound to port {broker.events}" in broker.log


# --- rest


def test_what_is_not_used_costs_nothing_and_what_is_there_next_to_nothing(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    assert idle_cpu(broker) <= 0.02
    manager = BusManager(context, broker)
    peer, jobs = performer(context, broker), subscriber(context, broker, b"beacon~")
    say_hello(manager, peer)
    manager.publish({f"stream{number}": 1 for number in range(20)})
    assert idle_cpu(broker) <= 0.05
    jobs.close()


def idle_cpu(broker: BrokerProcess) -> float:
    before = broker.cpu_seconds()
    time.sleep(1.0)  # the time is what is measured
    return broker.cpu_seconds() - before
