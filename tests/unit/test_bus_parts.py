"""Who is silent, what is remembered of streams, side talk: the pure parts of the broker's bus."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.broker.performers import LONGEST_TURN, Performers
from nowcast_cli.broker.side_talk import SideTalk
from nowcast_cli.broker.streams import MOST_STATUSES, Streams, WrongNumbers
from nowcast_cli.messages.event import Event, decode_beacon, encode_event, wire_topic
from nowcast_cli.messages.performing import FENCE

# --- performers


@given(st.lists(st.tuples(st.floats(0.01, 1e6), st.booleans()), max_size=30))
def test_nobody_is_gone_within_the_fence_nor_by_one_long_turn(
    turns: list[tuple[float, bool]],
) -> None:
    known = Performers()
    known.said_hello(b"one")
    silent, steps = 0.0, 0  # since the last word, the turn of which is not counted
    for seconds, says_something in turns:
        gone = known.turn(seconds)
        silent, steps = silent + seconds, steps + 1
        if gone:
            assert silent > FENCE
            assert steps * LONGEST_TURN > FENCE
            return
        if says_something:
            assert known.heard(b"one")
            silent = steps = 0


def test_who_is_silent_is_gone_once_and_not_known_until_it_says_hello() -> None:
    known = Performers()
    for identity in (b"one", b"two"):
        known.said_hello(identity)
    gone = []
    for _ in range(20):
        assert known.heard(b"two")
        gone += known.turn(0.5)
    assert gone == [b"one"]
    assert not known.heard(b"one")
    known.said_hello(b"one")
    assert known.heard(b"one")
    assert len(known) == 2


def test_a_performer_that_is_forgotten_is_not_called_gone() -> None:
    known = Performers()
    known.said_hello(b"one")
    assert known.forget(b"one")
    assert not known.forget(b"one")
    assert [known.turn(1.0) for _ in range(5)] == [[]] * 5


# --- streams


def status(topic: str, number: int) -> tuple[bytes, bytes]:
    event = Event(topic.partition("~")[0], number, "now", topic, {"at": number}, status=True)
    return wire_topic(topic), encode_event(event)


def test_the_last_value_of_what_is_a_status_is_remembered_and_of_nothing_else() -> None:
    streams = Streams()
    for number in (1, 2):
        streams.published(*status("daemons~manager", number))
    streams.published(*status("services~models", 1))
    streams.published(b"jobs~a~", encode_event(Event("jobs", 1, "now", "jobs~a", {"status": True})))
    assert list(streams.statuses(frozenset({b"daemons~"}))) == [status("daemons~manager", 2)]
    assert len(list(streams.statuses(frozenset({b""})))) == 2
    assert list(streams.statuses(frozenset({b"daemons~manager~more"}))) == []


def test_statuses_have_a_number_and_a_size_beyond_which_the_oldest_are_dropped() -> None:
    streams = Streams()
    for number in range(MOST_STATUSES + 10):
        streams.published(*status(f"daemons~d{number}", number))
    streams.published(*status("daemons~d10", 5000))
    everything = list(streams.statuses(frozenset({b""})))
    assert len(everything) == MOST_STATUSES
    assert everything[-1] == status("daemons~d10", 5000)
    assert everything[0] == status("daemons~d11", 11)
    topic, body = status("daemons~d11", 12)
    streams.published(topic, body[:-1] + b" " * 20_000 + b"}")
    assert topic not in dict(streams.statuses(frozenset({b""})))  # rather none than an old one


def test_beacons_tell_the_last_number_of_each_stream() -> None:
    streams = Streams()
    streams.told(b'{"jobs": 7, "flows": 2}')
    streams.told(b'{"jobs": 8}')
    told = [decode_beacon(body) for _, body in streams.beacons()]
    assert told == [("jobs", 8), ("flows", 2)]
    streams.forget_numbers()
    assert list(streams.beacons()) == []


@pytest.mark.parametrize(
    "wrong", [b"", b"[1]", b'{"jobs": "7"}', b'{"jobs": true}', b"\xff", b"[" * 100_000]
)
def test_numbers_that_are_none_are_refused_and_change_nothing(wrong: bytes) -> None:
    streams = Streams()
    streams.told(b'{"jobs": 7}')
    with pytest.raises(WrongNumbers):
        streams.told(wrong)
    assert [decode_beacon(body) for _, body in streams.beacons()] == [("jobs", 7)]


@given(st.binary(max_size=200))
def test_no_body_harms(body: bytes) -> None:
    streams = Streams()
    streams.published(b"x~", body + b'"status"')
    assert list(streams.statuses(frozenset({b""}))) == []


# --- side talk


class Wire:
    """Where side talk goes to; it may have no room."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.has_room = True
        self.greetings: list[bool] = []
        self.talk = SideTalk()
        self.talk.send = self.send
        self.talk.managers.happened(zmq.EVENT_ACCEPTED, 7)
        self.talk.on_greeting(self.greetings.append)

    def send(self, frames: tuple[Any, ...]) -> bool:
        if self.has_room:
            self.said.append(frames)
        return self.has_room


def test_nothing_is_said_to_a_manager_that_has_not_greeted_or_does_not_know_of_it() -> None:
    wire = Wire()
    wire.talk.tell(b"gone", b"x")
    wire.talk.greeted(b"")  # that of an older release
    wire.talk.tell(b"gone", b"x")
    assert (wire.said, wire.greetings) == ([], [])
    wire.talk.greeted(b"one")
    wire.talk.tell(b"gone", b"x")
    assert wire.said == [(b"", b"gone", b"x")]
    wire.talk.greeted(b"")  # which has taken the place of the newer one
    wire.talk.tell(b"gone", b"x")
    assert len(wire.said) == 1


def test_who_takes_the_place_of_a_manager_that_has_gone_is_told_nothing_before_it_greets() -> None:
    wire = Wire()
    wire.talk.greeted(b"one")
    wire.has_room = False
    wire.talk.tell(b"gone", b"x")
    wire.talk.managers.happened(zmq.EVENT_DISCONNECTED, 7)
    wire.talk.managers.happened(zmq.EVENT_ACCEPTED, 8)
    wire.has_room = True
    wire.talk.tell(b"broker", b"{}")
    assert not wire.talk.waits_for_room
    wire.talk.go_on()
    assert wire.said == []
    wire.talk.greeted(b"one")
    wire.talk.go_on()
    assert wire.said == [(b"", b"gone", b"x")]


def test_what_finds_no_room_is_said_later_and_in_order() -> None:
    wire = Wire()
    wire.talk.greeted(b"one")
    wire.has_room = False
    wire.talk.tell(b"performer", b"x")
    wire.has_room = True
    wire.talk.tell(b"gone", b"x")
    assert wire.talk.waits_for_room
    wire.talk.go_on()
    assert not wire.talk.waits_for_room
    assert [said[1] for said in wire.said] == [b"performer", b"gone"]


def test_of_what_waits_a_new_manager_is_told_only_who_is_gone() -> None:
    wire = Wire()
    wire.talk.greeted(b"one")
    wire.has_room = False
    for kind in (b"performer", b"gone", b"broker"):
        wire.talk.tell(kind, b"x")
    wire.has_room = True
    wire.talk.greeted(b"two")
    wire.talk.go_on()
    assert [said[1] for said in wire.said] == [b"gone"]


def test_a_greeting_is_new_by_its_manager_or_after_more_than_may_wait_was_to_be_said() -> None:
    wire = Wire()
    for greeting in (b"one", b"one", b"two", b"two"):
        wire.talk.greeted(greeting)
    assert wire.greetings == [True, False, True, False]
    wire.has_room = False
    for _ in range(2000):
        wire.talk.tell(b"performer", b"x")
    wire.talk.tell(b"gone", b"x")
    wire.has_room = True
    wire.talk.go_on()
    assert [said[1] for said in wire.said] == [*[b"performer"] * 1000, b"gone"]
    for _ in range(2):
        wire.talk.greeted(b"two")
    assert wire.greetings[4:] == [True, False]


def test_what_nobody_hears_is_not_taken() -> None:
    heard: list[list[zmq.Frame]] = []
    talk = SideTalk()
    talk.hear(b"publish", heard.append)
    frames: Callable[..., list[zmq.Frame]] = lambda *each: [zmq.Frame(one) for one in each]  # noqa: E731
    assert talk.take(frames(b"", b"publish", b"{}"))
    assert not talk.take(frames(b"", b"more", b"{}"))
    assert json.loads(heard[0][2].bytes) == {}
