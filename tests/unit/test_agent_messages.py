"""What agents and the manager say to each other goes there and back, and nonsense is refused."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.messages.agent_messages import (
    Acknowledge,
    AgentMessageError,
    Answer,
    Assignments,
    Counters,
    Disk,
    Gpu,
    Limits,
    Look,
    Pull,
    Register,
    Report,
    Talkback,
    acknowledge_in,
    from_json,
    from_text,
    over_broker,
    to_json,
    to_text,
)
from nowcast_cli.messages.message import Message

_LETTERS = string.ascii_letters + string.digits
names = st.text(_LETTERS, min_size=1, max_size=20)
texts = st.text(max_size=30).filter(lambda text: text.isprintable())
counts = st.integers(0, 2**60)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | counts | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
exchanges = st.dictionaries(texts, values, max_size=4)


def several(item: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(item, max_size=3).map(tuple)


limits = st.builds(
    Limits,
    st.none() | counts,
    st.none() | counts,
    st.none() | numbers,
    st.none() | counts,
)
disks = several(st.builds(Disk, texts, counts, st.none() | counts))
registers = st.builds(
    Register,
    agent=names,
    instance=names,
    boot=texts,
    machine=texts,
    hostname=texts,
    version=texts,
    python=texts,
    state_directory=texts,
    cpus=counts,
    memory=counts,
    clock=numbers,
    config_file=st.none() | texts,
    gpus=several(st.builds(Gpu, texts, st.none() | counts)),
    disks=disks,
    tags=several(names),
    limits=limits,
    running=several(names),
)
reports = st.builds(
    Report,
    agent=names,
    instance=names,
    number=counts,
    clock=numbers,
    memory_free=counts,
    load=numbers,
    disks=disks,
    counters=st.builds(Counters, counts, counts, counts, counts),
    running=several(names),
    errors=several(texts),
    order=st.none() | names,
)
pulls = st.builds(Pull, names, names, st.none() | names, numbers)
answers = st.builds(Answer, names, names, names, exchanges)
talkbacks = st.builds(
    Talkback,
    st.sampled_from(["online", "draining", "disabled"]),
    limits,
    numbers,
    numbers,
    st.none() | numbers,
    st.booleans(),
    st.none() | texts,
)
acknowledges = st.builds(
    Acknowledge, talkbacks, st.none() | st.builds(Assignments, names, exchanges)
)
messages = registers | reports | pulls | answers | acknowledges | st.just(Look())


@given(messages)
def test_each_message_comes_back_as_it_was(message):
    assert from_json(json.loads(json.dumps(to_json(message)))) == message
    assert from_text(to_text(message)) == message
    assert to_text(message).isascii()


@given(messages, exchanges)
def test_what_a_newer_side_says_beyond_is_passed_over(message, beyond):
    new = {f"new {key}": value for key, value in beyond.items()}
    assert from_json({**to_json(message), **new}) == message


@given(registers | reports | pulls | answers)
def test_the_broker_carries_it_and_its_answer(message):
    carried = Message.deserialize(over_broker(message).encode())
    assert (carried.source, carried.type) == ("nowcast", "agent")
    assert from_text(carried.payload) == message


@given(values | st.text(), st.sampled_from(["register", "report", "pull", "answer", "acknowledge"]))
def test_nonsense_is_refused_in_a_sentence(value, what):
    text = value if isinstance(value, str) else json.dumps(value)
    for wrong in (text, json.dumps({"what": what, "agent": value, "talkback": 3})):
        with pytest.raises(AgentMessageError, match=" "):
            from_text(wrong)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpus": "four"}, "cpus must be a int, not 'four'"),
        ({"cpus": None}, "cpus must be a int, not None"),
        ({"memory": True}, "memory must be a int"),
        ({"clock": float("inf")}, "clock must be a float"),
        ({"tags": ["gpu", 3]}, r"tags\[1\] must be a str"),
        ({"tags": ["!gpu"]}, "cannot be a tag"),
        ({"limits": {"slots": "all"}}, "limits.slots must be a int"),
        ({"disks": [{"path": "/"}]}, r"disks\[0\].total is missing"),
        ({"agent": "../x"}, "cannot be the name of an agent"),
    ],
)
def test_what_is_wrong_is_named(change, said):
    register = Register("a", "i", "b", "m", "h", "1", "3", "/s", 1, 1, 0.0)
    with pytest.raises(AgentMessageError, match=said):
        from_json({**to_json(register), **change})


def test_a_refusal_of_the_broker_is_told():
    refusal = Message("message_broker", "refused", {"what": "the key x may not do that"})
    with pytest.raises(AgentMessageError, match="the key x may not do that"):
        acknowledge_in(refusal)
    assert acknowledge_in(Message("manager", "agent", to_text(Acknowledge()))) == Acknowledge()
