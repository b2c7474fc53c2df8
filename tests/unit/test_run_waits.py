"""Waiting for the end of a run: the answer is held, given once, and never for too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nowcast_cli.manager import run_waits
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.run_waits import RunWaits
from nowcast_cli.messages.message import Message
from nowcast_cli.store.flow_records import FlowRunPut, FlowRunRecord, StepRecord


class Waits:
    """Waits on runs that the test ends; ``answered`` by the client's connection."""

    def __init__(self) -> None:
        self.runs: dict[str, FlowRunRecord] = {}
        self.seconds = 0.0
        self.answered: list[tuple[bytes, Mapping[str, Any]]] = []
        self.waits = RunWaits(self.runs.get, self._answer, lambda: self.seconds)
        self._stamps = 0

    def _answer(self, arrived: Arrived, reply: bytes) -> None:
        message = Message.deserialize(reply)
        self.answered.append((arrived.envelope[0], message.payload))

    def begin(self, run: str, flow: str = "f") -> None:
        self.runs[run] = FlowRunRecord(run, flow, "d", {}, "running", "a test", "2026")

    def end(self, run: str, gave: Any) -> None:
        step = StepRecord("call", None, "done", gave=gave)
        ended = self.runs[run] = self.runs[run].__class__(
            run,
            self.runs[run].flow,
            "d",
            {},
            "done",
            "a test",
            "2026",
            steps={("call", None): step},
        )
        self.waits.act([FlowRunPut(ended)])

    def ask(self, client: bytes, run: str, seconds: Any = 20.0, id: str | None = None) -> Arrived:  # noqa: A002
        self._stamps += 1
        arrived = Arrived((client,), str(self._stamps).encode(), b"")
        payload = {"run": run, "seconds": seconds}
        self.waits.hear(arrived, Message("nowcast", "await run", payload, id=id))
        self.waits.act([])
        return arrived

    def told(self) -> list[tuple[bytes, str]]:
        told = [(client, str(payload.get("state"))) for client, payload in self.answered]
        self.answered.clear()
        return told


@pytest.fixture
def waits() -> Waits:
    waits = Waits()
    waits.begin("r")
    return waits


def test_the_answer_is_held_until_the_end(waits: Waits) -> None:
    arrived = waits.ask(b"a", "r")
    assert waits.waits.is_waiting(arrived)
    waits.ask(b"b", "r")
    assert waits.told() == []
    waits.end("r", {"x": 1})
    assert waits.answered[0][1]["gave"] == {"call": {"x": 1}}
    assert waits.told() == [(b"a", "done"), (b"b", "done")]
    assert not waits.waits.is_waiting(arrived)
    waits.ask(b"c", "r")
    assert waits.told() == [(b"c", "done")]


def test_of_a_call_the_end_tells_what_the_action_gave(waits: Waits) -> None:
    waits.begin("c", "?Tides?predict")
    waits.ask(b"a", "c")
    waits.end("c", [1, 2])
    assert waits.answered[0][1]["gave"] == [1, 2]


def test_after_its_time_the_answer_says_that_the_run_goes_on(waits: Waits) -> None:
    waits.ask(b"a", "r", 5)
    waits.ask(b"b", "r", 10**400)  # which is no float
    assert waits.waits.due_in() == 5.0
    waits.seconds = 5.0
    waits.waits.act([])
    assert waits.told() == [(b"a", "running")]
    waits.seconds = run_waits.LONGEST
    waits.waits.act([])
    assert waits.told() == [(b"b", "running")]
    assert waits.waits.due_in() is None


@pytest.mark.parametrize("seconds", [0, -1, -(10**400), "soon", float("nan"), None])
def test_who_will_not_wait_is_answered_at_once(waits: Waits, seconds: Any) -> None:
    waits.ask(b"a", "r", seconds)
    assert waits.told() == [(b"a", "running")]


def test_a_run_that_is_not_there_is_refused(waits: Waits) -> None:
    waits.ask(b"a", "nothing")
    assert waits.answered[0][1]["what"] == "there is no run 'nothing'"


def test_one_that_asks_again_is_answered_by_its_last_connection(waits: Waits) -> None:
    waits.ask(b"old", "r", id="m1")
    waits.ask(b"new", "r", id="m1")
    assert waits.told() == [(b"old", "running")]
    waits.end("r", None)
    assert waits.told() == [(b"new", "done")]


def test_asking_again_does_not_put_the_answer_off(waits: Waits) -> None:
    waits.ask(b"old", "r", 5, id="m1")
    waits.seconds = 4.0
    waits.ask(b"new", "r", 5, id="m1")
    assert waits.told() == [(b"old", "running")]
    assert waits.waits.due_in() == 1.0
    waits.seconds = 5.0
    waits.waits.act([])
    assert waits.told() == [(b"new", "running")]


def test_no_more_are_held_than_can_be(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_waits, "MOST", 2)
    for client in (b"a", b"b", b"c"):
        waits.ask(client, "r")
    assert waits.told() == [(b"c", "running")]


def test_what_is_too_deep_to_be_sent_is_refused_in_a_sentence(waits: Waits) -> None:
    gave: Any = 1
    for _ in range(100):
        gave = [gave]
    waits.ask(b"a", "r")
    waits.end("r", gave)
    assert "the answer cannot be sent" in waits.answered[0][1]["what"]
