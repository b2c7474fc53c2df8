"""Whatever arrives at the workers' port: it is answered, and the next sender is served."""

import socket
import struct

import pytest
import yaml
import zmq

from nowcast_cli.messages.message import Message
from systems import System

GOOD = b"{source: second, type: success, payload: 1}"


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = System(tmp_path_factory.mktemp("shared") / "system")
    system.registry["keyless"] = {"success": "has no checklist key"}
    system.write_config()
    yield system.start()
    assert system.health()["pid"] == system.pid("manager"), "the manager has not ended meanwhile"
    system.end()


def text(value):
    """Give a value so that it can be compared: nan is not equal to itself."""
    return yaml.dump(value, Dumper=yaml.CSafeDumper)


def deep(levels):
    return b"{source: first, type: success, payload: " + b"[" * levels + b"]" * levels + b"}"


def laughs():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return ("source: first\ntype: success\npayload:\n  " + "\n  ".join(lines)).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"source: [1, 2", "not valid YAML"),
        (b"- a\n- list\n", "not a mapping"),
        (b"", "nothing"),
        (b"null", "nothing"),
        (b"text", "not a mapping"),
        (b"{source: first, type: success}", "no payload"),
        (b"{payload: 1}", "no source and no type"),
        (b"{source: {a: 1}, type: success, payload: 1}", "source must be text"),
        (b"{source: [a], type: success, payload: 1}", "source must be text"),
        (b"{source: first, type: {b: 1}, payload: 1}", "type must be text"),
        (b"{source: first, type: success, payload: 1, id: [1]}", "id must be"),
        (b"{source: first, type: success, payload: 1, id: ../../x}", "id must be"),
        (b"{source: first, type: success, payload: 1, outcome: won}", "outcome must be"),
        (b"source: first\ntype: success\npayload: \xff\xfe", "not text in UTF-8"),
        (b"source: first\ntype: success\npayload: !!python/tuple [1]", "Python tuple"),
        (
            b"source: first\ntype: success\npayload: !!python/object/apply:pathlib.PosixPath [a]",
            "PosixPath",
        ),
        (b"source: first\ntype: success\npayload: &a [*a]", "holds itself"),
        (b"source: first\ntype: success\npayload: 0x" + b"f" * 5000, "integer"),
        (b"source: first\ntype: success\npayload: " + b"9" * 5000, "digits"),
        (b'{"source": "first", "type": "success", "payload": "\\ud800"}', "Unicode"),
        (b'{"source": "\\ud800", "type": "success", "payload": 1}', "Unicode"),
        (deep(5000), "deep"),
        (deep(100_000), "deep"),
        (laughs(), "values"),
        (b"source: first\ntype: success\npayload: 2026-02-31", "not valid YAML"),
    ],
)
def test_a_message_that_cannot_be_read_is_refused_in_a_sentence(system, body, words):
    before = len(system.messages("first"))
    answer = Message.deserialize(system.send_raw(body))

    assert answer.type == "refused"
    assert words in answer.payload["what"]
    assert len(system.messages("first")) == before
    assert Message.deserialize(system.send_raw(GOOD)).type == "ack"


@pytest.mark.parametrize(
    "payload",
    [
        b"!!set {a, b}",
        b"!!omap [a: 1]",
        b"!!binary aGVsbG8=",
        b"2026-11-22T03:04:05Z",
        b"0001-01-01T00:00:00+14:00",
        b"[.nan, .inf, 1e400]",
        b'"\\0\\x1b\\N"',
        b"{1: a, true: b, null: c, 1.5: d, 2026-11-22: e}",
        b'{"": 1}',
        deep(90)[40:-1],
        b"? " + b"k" * 2000 + b"\n  : {a: 1}",
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_a_strange_value_of_yaml_is_kept_as_it_is(system, payload):
    body = b"source: third\ntype: success\npayload:\n  v: " + payload
    if payload.startswith(b"?"):
        body = b"source: third\ntype: success\npayload:\n  " + payload
    answer = Message.deserialize(system.send_raw(body))
    sent = Message.deserialize(body).payload

    assert answer.type == "ack"
    kept = system.tell("second", "need", "third").payload
    assert all(text(kept[key]) == text(value) for key, value in sent.items())
    system.wait_for_message(system.messages("third")[-1].number, "decided")
    in_file = system.checklist()["third"]
    assert all(text(in_file[key]) == text(value) for key, value in sent.items())


def test_strange_values_outlive_the_manager(system):
    before = system.tell("second", "need", "third").payload
    system.restart("manager")

    assert text(system.tell("second", "need", "third").payload) == text(before)


def test_extra_frames_are_dropped_and_the_next_sender_is_served(system):
    assert system.send_raw(GOOD, b"and another frame", timeout=0.5) is None
    assert Message.deserialize(system.send_raw(GOOD)).type == "ack"


def test_other_kinds_of_peers_and_bytes_that_are_not_zeromq_do_no_harm(system):
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(f"tcp://localhost:{system.port}")
        for frames in ([b"one"], [b"", b"", GOOD], [b"a", b"b", b"c", b"d"], [b"", GOOD, b""]):
            dealer.send_multipart(frames)
    with socket.create_connection(("localhost", system.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with socket.create_connection(("localhost", system.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"\xff" * 100)

    assert Message.deserialize(system.send_raw(GOOD)).type == "ack"


def test_a_list_replaces_a_mapping_and_a_mapping_a_list(system):
    for payload in ({"a": 1}, [1, 2], {"b": 2}, "text", {"c": 3}):
        assert system.finish("first", payload).type == "ack"
        assert system.tell("second", "need", "first").payload == payload


def test_a_payload_without_a_checklist_key_changes_nothing_and_is_named_in_the_log(system):
    before = system.checklist()
    assert system.finish("keyless", {"n": 1}).type == "no after_worker function"

    assert system.checklist() == before
    assert "add a `checklist key` to keyless in the message registry" in system.log()


def test_a_checklist_key_that_cannot_be_one_is_refused_by_a_reload(make_system):
    system = make_system().start()
    system.registry["first"]["checklist key"] = ["a", "list"]
    system.write_config()

    reply = system.request("reload", {})
    assert reply.type == "refused"
    assert "workers.first.checklist key: must be text or a number" in reply.payload["what"]
    assert system.finish("first", 1).type == "ack"
    system.kill("manager")
    assert system.popen("manager").wait(20) == 2
