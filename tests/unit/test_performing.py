"""The words of performers: frames and back."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.messages.performing import (
    Acknowledged,
    Alive,
    Answer,
    Ask,
    AskHello,
    Bye,
    Done,
    Hello,
    Order,
    Orders,
    PerformingError,
    Progress,
    Renewed,
    Result,
    Welcome,
    Withdraw,
    frames_of,
    from_performer,
    to_performer,
)

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_ids = st.tuples(_texts) | st.tuples(_texts, _texts) | st.just(())
_seconds = st.floats(0, 1e6)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_values = st.dictionaries(_texts, _plain, max_size=3)
_states = st.sampled_from(["done", "failed", "timed out", "lost"])
_results = st.builds(
    Result, _texts, _states, _plain, st.none() | _texts, st.none() | _texts, _seconds
)
_orders = st.builds(
    Order,
    _texts,
    _texts,
    st.none() | _texts,
    _values,
    st.booleans(),
    _seconds,
    _texts,
    _texts,
    _texts,
    st.integers(1, 99),
    _texts,
    st.booleans(),
)
_of_performers = st.one_of(
    st.builds(
        Hello,
        _texts,
        _texts,
        st.integers(),
        st.integers(),
        st.just("mapping") | _ids,
        _ids,
        st.integers(),
    ),
    st.builds(Done, st.lists(_results, max_size=3).map(tuple)),
    st.builds(Progress, _texts, st.none() | _texts, st.none() | st.floats(0, 1)),
    st.builds(Renewed, _texts, _seconds),
    st.builds(Ask, _texts, _texts, _values, _seconds),
    st.just(Alive()),
    st.just(Bye()),
)
_of_the_manager = st.one_of(
    st.builds(Welcome, _ids, st.integers()),
    st.builds(Orders, st.lists(_orders, max_size=3).map(tuple)),
    st.builds(Acknowledged, _ids),
    st.builds(Withdraw, _ids),
    st.builds(Answer, _texts, _states, _plain, st.none() | _texts),
    st.just(AskHello()),
)


@given(_of_performers)
def test_what_a_performer_says_is_read_as_it_was_said(word):
    assert from_performer(frames_of(word)) == word


@given(_of_the_manager)
def test_what_the_manager_says_is_read_as_it_was_said(word):
    assert to_performer(frames_of(word)) == word


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"done", b"hello", b"{}"]), max_size=4))
def test_whatever_comes_is_a_word_or_a_sentence(frames):
    for read in (from_performer, to_performer):
        with contextlib.suppress(PerformingError):
            frames_of(read(frames))


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ([], "at least one frame"),
        ([b"gibberish"], "'gibberish' is no word of performers"),
        ([b"hello"], "has one frame after its kind, not 0"),
        ([b"hello", b"[]"], "hello is a mapping"),
        ([b"hello", b'{"name": "a"}'], "incarnation is missing"),
        ([b"done", b'{"id": "a", "state": "well"}'], "a result's state is one of"),
        ([b"done", b'{"id": "a", "state": []}'], "state is not of its kind"),
        ([b"done", b'{"id": "a", "state": "done", "seconds": 1e999}'], "seconds is no number"),
        (
            [b"orders", b'{"id": "a", "key": "?a?", "values": {}, "seconds": 1, "async": 1}'],
            "async",
        ),
        ([b"done", b'{"id": "a", "state": "done", "gave": NaN}'], "NaN is not JSON"),
        ([b"done", b'{"id": "a", "state": "done", "gave": "\\ud800"}'], "not JSON: .*surrogates"),
        ([b"done", b'{"id": 3, "state": "done"}'], "id is not of its kind"),
        ([b"renewed", b'{"id": "a", "seconds": "3"}'], "seconds is no number"),
        ([b"orders", b"{}"], "id is missing"),
        ([b"welcome", b"{}"], "for the manager to say"),
    ],
)
def test_what_is_no_word_is_refused_in_a_sentence(frames, sentence):
    with pytest.raises(PerformingError, match=sentence):
        from_performer(frames)


def test_an_order_is_on_the_wire_as_the_protocol_says():
    order = Order("t", "?a?b", "m.f", {"x": 1}, True, 2.5, "r", "f", "s", 3, "c", True)
    kind, text = frames_of(Orders((order,)))
    assert kind == b"orders"
    assert json.loads(text) == {
        "id": "t",
        "key": "?a?b",
        "component": "m.f",
        "values": {"x": 1},
        "implied": True,
        "seconds": 2.5,
        "run": "r",
        "flow": "f",
        "step": "s",
        "attempt": 3,
        "correlation": "c",
        "async": True,
    }
