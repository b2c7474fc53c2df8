"""What each role may ask, and that the quick look at a message lets no request through."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.broker.admission import is_plainly_of_a_worker, refusal, registered_modules
from nowcast_cli.messages.agent_messages import Acknowledge, Look, Pull, to_text
from nowcast_cli.messages.message import Message, MessageError

registered = registered_modules([("sleep", None), ("tides", "mine.high_water")])


def answer(role, source, kind, payload=None):
    return refusal(role, "east", Message(source, kind, payload, id="a1").encode(), registered)


@pytest.mark.parametrize(
    ("role", "source", "kind", "payload"),
    [
        ("operator", "nowcast", "cancel", {"job": "x"}),
        ("operator", "nowcast", "launch", {"module": "timeit"}),
        ("worker", "sleep", "success", {"a": [1, "two"]}),
        ("worker", "sleep", "need", "key"),
        ("worker", "nowcast", "launch", {"module": "workers.sleep"}),
        ("worker", "nowcast", "launch", {"module": "mine.high_water"}),
        ("worker", "nowcast", "launch", None),
        ("worker", "nowcast", "call action", {"key": "?Tides?predict"}),
        ("worker", "nowcast", "await run", {"run": "r1"}),
        ("worker", "nowcast", "complete step", {"token": "r1/approve//1"}),
        ("reader", "sleep", "need", "key"),
        ("agent", "nowcast", "agent", to_text(Pull("east", "i1"))),
        ("operator", "nowcast", "agent", to_text(Look())),
    ],
)
def test_what_a_role_may_ask(role, source, kind, payload):
    assert answer(role, source, kind, payload) is None


@pytest.mark.parametrize(
    ("role", "source", "kind", "payload", "words"),
    [
        ("worker", "nowcast", "cancel", {"job": "x"}, "may not ask for 'cancel'"),
        ("worker", "nowcast", "run flow", {"flow": "f"}, "may not ask for 'run flow'"),
        ("reader", "nowcast", "call action", {"key": "?T?p"}, "a reader may ask for values"),
        ("worker", "nowcast", "launch", {"module": "timeit"}, "timeit is no worker"),
        ("worker", "nowcast", "launch", {"module": "sleep", "schedule": {}}, "'launch'"),
        ("reader", "sleep", "success", None, "a reader may ask for values"),
        ("reader", "nowcast", "need", "key", "a reader may ask for values"),
        ("reader", "nowcast", "launch", {"module": "workers.sleep"}, "a reader may"),
        ("reader", "sleep", "clear checklist", None, "a reader may"),
        ("worker", "nowcast", "agent", to_text(Pull("east", "i1")), "may not ask for 'agent'"),
        ("reader", "nowcast", "agent", to_text(Look()), "a reader may"),
        ("agent", "nowcast", "agent", to_text(Pull("west", "i1")), "for no agent west"),
        ("agent", "nowcast", "agent", to_text(Look()), "an agent may register"),
        ("agent", "nowcast", "agent", to_text(Acknowledge()), "an agent may register"),
        ("agent", "nowcast", "agent", {"what": "pull"}, "is JSON text"),
        ("agent", "nowcast", "launch", {"module": "workers.sleep"}, "an agent may register"),
        ("agent", "nowcast", "cancel", {"job": "x"}, "an agent may register"),
        ("agent", "sleep", "success", None, "an agent may register"),
        ("agent", "sleep", "need", "key", "an agent may register"),
    ],
)
def test_what_it_may_not_is_refused_in_a_sentence(role, source, kind, payload, words):
    reply = answer(role, source, kind, payload)
    assert (reply.type, reply.id) == ("refused", "a1")
    assert words in reply.payload["what"]
    assert "the key east may not do that" in reply.payload["what"]
    assert reply.payload["hint"]


def test_what_cannot_be_read_is_not_passed_on():
    assert refusal("worker", "east", b"{{", registered).type == "refused"


# Pieces of which a message could be made that the quick look takes for something else.
PIECES = st.sampled_from(
    [
        '{"source": "sleep", ', "source: sleep\n", '"source": "nowcast"', "source: nowcast",
        '"type": "cancel"', "type: cancel\n", '"payload": null', "payload:\n", ", ", "}", "{",
        "\n", ": ", "? ", "&a ", "*a", "nowcast", "sleep", '"', "'", "\\u006e", "\\x73ource",
        "!!str ", "!!binary c291cmNl", "---\n", "...\n", "# ", "- ", "|\n ", "<<: ", "%YAML 1.1\n",
        "\t", "\ufeff", "\u2028", "\r",
    ]
)  # fmt: skip


def source_read(body: bytes) -> str | None:
    try:
        return Message.deserialize(body).source
    except MessageError:
        return None


@given(st.sampled_from(['{"source": "sleep", ', "source: sleep\n"]), st.lists(PIECES, max_size=12))
def test_no_request_passes_for_a_message_of_a_worker(beginning, pieces):
    body = (beginning + "".join(pieces)).encode()
    if is_plainly_of_a_worker(body):
        assert source_read(body) != "nowcast"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.just("source"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_all_forms_of_a_request_are_seen(payload, as_json):
    fields = {"source": "nowcast", "type": "cancel", "payload": payload}
    text = json.dumps(fields) if as_json else yaml.safe_dump(fields, sort_keys=False)
    assert not is_plainly_of_a_worker(text.encode())


def test_the_messages_that_are_sent_every_day_need_no_second_look():
    for payload in ({"a": 1}, {"date": __import__("datetime").date(2026, 11, 22)}):
        assert is_plainly_of_a_worker(Message("make_forecast", "success", payload).encode())
