"""A performer's link to the subject, whose part the tests play by a bare ROUTER."""

import json
from contextlib import contextmanager

import pytest
import zmq

from helpers import wait_until
from nowcast_cli.bus.performer_link import SOCKET_NAME, PerformerLink
from nowcast_cli.messages.performing import (
    ALIVE,
    ASK_HELLO,
    FENCE,
    Acknowledged,
    Done,
    Hello,
    Progress,
    Result,
    Welcome,
    frames_of,
    from_performer,
    result_text,
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class World:
    """A link and the other end of it."""

    def __init__(self, context, run):
        self.context, self.run = context, run
        self.clock = Clock()
        self.in_hand = []
        self.for_owner = []
        self.listen()
        self.link = PerformerLink(
            context, run, "action_workers", 8, "mapping", lambda: self.in_hand, self.clock
        )

    def listen(self):
        self.router = self.context.socket(zmq.ROUTER)
        self.router.bind(f"ipc://{self.run / SOCKET_NAME}")

    def turn(self):
        self.clock.now += 0.001
        self.for_owner += self.link.turn()

    def hear(self, kind):
        """Give the next word of a kind that the link says; what else it says is passed over."""
        found = []

        def heard():
            self.turn()
            while self.router.poll(5):
                self.identity, *frames = self.router.recv_multipart()
                if frames[0] == kind:
                    found.append(frames)
                    return True
            return False

        wait_until(heard, timeout=30)
        return from_performer(found[0])

    def say(self, *frames):
        self.router.send_multipart([self.identity, *frames])

    def until(self, condition):
        def holds():
            self.turn()
            return condition()

        wait_until(holds, timeout=30)

    def welcome(self, keep=()):
        hello = self.hear(b"hello")
        self.say(*frames_of(Welcome(keep, hello.number)))
        self.until(lambda: self.link.is_welcome)
        return hello


@pytest.fixture
def world(tmp_path):
    with World_of(tmp_path) as made:
        yield made


@contextmanager
def World_of(tmp_path):  # noqa: N802
    context = zmq.Context()
    made = World(context, tmp_path)
    try:
        yield made
    finally:
        made.link.close()
        made.router.close(0)
        context.destroy(0)


def _result(name):
    return {name: result_text(Result(name, "done"))}


def test_it_says_who_it_is_until_it_is_welcomed(world):
    world.in_hand = ["a"]
    first = world.hear(b"hello")
    assert isinstance(first, Hello)
    assert (first.name, first.takes, first.serves, first.has) == (
        "action_workers",
        8,
        "mapping",
        ("a",),
    )
    world.clock.now += 10
    second = world.hear(b"hello")
    assert second.number == first.number + 1
    world.say(*frames_of(Welcome((), first.number)))
    world.say(*frames_of(Welcome(("a",), second.number)))
    world.until(lambda: world.link.is_welcome)
    assert [json.loads(frames[1])["keep"] for frames in world.for_owner] == [["a"]]


def test_nothing_may_begin_before_a_welcome_and_after_a_silence(world):
    world.turn()
    assert not world.link.may_begin()
    world.welcome()
    assert world.link.may_begin()
    world.clock.now += FENCE + 0.1
    assert not world.link.may_begin()

    def answered():
        world.hear(ALIVE)
        world.say(ALIVE)
        world.turn()
        world.clock.now += 0.5
        return world.link.may_begin()

    wait_until(answered, timeout=30)


def test_a_late_answer_counts_from_when_it_was_asked_for(world):
    world.welcome()
    before = world.link.begin_until

    def answered():
        world.clock.now += 1
        world.hear(ALIVE)
        world.say(ALIVE)
        world.turn()
        return world.link.begin_until > before

    wait_until(answered, timeout=30)
    world.clock.now += 1.5
    world.hear(ALIVE)
    asked = world.clock.now
    world.clock.now += FENCE - 0.5
    before = world.link.begin_until
    world.say(ALIVE)
    world.until(lambda: before < world.link.begin_until <= asked + FENCE)


def test_results_are_said_again_until_they_are_acknowledged(world):
    world.link.done(_result("early"))
    hello = world.welcome()
    assert hello.has == ("early",)
    assert [each.id for each in world.hear(b"done").results] == ["early"]
    world.link.done(_result("late"))
    assert [each.id for each in world.hear(b"done").results] == ["late"]
    world.say(*frames_of(Acknowledged(("early",))))
    world.until(lambda: world.link.kept == 1)
    world.say(ASK_HELLO)
    world.until(lambda: not world.link.is_welcome)
    assert world.welcome().has == ("late",)
    assert isinstance(again := world.hear(b"done"), Done)
    assert [each.id for each in again.results] == ["late"]


def test_many_results_go_in_several_messages(world):
    world.welcome()
    names = [str(number) for number in range(600)]
    world.link.done({name: result_text(Result(name, "done")) for name in names})
    world.link.say(Progress("x", "the end"))
    heard = []
    while len(heard) < 600:
        heard += [each.id for each in world.hear(b"done").results]
    assert heard == names


def test_another_broker_in_the_place_of_the_old_one_is_told_all_again(world):
    world.welcome()
    world.link.done(_result("a"))
    world.hear(b"done")
    world.router.close(0)
    world.listen()

    def asked():
        world.clock.now += 0.2
        world.turn()
        if not world.router.poll(20):
            return False
        world.identity, *frames = world.router.recv_multipart()
        return frames == [ALIVE]

    wait_until(asked, timeout=30)
    world.say(ASK_HELLO)
    assert world.welcome().has == ("a",)
    assert [each.id for each in world.hear(b"done").results] == ["a"]
