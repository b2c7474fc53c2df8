"""The section ``limits``: its defaults, its values, and its mistakes."""

from __future__ import annotations

import tracemalloc

import pytest

from nowcast_cli.config.check import check
from nowcast_cli.config.limits import DEEPEST, DEFAULTS, KEYS, Limits, limits
from nowcast_cli.config.sizes import NotASize, bytes_of
from nowcast_cli.errors import ConfigError
from nowcast_cli.messages.message import Message, MessageError


@pytest.mark.parametrize(
    ("written", "size"),
    [("512 kB", 512_000), ("32MB", 32_000_000), ("1.5 GB", 1_500_000_000), (4096, 4096), ("7", 7)],
)
def test_a_size_is_read_as_people_write_it(written, size):
    assert bytes_of(written) == size


@pytest.mark.parametrize("written", ["", "MB", "-3 MB", "0", "3 miles", True, None, [3], "1e3"])
def test_what_is_no_size_is_told_by_an_example(written):
    with pytest.raises(NotASize, match="such as '512 kB'"):
        bytes_of(written)


@pytest.mark.parametrize("config", [{}, {"limits": None}, {"limits": dict.fromkeys(KEYS)}])
def test_what_is_not_written_has_its_default(config):
    assert limits(config) == DEFAULTS


def test_what_is_written_counts():
    section = {"message size": "1 MB", "payload depth": 5, "waiting messages": 7}
    assert limits({"limits": section}) == Limits(
        message_size=1_000_000, payload_depth=5, waiting_messages=7
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ([], None),
        ([1], "limits: must hold"),
        ({"mesage size": "1 MB"}, "limits.mesage size"),
        ({"message size": "much"}, "limits.message size: must be a size"),
        ({"message size": "1 kB"}, "at least '10 kB'"),
        ({"payload depth": 101}, "limits.payload depth: must be at most 100"),
        ({"payload values": 0}, "limits.payload values: must be a whole number"),
        ({"waiting messages": True}, "limits.waiting messages"),
    ],
)
def test_a_mistake_names_its_key(section, said):
    if said is None:
        assert limits({"limits": section}) == DEFAULTS
        return
    with pytest.raises(ConfigError) as raised:
        limits({"limits": section})
    assert said in raised.value.what


def test_validate_tells_where_a_mistake_stands_and_what_was_meant(tmp_path):
    file = tmp_path / "nowcast.yaml"
    file.write_text(
        "zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}\n"
        "message registry: {manager: {}, workers: {}}\n"
        "limits:\n  message sise: 3 MB\n  payload depth: 200\n"
    )
    found = {(problem.line, problem.path): problem.message for problem in check(file)}
    assert "did you mean 'message size'" in found[4, "limits.message sise"]
    assert "at most 100" in found[5, "limits.payload depth"]


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("write", [lambda m: m.encode().decode(), Message.serialize])
def test_depth_is_counted_from_the_payload_on_both_sides(write):
    few = Limits(payload_depth=3)
    fits, too_deep = Message("a", "b", nested(3)), Message("a", "b", nested(4))

    assert Message.deserialize(write(fits), few).payload == nested(3)
    fits.encode(few)
    for refused in (
        lambda: Message.deserialize(write(too_deep), few),
        lambda: too_deep.encode(few),
    ):
        with pytest.raises(MessageError, match=r"more than 3 deep \(limits.payload depth\)"):
            refused()


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1])
def test_what_may_be_sent_is_what_is_read(depth):
    message = Message("a", "b", nested(depth))
    if depth == DEEPEST:
        assert Message.deserialize(message.encode()).payload == nested(depth)
    else:
        with pytest.raises(MessageError, match=r"cannot be sent: .* nested more than 100 deep"):
            message.encode()


def test_lists_that_hold_one_another_by_the_dozen_are_refused_before_they_are_written_out():
    bomb: object = "lol"
    for _ in range(40):
        bomb = [bomb] * 10
    with pytest.raises(MessageError, match=r"limits\.payload values"):
        Message("a", "b", bomb).encode()
    shared = {"x": 1}
    assert b"&" not in Message("a", "b", [shared, shared]).encode(), "there is no harm in a few"


@pytest.mark.parametrize(
    "payload",
    [[1] * 50, {n: n for n in range(30)}, {str(n): "a, b: c" for n in range(30)}, ["x\ny"] * 50],
)
@pytest.mark.parametrize("write", [lambda m: m.encode().decode(), Message.serialize])
def test_values_are_counted_on_both_sides_and_commas_in_text_are_none(payload, write):
    message = Message("a", "b", payload)

    assert Message.deserialize(write(message), Limits(payload_values=100)).payload == payload
    message.encode(Limits(payload_values=100))
    for refused in (
        lambda: Message.deserialize(write(message), Limits(payload_values=40)),
        lambda: message.encode(Limits(payload_values=40)),
    ):
        with pytest.raises(MessageError, match=r"more than 40 values \(limits.payload values\)"):
            refused()


def test_a_bomb_without_aliases_is_refused_before_it_fills_the_memory():
    body = "source: a\ntype: b\npayload: [" + "1, " * 2_000_000 + "1]"
    tracemalloc.start()
    try:
        with pytest.raises(MessageError, match="more than 50,000 values"):
            Message.deserialize(body, Limits(payload_values=50_000))
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_a_message_that_is_too_large_is_not_sent_and_the_error_names_the_key():
    with pytest.raises(MessageError, match=r"limits.message size allows 10 kB") as raised:
        Message("a", "b", "x" * 10_000).encode(Limits(message_size=10_000))
    assert "write the data to a file" in str(raised.value.hint)
