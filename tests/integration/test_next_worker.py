"""NextWorker is a value, and asks the manager to launch."""

import pytest

from nowcast_cli import Config, NextWorker, WorkerError
from nowcast_cli.messages.message import Message
from peer import Peer
from ports import free_port


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def config(port):
    config = Config()
    config["zmq"] = {"host": "localhost", "ports": {"workers": port, "manager": 1}}
    config["messages"] = {"deadline": 0.5}
    return config


def test_workers_with_the_same_values_are_equal():
    assert NextWorker("workers.sleep") == NextWorker("workers.sleep", [], "localhost")
    assert NextWorker("workers.sleep", ["--x"]) != NextWorker("workers.sleep")
    assert NextWorker("workers.sleep", host="salish") != NextWorker("workers.sleep")


def test_a_launch_is_a_request_to_the_manager(port, config):
    with Peer(port, lambda m: Message("manager", "ack", {"job": "1"}, id=m.id)) as peer:
        NextWorker("workers.sleep", ["--sleep-time", 2], "salish").launch(config, "toy")

    [message] = peer.messages
    assert (message.source, message.type) == ("nowcast", "launch")
    assert message.payload == {
        "module": "workers.sleep",
        "arguments": ["--sleep-time", "2"],
        "host": "salish",
    }


def test_a_launch_may_be_an_ensemble(port, config):
    launched = {"job": "1", "ensemble": "1", "members": 3}
    with Peer(port, lambda m: Message("manager", "ack", launched, id=m.id)) as peer:
        worker = NextWorker("workers.sleep", ["{member}"], for_each=range(1, 4), at_most=2)
        worker.launch(config, "toy")
        NextWorker("workers.sleep", for_each={"a": "1..2", "b": ["x"]}, ending="any").launch(
            config, "toy"
        )

    first, second = (message.payload for message in peer.messages)
    assert (first["members"], first["at most"]) == ([1, 2, 3], 2)
    assert (second["members"], second["ends when"]) == ({"a": [1, 2], "b": ["x"]}, "any")
    with pytest.raises(WorkerError, match="its for_each: there are no members"):
        NextWorker("workers.sleep", for_each=[]).launch(config, "toy")


def test_a_refused_launch_is_a_worker_error_with_the_managers_sentence(port, config):
    refused = Message("manager", "refused", {"what": "There is no such host.", "hint": "look"})
    with Peer(port, lambda _: refused), pytest.raises(WorkerError) as caught:
        NextWorker("workers.sleep", host="nowhere").launch(config, "toy")

    assert (caught.value.what, caught.value.hint) == ("There is no such host.", "look")


def test_a_launch_without_a_manager_is_a_worker_error(config):
    with pytest.raises(WorkerError, match="nobody answered the 'launch' request"):
        NextWorker("workers.sleep").launch(config, "toy")
