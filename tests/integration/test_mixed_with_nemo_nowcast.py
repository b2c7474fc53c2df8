"""A deployment that moves over a daemon at a time: our parts against upstream's, each way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import wait_until
from nemo_nowcast_peers import PlainBroker, RepManager, ReqWorker


@pytest.fixture
def never_repeats(make_system):
    return make_system(settings={"messages": {"repeat": "never", "deadline": 10}})


def manager_port(system):
    return system.settings["zmq"]["ports"]["manager"]


def run_by_hand(system, worker, *arguments):
    """Run a worker as an operator would, at the command line."""
    environment = {key: value for key, value in os.environ.items() if "NOWCAST" not in key}
    return subprocess.run(
        [sys.executable, "-m", f"workers.{worker}", str(system.config_file), *arguments],
        cwd=system.folder, env=environment, text=True, capture_output=True, timeout=60,
    )  # fmt: skip


KEYS = {"first": "first", "second": "second"}


def test_our_broker_and_workers_work_with_upstreams_manager(never_repeats):
    system = never_repeats.start("message_broker")
    with RepManager(manager_port(system), KEYS) as manager:
        assert run_by_hand(system, "first", "--payload", "{1: tide}").returncode == 0
        needing = run_by_hand(system, "second", "--need", "first")

        assert needing.returncode == 0, needing.stderr
        assert manager.checklist == {"first": {1: "tide"}, "second": {"needed": {1: "tide"}}}
        told = [(message["source"], message["type"]) for message in manager.received]
        assert told == [("first", "success"), ("second", "need"), ("second", "success")]
    assert "received message from manager: (ack) message acknowledged" in system.log()


def test_what_upstreams_manager_does_not_know_is_a_failure_of_the_worker(never_repeats):
    system = never_repeats.start("message_broker")
    with RepManager(manager_port(system), KEYS):
        ended = run_by_hand(system, "third")
    assert ended.returncode == 70  # neither its success nor its failure has been taken
    assert "unregistered worker" in system.log()


def test_a_request_is_sent_once_while_upstreams_manager_is_slow(never_repeats):
    """With ``repeat: never`` a manager that comes late gets a message once, not once a second."""
    system = never_repeats.start("message_broker")
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.first", str(system.config_file)], cwd=system.folder
    )
    wait_until(lambda: (system.health("message_broker") or {}).get("waiting") == 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)  # in which a client that repeats would have sent thrice
    with RepManager(manager_port(system), KEYS) as manager:
        assert process.wait(20) == 0
        assert [message["type"] for message in manager.received] == ["success"]


def test_our_manager_and_workers_work_behind_upstreams_broker(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"})
    with PlainBroker(system.port, manager_port(system)):
        system.start("manager")
        job = system.launch("first", "--payload", "{tide: 3}")
        system.wait_for_chain(job)
        assert system.ran() == ["first", "second"]
        assert system.checklist() == {"first": {"tide": 3}}
        with ReqWorker("third", system.port) as worker:
            assert worker.tell("success", [1, 2])["type"] == "ack"
            assert worker.tell("need", "first")["payload"] == {"tide": 3}
        assert system.stop("manager") == 0


def test_our_manager_says_nothing_to_upstreams_broker_but_hello_and_answers(make_system):
    system = make_system()
    with PlainBroker(system.port, manager_port(system)) as broker:
        system.start("manager")
        system.wait_for_job(system.launch("first"), "succeeded")
        wait_until(lambda: count_of_hellos(broker) >= 3, what="the manager to greet in vain")
        assert system.tell("third", "progress").type == "ack"
        from_manager = [frames for frames in broker.passed if frames[0] == b""]
        assert all(len(frames) == 3 and frames[1] == b"hello" for frames in from_manager)
        assert all(len(frames) == 3 for frames in broker.passed)  # client, empty, body


def count_of_hellos(broker):
    return sum(frames[1] == b"hello" for frames in broker.passed)


def test_our_manager_comes_back_behind_upstreams_broker(make_system):
    """What the plain proxy had handed over is lost with a manager, but our client repeats it."""
    system = make_system()
    with PlainBroker(system.port, manager_port(system)):
        system.start("manager")
        job = system.launch("first", "--until", "go on")
        system.wait_for_job(job, "running")
        system.kill("manager")
        system.touch("go on")
        system.start("manager")
        assert system.wait_for_job(job, "succeeded", timeout=20)
        assert len(system.messages("first")) == 1


@pytest.fixture
def ours(make_system):
    return make_system(after={"first": "[NextWorker('workers.second')]"}).start()


def test_upstreams_worker_is_acknowledged_and_what_follows_is_launched(ours):
    with ReqWorker("first", ours.port) as worker:
        assert worker.tell("success", {"tide": {40: [1.5, None]}}) == {
            "source": "manager", "type": "ack", "payload": None,
        }  # fmt: skip
    wait_until(lambda: [job.state for job in ours.jobs("second")] == ["succeeded"])
    assert ours.checklist()["first"] == {"tide": {40: [1.5, None]}}


def test_upstreams_worker_says_several_things_on_one_socket(ours):
    with ReqWorker("third", ours.port) as worker:
        assert worker.tell("progress", {"step": 1})["type"] == "ack"
        assert worker.tell("progress", {"more": 2})["type"] == "ack"
        assert worker.tell("success")["type"] == "ack"
    assert [message.type for message in ours.messages("third")] == [
        "progress", "progress", "success",
    ]  # fmt: skip
    assert ours.checklist() == {"third": {"step": 1, "more": 2}}


def test_the_same_words_twice_are_two_messages_of_upstreams_worker(ours):
    with ReqWorker("third", ours.port) as worker:
        worker.tell("success", 1)
        worker.tell("success", 1)
    assert len(ours.messages("third")) == 2


def test_upstreams_worker_gets_what_it_needs_in_upstreams_yaml(ours):
    with ReqWorker("third", ours.port) as worker:
        worker.tell("success", {1: "a", "dates": ["2026-11-22"]})
        assert worker.tell("need", "third")["payload"] == {1: "a", "dates": ["2026-11-22"]}


@pytest.mark.parametrize(
    ("kind", "payload", "reply", "said"),
    [
        ("need", "no such key", "no checklist key", "no such key"),
        ("no such type", None, "unregistered message type", ""),
        ("success", {"grid": (898, 398)}, "refused", "Python tuple"),
        ("success", {"file": Path("/results")}, "refused", "Path"),
    ],
)
def test_what_cannot_be_done_is_answered_and_the_socket_works_on(ours, kind, payload, reply, said):
    with ReqWorker("third", ours.port) as worker:
        answer = worker.tell(kind, payload)
        assert answer["type"] == reply
        assert said in str(answer["payload"])
        assert worker.tell("success", "still there")["type"] == "ack"


def test_a_worker_that_is_not_registered_is_told_so(ours):
    with ReqWorker("stranger", ours.port) as worker:
        assert worker.tell("success")["type"] == "unregistered worker"


def test_a_list_onto_a_mapping_replaces_it_and_harms_nobody(ours):
    with ReqWorker("third", ours.port) as worker, ReqWorker("second", ours.port) as other:
        worker.tell("success", {"tide": 1})
        assert worker.tell("success", ["a", "b"])["type"] == "ack"
        assert other.tell("success", {"next": "sender"})["type"] == "ack"
    assert ours.checklist() == {"third": ["a", "b"], "second": {"next": "sender"}}


def test_a_message_of_upstreams_worker_outlives_the_manager(ours):
    """Our broker keeps a request without an id until it is answered."""
    ours.stop("manager")
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), **os.environ}
    code = f"""
from nemo_nowcast_peers import ReqWorker
with ReqWorker("third", {ours.port}) as worker:
    print(worker.tell("success", 7)["type"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: (ours.health("message_broker") or {}).get("waiting") == 1)
    ours.start("manager")
    assert process.communicate(timeout=20)[0] == "ack\n"
    assert ours.checklist() == {"third": 7}
