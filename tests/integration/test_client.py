"""The client repeats, gives up in time, and is not taken in by strange answers."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers import wait_until
from nowcast_cli.errors import ConfigError
from nowcast_cli.messages.client import Client, NoAnswer
from nowcast_cli.messages.message import Message, MessageError
from peer import Peer, acknowledge, silent
from ports import free_port


@pytest.fixture
def port():
    return free_port()


def test_a_reply_is_given_back(port):
    with Peer(port, lambda message: Message("manager", "ack", {"a": 1}, id=message.id)):
        reply = Client("localhost", port, deadline=10).ask(Message("toy", "need", "key"))

    assert (reply.type, reply.payload) == ("ack", {"a": 1})


def test_a_message_without_an_id_is_given_one(port):
    with Peer(port) as peer:
        Client("localhost", port, deadline=10).ask(Message("toy", "success"))

    assert peer.messages[0].id is not None


def test_a_manager_that_sends_no_id_back_is_understood(port):
    with Peer(port, lambda message: b"{source: manager, type: ack, payload: null}"):
        assert Client("localhost", port, deadline=10).ask(Message("toy", "success")).type == "ack"


def test_a_request_that_is_not_answered_is_repeated_byte_for_byte(port):
    asked = []

    def second_time_lucky(message):
        asked.append(message)
        return acknowledge(message) if len(asked) == 2 else None

    with Peer(port, second_time_lucky) as peer:
        Client("localhost", port, deadline=10).ask(Message("toy", "success"))

    assert len(peer.bodies) == 2
    assert peer.bodies[0] == peer.bodies[1]


def test_a_request_is_not_repeated_where_that_is_forbidden(port):
    with Peer(port, silent) as peer, pytest.raises(NoAnswer):
        Client("localhost", port, deadline=1.2, repeat=False).ask(Message("toy", "success"))

    assert len(peer.bodies) == 1


def test_a_reply_to_another_request_is_not_taken(port):
    with Peer(port, lambda _: Message("manager", "ack", id="another")), pytest.raises(NoAnswer):
        Client("localhost", port, deadline=0.2).ask(Message("toy", "success"))


def test_a_broker_that_comes_later_is_found(port, monkeypatch):
    client = Client("localhost", port, deadline=20)
    attempts = []
    attempt = client._attempt
    monkeypatch.setattr(client, "_attempt", lambda *args: attempts.append(1) or attempt(*args))
    replies = []
    asking = threading.Thread(target=lambda: replies.append(client.ask(Message("toy", "success"))))
    asking.start()
    wait_until(lambda: len(attempts) > 1, what="an attempt while nobody listens")
    with Peer(port):
        asking.join(10)

    assert replies[0].type == "ack"


def test_a_broker_that_dies_with_the_request_and_comes_back_gets_it_again(port):
    client = Client("localhost", port, deadline=20)
    replies = []
    with Peer(port, silent) as first:
        asking = threading.Thread(
            target=lambda: replies.append(client.ask(Message("toy", "success")))
        )
        asking.start()
        wait_until(lambda: first.messages, what="the request")
    with Peer(port) as second:
        asking.join(10)

    assert replies[0].type == "ack"
    assert first.messages[0].id == second.messages[0].id


def test_a_broker_that_was_replaced_between_two_requests_is_found(port):
    with Client("localhost", port, deadline=20) as client:
        with Peer(port):
            client.ask(Message("toy", "progress"))
        with Peer(port) as second:
            assert client.ask(Message("toy", "success")).type == "ack"

    assert "success" in second.types()


def test_threads_may_ask_at_the_same_time(port):
    def echo(message):
        return Message("manager", "ack", message.payload, id=message.id)

    with (
        Peer(port, echo),
        Client("localhost", port, deadline=20) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        replies = list(
            threads.map(lambda n: client.ask(Message("toy", "need", n)).payload, range(40))
        )

    assert replies == list(range(40))


def test_without_a_broker_the_error_says_that_nothing_listens(port):
    began = time.monotonic()
    with pytest.raises(NoAnswer) as caught:
        Client("localhost", port, deadline=0.3).ask(Message("toy", "success"))

    assert time.monotonic() - began < 10
    assert caught.value.exit_code == 3
    assert f"localhost port {port} within 0.3 s" in caught.value.what
    assert "nothing listens" in caught.value.cause
    assert "`nowcast start`" in caught.value.hint


def test_without_a_manager_the_error_says_that_the_broker_listens(port):
    with Peer(port, silent), pytest.raises(NoAnswer) as caught:
        Client("localhost", port, deadline=0.3).ask(Message("toy", "success"))

    assert "no manager has answered" in caught.value.cause


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(NoAnswer) as caught:
        Client("no-such-host.invalid", 1, deadline=0.2).ask(Message("toy", "success"))

    assert "no-such-host.invalid" in caught.value.cause


def test_an_answer_that_is_no_message_is_told(port):
    with Peer(port, lambda _: b"\xff"), pytest.raises(NoAnswer) as caught:
        Client("localhost", port, deadline=0.3).ask(Message("toy", "success"))

    assert "what listens there answered, but the message cannot be read" in caught.value.cause


def test_what_cannot_be_sent_is_an_error_at_once(port):
    with pytest.raises(MessageError, match="object cannot be sent"):
        Client("localhost", port).ask(Message("toy", "success", object()))


def test_a_client_follows_the_configuration():
    config = {
        "zmq": {"host": "salish", "ports": {"workers": 5555, "manager": 6666}},
        "messages": {"repeat": "never", "deadline": 5},
    }

    client = Client.of(config)

    assert (client.host, client.port, client.deadline, client.repeat) == ("salish", 5555, 5, False)


def test_a_port_that_is_missing_in_the_configuration_is_named():
    with pytest.raises(ConfigError, match=r"zmq\.ports\.workers"):
        Client.of({"zmq": {"host": "localhost"}})


def test_ctrl_c_ends_the_waiting(port):
    script = (
        "from nowcast_cli.messages.client import Client\n"
        "from nowcast_cli.messages.message import Message\n"
        f"Client('localhost', {port}, deadline=60).ask(Message('toy', 'success'))\n"
    )
    with Peer(port, silent) as peer:
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
        wait_until(lambda: peer.messages, what="the request")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert b"KeyboardInterrupt" in err
