"""What the message broker does not keep."""

from __future__ import annotations

import pytest
import zmq

from nowcast_cli.broker.refusals import refusal_of
from nowcast_cli.broker.requests import KeptRequests
from nowcast_cli.config.limits import Limits
from nowcast_cli.messages.message import Message

LIMITS = Limits(message_size=20_000, waiting_messages=2, waiting_size=30_000)


def answer(body: bytes, *kept: bytes) -> Message | None:
    requests: KeptRequests[bytes] = KeptRequests(b"run ....")
    for each in kept:
        requests.keep(b"client", each)
    refusal = refusal_of(zmq.Frame(body), requests, LIMITS)
    return None if refusal is None else Message.deserialize(refusal.reply)


@pytest.mark.parametrize("payload", [None, {1: "a date, or so"}, "ä"])
@pytest.mark.parametrize("reason", [None, "because " * 100])
def test_our_own_messages_are_known_by_their_id_and_asked_again(payload, reason):
    message = Message("first", "failure", payload, id="m1", outcome="failure", reason=reason)
    assert answer(message.encode(), b"a") is None
    busy = answer(message.encode(), b"a", b"b")
    assert busy is not None
    assert (busy.type, "limits.waiting messages allows 2" in busy.payload) == ("busy", True)


def test_who_asks_once_is_kept_while_there_is_room_for_the_bytes():
    old = b"payload: null\nsource: old\ntype: success\n"
    assert answer(old, b"a", b"b", b"c") is None
    refused = answer(old, b"x" * 15_000, b"x" * 14_990)
    assert refused is not None
    assert (refused.type, "limits.waiting size" in refused.payload) == ("busy", True)


def test_a_message_that_is_too_large_is_refused_for_good():
    refused = answer(b"x" * 20_001)
    assert refused is not None
    assert refused.type == "refused"
    assert "limits.message size allows 20 kB" in refused.payload["what"]
    assert answer(b"x" * 20_000) is None
