"""Who gets in, and what each may do there: real daemons, real sockets, keys of all kinds."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest
import zmq

from broker_process import HELLO
from helpers import wait_until
from nowcast_cli.messages.client import Client, NotAdmitted
from nowcast_cli.messages.message import Message
from nowcast_cli.security.curve import new_pair, present
from nowcast_cli.security.key import key_file, read_key, write_key
from nowcast_cli.security.source import KeySource
from nowcast_command import nowcast
from systems import System

AFTER = {"first": "[NextWorker('workers.second')]"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Give a running system with keys, which the tests of this module share."""
    system = System(
        tmp_path_factory.mktemp("guarded") / "system", after=AFTER, settings={"security": "curve"}
    )
    try:
        yield system.start()
    finally:
        system.end()


def client(system, key, **options):
    """Give a client with the key of that name, or with a KeySource, or none."""
    source = KeySource(key_file(system.paths.keys, key), 2.5) if isinstance(key, str) else key
    return Client("localhost", system.port, **{"deadline": 20, "key": source, **options})


def refused(system, key, message=None):
    """Give the error that a client gets, which has to come soon."""
    began = time.monotonic()
    with client(system, key) as asking, pytest.raises(NotAdmitted) as caught:
        asking.ask(message or Message("first", "success"))
    assert time.monotonic() - began < 10
    assert caught.value.cause
    assert caught.value.hint
    return caught.value.what


def refusal_of(asking):
    """Give why a client is refused by now; None while it is answered."""
    try:
        asking.ask(Message("first", "progress"))
    except NotAdmitted as error:
        return error.what
    return None


def test_a_chain_runs_as_ever(guarded):
    job = guarded.launch("first", "--payload", "{tide: 3}")
    guarded.wait_for_chain(job)
    assert guarded.checklist()["first"] == {"tide": 3}
    assert [worker for _, worker in guarded.effects()][-2:] == ["first", "second"]
    assert guarded.health("message_broker")["security"] == "curve"


def test_who_has_no_key_is_told_so(guarded):
    assert "refuses connections without a key" in refused(guarded, None)
    wait_until(lambda: "it showed no key" in guarded.log(), what="the broker to tell of it")


def test_a_key_that_nobody_knows_is_refused(guarded, tmp_path):
    public, secret = new_pair()
    known = read_key(key_file(guarded.paths.keys, "worker"))
    write_key(tmp_path / "wrong.key", replace(known, public=public, secret=secret))
    what = refused(guarded, KeySource(tmp_path / "wrong.key"))
    assert f"refuses the key {tmp_path / 'wrong.key'}" in what
    wait_until(lambda: "its key is not on the list" in guarded.log(), what="the broker's words")


def test_the_key_of_another_system_is_told_so(guarded, tmp_path):
    known = read_key(key_file(guarded.paths.keys, "worker"))
    write_key(tmp_path / "other.key", replace(known, broker=new_pair()[0]))
    assert "is not the message broker that the key" in refused(
        guarded, KeySource(tmp_path / "other.key", 0.3)
    )


def test_a_key_that_is_not_there_is_named(guarded, tmp_path):
    assert refused(guarded, KeySource(tmp_path / "none.key")) == (
        f"there is no key {tmp_path / 'none.key'}"
    )


def test_a_revoked_key_is_shut_out_of_the_connection_that_it_has(guarded, tmp_path):
    file = guarded.keys.add("guest", "operator")
    (tmp_path / "copy.key").write_bytes(file.read_bytes())
    (tmp_path / "copy.key").chmod(0o600)
    with client(guarded, KeySource(tmp_path / "copy.key")) as asking:
        assert asking.ask(Message("first", "progress")).type == "ack"
        guarded.keys.revoke("guest")
        told = wait_until(lambda: refusal_of(asking), what="the broker to look at its list")
        assert "refuses the key" in told
    wait_until(lambda: "guest, was revoked at" in guarded.log(), what="the broker's words")


def test_a_key_that_is_added_gets_in_without_a_restart(guarded):
    guarded.keys.add("newcomer", "worker")
    with client(guarded, "newcomer") as asking:
        assert asking.ask(Message("first", "progress")).type == "ack"


def test_a_reader_may_read_and_do_nothing_else(guarded):
    guarded.keys.add("board", "reader")
    guarded.finish("third", {"level": 5})
    before = len(guarded.messages())
    with client(guarded, "board") as asking:
        assert asking.ask(Message("third", "need", "third")).payload == {"level": 5}
        snapshot = asking.ask(Message("nowcast", "snapshot", {"of": "checklist"})).payload
        assert snapshot["value"]["third"] == {"level": 5}
        replay = asking.ask(Message("nowcast", "events", {"after": {"checklist": 0}})).payload
        assert replay["events"][-1]["payload"]["value"] == {"level": 5}
        for message in (
            Message("third", "success", {"level": 99}),
            Message("nowcast", "clear checklist", {}),
            Message("nowcast", "launch", {"module": "workers.first", "arguments": []}),
        ):
            reply = asking.ask(message)
            assert (reply.type, reply.source) == ("refused", "message_broker")
            assert "the key board may not do that" in reply.payload["what"]
    assert guarded.checklist()["third"] == {"level": 5}
    assert [m.type for m in guarded.messages()[before:]].count("success") == 0


def test_a_worker_may_launch_workers_and_nothing_else(guarded):
    with client(guarded, "worker") as asking:
        launch = {"module": "timeit", "arguments": ["print('owned')"]}
        assert asking.ask(Message("nowcast", "launch", launch)).type == "refused"
        assert asking.ask(Message("nowcast", "reload", {})).type == "refused"
        launch = {"module": "workers.third", "arguments": []}
        job = asking.ask(Message("nowcast", "launch", launch)).payload["job"]
    guarded.wait_for_job(job, "succeeded")


def test_a_worker_that_is_registered_by_a_reload_may_be_launched(guarded):
    guarded.write("workers/fourth.py", (guarded.folder / "workers/third.py").read_text())
    guarded.registry["fourth"] = dict(guarded.registry["third"])
    guarded.write_config()
    with client(guarded, "worker") as asking:
        launch = {"module": "workers.fourth", "arguments": []}
        assert asking.ask(Message("nowcast", "launch", launch)).type == "ack"


@pytest.mark.parametrize("name", [None, "operator", "worker"])
def test_only_the_manager_gets_what_is_for_the_manager(guarded, name):
    port = guarded.settings["zmq"]["ports"]["manager"]
    with zmq.Context() as context, context.socket(zmq.DEALER) as thief:
        thief.linger = 0
        if name is not None:
            present(thief, read_key(key_file(guarded.paths.keys, name)))
        thief.connect(f"tcp://127.0.0.1:{port}")
        thief.send_multipart(HELLO)
        for _ in range(5):
            assert guarded.tell("first", "progress").type == "ack"
        assert not thief.poll(200)


def test_garbage_on_the_ports_does_no_harm(guarded):
    for port in guarded.settings["zmq"]["ports"].values():
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 50)
    assert guarded.tell("first", "progress").type == "ack"


def test_keys_are_replaced_while_a_job_runs(guarded):
    job = guarded.launch("first", "--tell", "progress", "1", "--until", "rotated")
    guarded.wait_for_job(job, "running")
    for name in ("broker", "manager", "worker", "operator"):
        guarded.keys.rotate(name)
        assert guarded.tell("third", "progress").type == "ack", name
    guarded.touch("rotated")
    guarded.wait_for_job(job, "succeeded", timeout=20)
    guarded.wait_for_chain(job)


def test_the_managers_old_key_is_cut_off(guarded):
    port = guarded.settings["zmq"]["ports"]["manager"]
    with zmq.Context() as context, context.socket(zmq.DEALER) as thief:
        thief.linger = 0
        present(thief, read_key(key_file(guarded.paths.keys, "manager")))
        thief.connect(f"tcp://127.0.0.1:{port}")
        thief.send_multipart(HELLO)
        assert thief.poll(5000) or guarded.tell("first", "progress")  # it is let in: it has the key
        guarded.keys.rotate("manager")
        guarded.tell("first", "progress")
        wait_until(lambda: "its port is opened anew" in guarded.log(), what="the new port")
        while thief.poll(100):
            thief.recv_multipart()
        for _ in range(5):
            assert guarded.tell("first", "progress").type == "ack"
        assert not thief.poll(200)


def test_the_commands_say_what_they_do_and_print_no_secret(guarded):
    folder = guarded.folder
    said = nowcast(folder, "key", "add", "--host", "cluster")
    assert said.code == 0, said.err
    assert "not among `run: enabled hosts`" in said.err
    listed = nowcast(folder, "key", "list", "--json")
    assert {"name", "role", "host", "public", "standing"} <= listed.json["keys"][0].keys()
    everything = listed.out + nowcast(folder, "key", "list").out + said.out
    for file in guarded.paths.keys.glob("*.key"):
        assert read_key(file).secret not in everything
    assert nowcast(folder, "key", "rotate", "cluster").code == 0
    assert nowcast(folder, "key", "revoke", "cluster").code == 0
    assert nowcast(folder, "key", "revoke", "nobody").code == 4
    assert nowcast(folder, "key", "add", "x", "--host", "h", "--role", "reader").code == 2


def test_a_broker_without_keys_says_how_to_make_them(make_system):
    system = make_system(settings={"security": "curve"})
    for file in system.paths.keys.iterdir():
        file.unlink()
    broker = system.popen("message_broker")
    assert broker.wait(20) == 1
    assert "nowcast key init makes it" in system.log("message_broker.out")


@pytest.mark.parametrize("security", ["none", None])
def test_ports_are_not_opened_to_the_network_without_keys(make_system, security):
    """A configuration of NEMO_Nowcast's form, which says nothing, is warned alone."""
    system = make_system()
    system.settings["zmq"]["host"] = "0.0.0.0"
    system.settings |= {} if security is None else {"security": security}
    system.write_config()
    if security is None:
        system.start("message_broker")
        wait_until(lambda: "without authentication" in system.log(), what="the warning")
        return
    assert system.popen("message_broker").wait(20) == 2
    assert "is not opened to the network without keys" in system.log("message_broker.out")
    assert nowcast(system.folder, "validate").code == 2
