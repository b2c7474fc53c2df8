"""A performer that says things twice, late, wrong or without sense: nothing is done twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import zmq

from action_runs import ActionSystem
from helpers import wait_until
from nowcast_cli.bus.performer_link import SOCKET_NAME
from nowcast_cli.messages.performing import (
    ALIVE,
    ASK_HELLO,
    Hello,
    Result,
    frames_of,
    result_text,
)

T = TypeVar("T")
KEY = "?Ghost?haunt"
FLOWS: dict[str, Any] = {"haunted": {"steps": {"it": {"action": KEY, "timeout": 60}}}}
LONE = '"\\ud800"'  # half of a character: JSON can say it, UTF-8 cannot


class Ghost:
    """A performer by hand: it says what the test says, and keeps its connection alive."""

    def __init__(self, system: ActionSystem, incarnation: str = "1") -> None:
        self.system, self.incarnation = system, incarnation
        self.orders: list[dict[str, Any]] = []
        self.acknowledged: list[str] = []
        self._seen = 0
        self._alive_at = 0.0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(f"ipc://{system.paths.run / SOCKET_NAME}")
        self._welcomes = 0

    def say(self, *frames: bytes) -> None:
        self._socket.send_multipart(frames)

    def hello(self, has: tuple[str, ...] = ()) -> Ghost:
        """Say hello, and wait until it is welcome."""
        number = self._welcomes
        said = Hello("ghost", self.incarnation, 1, 100, (KEY,), has, number + 1)
        self.say(*frames_of(said))
        self.until(lambda: self._welcomes > number, "the welcome")
        return self

    def done(self, token: str, gave: Any = None, state: Any = "done") -> None:
        """Tell an end, and wait until it is acknowledged."""
        self.tell(token, result_text(Result(token, state, gave, None, None, 0.1)))

    def tell(self, token: str, text: bytes) -> None:
        known = self.acknowledged.count(token)
        self.say(b"done", text)
        self.until(lambda: self.acknowledged.count(token) > known, "the acknowledgement")

    def order(self) -> str:
        """Wait for the next order, and give its token."""
        self._seen += 1
        self.until(lambda: len(self.orders) >= self._seen, "an order")
        return str(self.orders[self._seen - 1]["id"])

    def until(self, condition: Callable[[], T], what: str) -> T:
        def holds() -> T:
            self._turn()
            return condition()

        return wait_until(holds, timeout=60, what=what)

    def _turn(self) -> None:
        if time.monotonic() > self._alive_at:
            self._alive_at = time.monotonic() + 1
            self.say(ALIVE)
        while self._socket.poll(0):
            kind, *texts = self._socket.recv_multipart()
            if kind == b"orders":
                self.orders += map(json.loads, texts)
            elif kind == b"acknowledged":
                self.acknowledged += json.loads(texts[0])
            elif kind == b"welcome":
                self._welcomes += 1
            elif kind == ASK_HELLO and self._welcomes:
                self.hello()

    def close(self) -> None:
        self._socket.close()
        self._context.destroy(0)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActionSystem]:
    made = ActionSystem(tmp_path_factory.mktemp("ghosts") / "lab", FLOWS)
    yield made.begin("message_broker", "manager")
    made.end()


@pytest.fixture
def ghost(system: ActionSystem) -> Iterator[Ghost]:
    made = Ghost(system, incarnation=f"{time.monotonic_ns():x}").hello()
    yield made
    made.say(b"bye")
    made.close()
    ended = [name for name, process in system._processes.items() if process.poll() is not None]
    assert not ended, f"ended: {ended}"
    assert "Traceback" not in system.log("manager.out")


def test_an_end_that_is_told_again_or_otherwise_has_no_effect(ghost: Ghost) -> None:
    run = ghost.system.run_flow("haunted")
    token = ghost.order()
    ghost.done(token, {"height": 1})
    record = ghost.system.wait_for_run(run).steps["it", None]
    ghost.done(token, {"height": 1})
    ghost.done(token, {"height": 2})
    ghost.done(token, None, "failed")
    assert ghost.system.run(run).state == "done"
    assert ghost.system.run(run).steps["it", None] == record
    assert record.gave == {"height": 1}
    assert ghost.system.ends()[run] == 1


def test_an_end_of_an_attempt_that_was_lost_does_not_end_the_next_one(ghost: Ghost) -> None:
    system = ghost.system
    run = system.run_flow("haunted")
    first = ghost.order()
    ghost.incarnation += "f"
    ghost.hello()  # started anew: what it had in hand is lost
    second = ghost.order()
    assert (first[-2:], second[-2:]) == ("/1", "/2")
    ghost.done(first, "too late")
    assert system.run(run).state == "running"
    ghost.done(second, "in time")
    record = system.wait_for_run(run).steps["it", None]
    assert (record.attempt, record.gave) == (2, "in time")


@pytest.mark.parametrize(
    "token", ["", "x", "a/b//1", "ask-1", "%s/it//2", "%s/other//1", "%s/it/7/1"]
)
def test_an_end_of_what_nobody_has_ordered_is_taken_without_effect(
    ghost: Ghost, token: str
) -> None:
    run = ghost.system.run_flow("haunted")
    order = ghost.order()
    orphan = token.replace("%s", run)
    ghost.done(orphan, "boo")
    assert ghost.system.run(run).state == "running"
    ghost.done(order, "done")
    assert ghost.system.wait_for_run(run).steps["it", None].gave == "done"


@pytest.mark.parametrize(
    "gave",
    [
        LONE, f'{{"a": {LONE}}}', f"{{{LONE}: 1}}", "NaN", "-Infinity", "1e999", "1" * 5000,
        "[" * 3000 + "]" * 3000, '"\\u0000"', f'"{"x" * 300_000}"', '{"a": 1, "a": 2}', "",
    ],
    ids=lambda text: text[:12] or "nothing",
)  # fmt: skip
def test_whatever_it_gives_the_manager_lives_and_the_step_ends(ghost: Ghost, gave: str) -> None:
    run = ghost.system.run_flow("haunted")
    token = ghost.order()
    before = '{"id":%s,"state":"done","gave":%s,"seconds":1}'
    ghost.say(b"done", (before % (json.dumps(token), gave)).encode())
    ghost.hello((token,))
    if ghost.system.run(run).state == "running":  # that was no word: it says another one
        ghost.done(token, "at last")
    assert ghost.system.wait_for_run(run).state in ("done", "failed")
    assert ghost.system.ends()[run] == 1


NAN, HUGE, HALF = float("nan"), 1e308 * 10, "\ud800"
ASK = {"id": "a", "key": KEY, "values": {}, "seconds": 5}
HELLO = {
    "name": "other", "incarnation": "0", "pid": 1, "takes": 1, "serves": "mapping", "has": [],
    "number": 1,
}  # fmt: skip
FAILED = {"id": "TOKEN", "state": "failed", "reason": "no", "seconds": 1}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (b"progress", {"id": "TOKEN", "text": HALF, "fraction": 0.5}),
        (b"progress", {"id": "TOKEN", "text": "x", "fraction": NAN}),
        (b"progress", {"id": "TOKEN", "text": "x", "fraction": HUGE}),
        (b"renewed", {"id": "TOKEN", "seconds": -1e308}),
        (b"renewed", {"id": "TOKEN", "seconds": "soon"}),
        (b"ask", ASK | {"values": {"a": HALF}}),
        (b"ask", ASK | {"key": HALF}),
        (b"ask", ASK | {"seconds": NAN}),
        (b"ask", ASK | {"key": "?Nobody?x", "seconds": 1e299}),
        (b"done", FAILED | {"reason": HALF}),
        (b"done", FAILED | {"traceback": HALF, "seconds": NAN}),
        (b"done", FAILED | {"state": "perhaps"}),
        (b"done", FAILED | {"id": 5}),
        (b"done", FAILED | {"id": "a/b//" + "9" * 5000}),
        (b"done", [1]),
        (b"done", b"\xff\xfe"),
        (b"done", None),
        (b"hello", None),
        (b"hello", {}),
        (b"hello", HELLO | {"name": HALF}),
        (b"hello", HELLO | {"takes": 1e99, "serves": [""], "has": [1]}),
        (b"orders", {}),
        (b"", None),
        (b"welcome", {}),
        (b"alive", {}),
    ],
)
def test_whatever_it_says_everybody_lives_and_its_orders_end(
    ghost: Ghost, kind: bytes, text: Any
) -> None:
    run = ghost.system.run_flow("haunted")
    token = ghost.order()
    said = text if isinstance(text, bytes) else json.dumps(text).replace("TOKEN", token).encode()
    ghost.say(kind, *([] if text is None else [said]))
    if kind == b"hello":
        ghost.incarnation = f"{time.monotonic_ns():x}"
    ghost.hello((token,))
    if ghost.system.run(run).state == "running":
        ghost.done(ghost.orders[-1]["id"], "at last")
    assert ghost.system.wait_for_run(run).state in ("done", "failed")
