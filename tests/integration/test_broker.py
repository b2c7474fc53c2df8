"""The message broker as a process, with peers of both kinds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from broker_process import HELLO, BrokerProcess, running_broker, socket_to, take
from helpers import wait_until
from nowcast_cli.messages.client import Client, NoAnswer
from nowcast_cli.messages.message import Message


def test_req_clients_and_a_rep_manager_work_through_it_unchanged(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.REP, broker.manager)
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(3)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(b"request %d.%d" % (turn, number))
        for _ in clients:
            manager.send(b"answer to " + manager.recv())
        for number, client in enumerate(clients):
            assert client.recv() == b"answer to request %d.%d" % (turn, number)
    assert broker.waiting() == 0


def test_a_manager_is_given_client_stamp_and_body_and_may_answer_in_any_order(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.DEALER, broker.manager)
    manager.send_multipart(HELLO)
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(b"request %d" % number)
        wait_until(lambda n=number: broker.waiting() == n + 1, what="the request to arrive")
    taken = take(manager, 3)
    assert [frames[3] for frames in taken] == [b"request 0", b"request 1", b"request 2"]
    assert all(frames[2] == b"" and len(frames[1]) == 16 for frames in taken)
    assert len({frames[1] for frames in taken}) == 3
    assert broker.waiting() == 3
    for frames in reversed(taken):
        manager.send_multipart([*frames[:3], b"answer to " + frames[3]])
    for number, client in enumerate(clients):
        assert client.recv() == b"answer to request %d" % number


def test_a_manager_with_a_router_socket_works_too(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.ROUTER, broker.manager)
    client = socket_to(context, zmq.REQ, broker.workers)
    client.send(b"request")
    frames = manager.recv_multipart()
    manager.send_multipart([*frames[:-1], b"answer"])
    assert client.recv() == b"answer"


def test_requests_wait_for_the_manager_and_are_offered_in_order(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        wait_until(lambda n=number: broker.waiting() == n + 1, what="the request to arrive")
    manager = socket_to(context, zmq.DEALER, broker.manager)
    taken = take(manager, len(clients))
    assert [int(frames[3]) for frames in taken] == list(range(20))


def test_hello_offers_again_what_is_not_answered(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(3)]
    first = socket_to(context, zmq.DEALER, broker.manager)
    first.send_multipart(HELLO)
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        wait_until(lambda n=number: broker.waiting() == n + 1, what="the request to arrive")
    taken = take(first, 3)
    first.send_multipart([*taken[1][:3], b"answer"])
    assert clients[1].recv() == b"answer"
    first.close()
    # Before that, what the next one is offered may go to the one that has gone.
    wait_until(lambda: not broker.has_manager(), what="the end of the first manager")
    second = socket_to(context, zmq.DEALER, broker.manager)
    second.send_multipart(HELLO)
    again = take(second, 2)
    assert again == [taken[0], taken[2]]  # the stamps too, by which a manager knows them
    for frames in again:
        second.send_multipart([*frames[:3], b"late"])
    assert [clients[0].recv(), clients[2].recv()] == [b"late", b"late"]


def test_only_loopback_is_bound(broker: BrokerProcess) -> None:
    for port in (broker.workers, broker.manager):
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path("/proc/net", table).read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
        ]
        assert listening == [f"0100007F:{port:04X}"]
    assert "without authentication" not in broker.log


def test_another_host_is_bound_with_a_warning(tmp_path: Path) -> None:
    with running_broker(tmp_path, host="0.0.0.0") as broker:
        assert broker.log.count("open to every host that reaches it, without authentication") == 2


def test_it_says_what_it_does_in_the_log(broker: BrokerProcess) -> None:
    for line in (
        f"running in process {broker.pid}",
        f"read config from {broker.config}",
        f"worker socket bound to port {broker.workers}",
        f"manager socket bound to port {broker.manager}",
    ):
        assert f"INFO [message_broker] {line}\n" in broker.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_also_with_a_message_waiting_and_no_manager(
    broker: BrokerProcess, context: zmq.Context[Any], number: int
) -> None:
    client = socket_to(context, zmq.REQ, broker.workers)
    client.send(b"request")
    wait_until(lambda: broker.waiting() == 1)
    os.kill(broker.pid, number)
    assert broker.process is not None
    assert broker.process.wait(30) == 0  # it would wait for a manager without end
    assert not broker.health_socket.exists()


def test_sighup_ends_nothing(broker: BrokerProcess) -> None:
    os.kill(broker.pid, signal.SIGHUP)
    wait_until(lambda: "nothing to reload" in broker.log)
    assert broker.health() is not None


def idle_cpu(broker: BrokerProcess) -> float:
    before = broker.cpu_seconds()
    time.sleep(1.0)  # the time is what is measured
    return broker.cpu_seconds() - before


def test_waiting_for_a_manager_with_messages_waiting_costs_no_cpu(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    clients = [socket_to(context, zmq.REQ, broker.workers) for _ in range(5)]
    for client in clients:
        client.send(b"request")
    wait_until(lambda: broker.waiting() == 5)
    assert idle_cpu(broker) <= 0.02


def test_waiting_for_requests_with_a_manager_there_costs_no_cpu(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    manager = socket_to(context, zmq.DEALER, broker.manager)
    manager.send_multipart(HELLO)
    wait_until(lambda: (broker.health() or {}).get("manager takes messages"))
    assert idle_cpu(broker) <= 0.02


def test_what_waits_is_offered_to_the_manager_that_comes_in_order_and_all(
    broker: BrokerProcess, context: zmq.Context[Any]
) -> None:
    count = 1500
    sender = socket_to(context, zmq.DEALER, broker.workers)
    for number in range(count):
        sender.send_multipart([b"", b"%d" % number])
    wait_until(lambda: broker.waiting() == count)
    assert idle_cpu(broker) <= 0.02
    manager = socket_to(context, zmq.DEALER, broker.manager)
    assert [int(frames[3]) for frames in take(manager, count)] == list(range(count))


def test_more_than_may_wait_is_answered_busy_and_asked_again_when_there_is_room(
    tmp_path: Path, context: zmq.Context[Any]
) -> None:
    with running_broker(tmp_path, more="limits: {waiting messages: 3}\n") as broker:
        waiting = [socket_to(context, zmq.REQ, broker.workers) for _ in range(3)]
        for number, client in enumerate(waiting):
            client.send(Message("first", "success", id=f"m{number}").encode())
            wait_until(lambda n=number: broker.waiting() == n + 1)
        with (
            Client("localhost", broker.workers, deadline=1.2) as client,
            pytest.raises(NoAnswer) as raised,
        ):
            client.ask(Message("first", "success"))
        assert "limits.waiting messages allows 3" in str(raised.value.cause)
        asks_once = socket_to(context, zmq.REQ, broker.workers)
        asks_once.send(b"{source: old, type: success, payload: null}")
        wait_until(lambda: broker.waiting() == 4, what="what has no id to be kept all the same")
        assert "busy: the message broker keeps 3 requests" in broker.log


def test_what_waits_has_a_size_beyond_which_nobody_is_kept(
    tmp_path: Path, context: zmq.Context[Any]
) -> None:
    with running_broker(tmp_path, more="limits: {waiting size: 10 kB}\n") as broker:
        first, second = (socket_to(context, zmq.REQ, broker.workers) for _ in range(2))
        first.send(b"x" * 9000)
        wait_until(lambda: broker.waiting() == 1)
        second.send(b"y" * 2000)
        said = Message.deserialize(second.recv())
        assert (said.type, "limits.waiting size allows 10 kB" in said.payload) == ("busy", True)


def test_a_message_that_is_too_large_is_refused_in_a_sentence_and_a_huge_one_hung_up_on(
    tmp_path: Path, context: zmq.Context[Any]
) -> None:
    with running_broker(tmp_path, more="limits: {message size: 1 MB}\n") as broker:
        client, huge = (socket_to(context, zmq.REQ, broker.workers) for _ in range(2))
        client.send(b"x" * 1_000_001)
        said = Message.deserialize(client.recv())
        assert said.type == "refused"
        assert said.payload["what"] == (
            "a message of 1.0 MB is too large: limits.message size allows 1.0 MB"
        )
        assert "nowcast.yaml" in said.payload["hint"]
        assert broker.waiting() == 0
        huge.send(b"x" * 4_000_001)
        assert not huge.poll(300)
        client.send(b"small")
        wait_until(lambda: broker.waiting() == 1, what="the others to be served as before")


def test_as_many_clients_may_wait_as_the_machine_allows(broker: BrokerProcess) -> None:
    limits = Path(f"/proc/{broker.pid}/limits").read_text()
    soft, hard = next(x.split()[3:5] for x in limits.splitlines() if x.startswith("Max open files"))
    assert soft == hard


def test_it_has_less_than_35_mb_and_no_pydantic(broker: BrokerProcess) -> None:
    status = Path(f"/proc/{broker.pid}/status").read_text()
    resident = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS"))
    assert resident < 35 * 1024
    assert "pydantic" not in Path(f"/proc/{broker.pid}/maps").read_text()


@pytest.mark.parametrize("key", ["workers", "manager"])
def test_a_port_in_use_is_an_error_that_names_port_key_holder_and_remedy(
    tmp_path: Path, key: str
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = BrokerProcess(tmp_path, **{key: port}).popen()
        _, printed = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"error: port {port} (zmq.ports.{key}) is already in use" in printed
    assert f"caused by: process {os.getpid()} (" in printed
    assert "hint: " in printed
    assert "Traceback" not in printed


def test_an_address_that_this_machine_does_not_have_is_an_error_that_names_it(
    tmp_path: Path,
) -> None:
    process = BrokerProcess(tmp_path, host="192.0.2.1").popen()
    _, printed = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "on 192.0.2.1 cannot be opened" in printed
    assert "zmq.host" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("", "zmq.ports.workers"),
        ("zmq: {host: localhost, ports: {manager: 5555}}", "zmq.ports.workers"),
        ("zmq: {host: localhost, ports: {manager: many, workers: 5554}}", "zmq.ports.manager"),
        ("zmq: {ports: {manager: 5555, workers: 5554}}", "zmq.host"),
        ("zmq: {host: no.such.host.invalid, ports: {manager: 1, workers: 2}}", "zmq.host"),
    ],
)
def test_a_wrong_configuration_is_an_error_that_names_the_key(
    tmp_path: Path, section: str, key: str
) -> None:
    broker = BrokerProcess(tmp_path)
    broker.popen().kill()
    broker.config.write_text(f"checklist file: c.yaml\nstate directory: v2\n{section}\n")
    done = subprocess.run(
        broker_command(broker), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert key in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_broker_of_a_system_says_who_runs(broker: BrokerProcess) -> None:
    done = subprocess.run(
        broker_command(broker), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert f"the message broker of this system already runs as process {broker.pid}" in done.stderr
    assert broker.health() is not None


def broker_command(broker: BrokerProcess) -> list[str]:
    return [sys.executable, "-m", "nowcast_cli.broker", str(broker.config)]
