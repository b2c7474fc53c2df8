"""Messages survive the wire unchanged, and what cannot survive it is refused with its place."""

import datetime
import enum
import gc
import pathlib
import subprocess
import sys
from collections import OrderedDict, namedtuple
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.messages import wire
from nowcast_cli.messages.message import Message, MessageError

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | text
    | st.binary()
    | st.dates()
    | st.datetimes()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(text | st.integers() | st.dates(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=4))
def test_the_fast_text_of_a_mapping_reads_the_same_as_json_and_as_yaml(mapping):
    fast = wire.dump_fast(mapping)
    assert wire.load(fast) == mapping
    assert yaml.safe_load(fast) == mapping


@pytest.mark.parametrize(
    ("value", "quick"),
    [("tide", True), (3, True), (0.5, True), (None, True), (1e22, False), (1e-5, False),
     ("Île", False), ("\x7f", False), ({1: 2}, False), ((1, 2), False), (float("inf"), False)],
)  # fmt: skip
def test_only_what_both_readers_agree_on_goes_as_json(value, quick):
    fast = wire.dump_fast({"payload": value})
    assert fast.startswith("{") is quick
    assert wire.load(fast) == yaml.safe_load(fast)


@given(payload=values)
def test_a_message_comes_back_as_it_was_sent(payload):
    message = Message("make_plots", "success nowcast", payload, job="0193-ab", outcome="success")

    assert Message.deserialize(message.serialize()) == message
    assert Message.deserialize(message.serialize().encode("utf-8")) == message


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_reading_raises_nothing_but_a_message_error(noise):
    with pytest.raises(MessageError, match="the message cannot be read: "):
        Message.deserialize(noise)


def test_a_peer_built_on_nemo_nowcast_sees_source_type_and_payload_alone():
    assert yaml.safe_load(Message("sleep", "success", {"a": [1]}).serialize()) == {
        "source": "sleep",
        "type": "success",
        "payload": {"a": [1]},
    }


def test_unknown_keys_of_a_later_version_are_left_aside():
    later = "{source: sleep, type: success, payload: null, colour: blue}"

    assert Message.deserialize(later) == Message("sleep", "success")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"\xff\xfe", "not text in UTF-8"),
        ("source: [", "not valid YAML"),
        ("- a\n- b", "not a mapping with the keys source, type and payload, but a list"),
        ("", "but nothing"),
        ("source: sleep", "has no type and no payload"),
        ("{source: sleep, type: success}", "has no payload"),
        ("{source: [a], type: b, payload: c}", r"its source must be text, but is \['a'\]"),
        ("{source: a, type: {}, payload: c}", "its type must be text"),
        ("{source: a, type: yes, payload: c}", "its type must be text, but is True"),
        ("{source: a, type: b, payload: c, id: ../../x}", "its id must be made of"),
        ("{source: a, type: b, payload: c, job: 3}", "its job must be made of"),
        ("{source: a, type: b, payload: c, outcome: fine}", "its outcome must be one of"),
        ("{source: a, type: b, payload: !!int ''}", "not valid YAML"),
        ("{source: a, type: b, payload: !!timestamp x}", "not valid YAML"),
        ("{source: a, type: b, payload: 2026-02-31}", "not valid YAML"),
        ("{source: a, type: b, payload: {[1]: 2}}", "not valid YAML"),
        ("source: a\ntype: b\npayload: &x [*x]", "holds itself"),
        ("x: &x {a: 1}\n<<: *x\nsource: a", "tag"),
    ],
)
def test_what_is_no_message_is_refused_with_a_sentence(body, complaint):
    with pytest.raises(MessageError, match=complaint):
        Message.deserialize(body)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [((1, 2), "tuple"), (pathlib.PurePosixPath("/a"), "PurePosixPath")],
)
def test_what_nemo_nowcasts_dumper_writes_for_python_objects_is_named(payload, kind):
    body = yaml.dump({"source": "a", "type": "b", "payload": payload})

    with pytest.raises(MessageError, match=f"the payload holds a Python {kind} .*send lists"):
        Message.deserialize(body)


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 200_000 + "]" * 200_000,
        "{a: " * 200_000 + "1" + "}" * 200_000,
        "\n  " + "- " * 200_000,
    ],
    ids=["brackets", "braces", "dashes"],
)
def test_a_deeply_nested_message_does_not_kill_the_reader(payload):
    # in a process of its own: the parser would overflow the stack, not raise
    script = (
        "import sys\n"
        "from nowcast_cli.messages.message import Message, MessageError\n"
        "try:\n"
        "    Message.deserialize(sys.stdin.buffer.read())\n"
        "except MessageError as error:\n"
        "    print(error.what)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        input=f"source: a\ntype: b\npayload: {payload}",
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0
    assert "nested more than 100 deep" in ended.stdout


def test_a_small_message_that_expands_to_a_large_one_is_refused():
    levels = ["a0: &a0 [1]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)
    ]
    body = "source: a\ntype: b\npayload:\n  " + "\n  ".join(levels)

    with pytest.raises(MessageError, match="more than 1,000,000 values"):
        Message.deserialize(body)


def test_a_chain_of_aliases_that_is_deep_is_refused():
    levels = ["- &a0 [1]"] + [f"- &a{n} [*a{n - 1}]" for n in range(1, 5000)]
    body = "source: a\ntype: b\npayload:\n" + "\n".join(levels)

    with pytest.raises(MessageError, match="nested more than"):
        Message.deserialize(body)


def test_one_list_at_two_places_comes_through():
    shared = ["a"]
    payload = {"x": shared, "y": shared}

    assert Message.deserialize(Message("a", "b", payload).serialize()).payload == payload


class Colour(enum.Enum):
    RED = 1


class Text(str):
    pass


class Array:
    def tolist(self):
        return []


Point = namedtuple("Point", "x y")
itself: list = []
itself.append(itself)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (
            {"a": [pathlib.PosixPath("/x")]},
            r'payload\["a"\]\[0\]: PosixPath cannot be sent; send str',
        ),
        ({3: Colour.RED}, r"payload\[3\]: Colour cannot be sent"),
        ([Text("a")], r"payload\[0\]: Text cannot be sent; send str\(\.\.\.\)"),
        (OrderedDict(a=1), r"payload: OrderedDict cannot be sent; send dict"),
        (Point(1, 2), r"payload: Point cannot be sent; send list"),
        (Array(), r"payload: Array cannot be sent; send its \.tolist\(\)"),
        ({(1, 2): 3}, r"payload: the key \(1, 2\) is a tuple"),
        ({"a": "\udcff"}, r'payload\["a"\]: text with bytes that are not UTF-8'),
        (itself, "holds itself"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(payload, complaint):
    with pytest.raises(MessageError, match=complaint):
        Message("a", "b", payload).serialize()


def test_a_payload_nested_beyond_all_bounds_is_refused():
    payload: list = []
    for _ in range(10_000):
        payload = [payload]

    with pytest.raises(MessageError, match="nested more than"):
        Message("a", "b", payload).serialize()


def test_a_message_without_a_type_is_refused_where_it_is_sent():
    with pytest.raises(MessageError, match="its type must be text, but is None"):
        Message("sleep", None).serialize()  # type: ignore[arg-type]


def test_tuples_are_sent_as_lists():
    assert Message.deserialize(Message("a", "b", (1, (2,))).serialize()).payload == [1, [2]]


def test_dates_and_integer_keys_stay_what_they_are():
    payload = {1: datetime.date(2026, 11, 22)}

    assert Message.deserialize(Message("a", "b", payload).serialize()).payload == payload


def test_ordinary_messages_are_read_without_a_second_pass(monkeypatch):
    monkeypatch.setattr(wire, "_refuse_deep", lambda text: pytest.fail("read twice"))

    assert Message.deserialize(Message("a", "b", {"x" * 9: ["-" * 90, [], {}] * 500}).serialize())


@pytest.mark.parametrize("body", [Message("a", "b").serialize(), "["])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(body, enabled):
    before = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        with suppress(MessageError):
            Message.deserialize(body)
        assert gc.isenabled() is enabled
    finally:
        gc.enable() if before else gc.disable()
