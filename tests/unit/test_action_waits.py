"""For what a step waits that is an action, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nowcast_cli.cli import action_waits
from nowcast_cli.cli.action_waits import FollowedWaits, words
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord

AT_WORK = {"where": "in hand", "there": True, "takes": 2, "since": "2026-11-22T03:00:00Z"}


def record(performer: str | None = "ingest", **more: Any) -> StepRecord:
    return StepRecord("a", None, "running", performer=performer, **more)


@pytest.mark.parametrize(
    ("performer", "order", "said"),
    [
        ("", None, "waits until all services have said what they do"),
        ("ingest", None, "is for ingest"),
        (
            "ingest",
            {"where": "waiting", "there": False},
            "waits: the service ingest is not there (nowcast status ingest)",
        ),
        (
            "action_workers",
            {"where": "expected", "there": False},
            "waits: there are no action workers (nowcast start action_workers)",
        ),
        (
            "ingest",
            {"where": "waiting", "there": True, "takes": 2},
            "waits for room: ingest has the 2 that it takes at once",
        ),
        (
            "ingest",
            {"where": "waiting", "there": True, "takes": 1},
            "waits for room: ingest has the one that it takes at once",
        ),
        (
            "ingest",
            {"where": "waiting", "there": True, "takes": 0},
            "waits for room: ingest takes none now",
        ),
        (
            "ingest",
            {"where": "expected", "there": True},
            "waits for ingest to say whether it has it",
        ),
        ("ingest", {**AT_WORK, "text": "half", "fraction": 0.5}, "ingest: half (50 %)"),
        ("ingest", {**AT_WORK, "text": None, "fraction": 0.25}, "ingest: 25 %"),
        ("ingest", {**AT_WORK, "text": "soon", "fraction": None}, "ingest: soon"),
    ],
)
def test_what_is_said_of_an_order(
    performer: str, order: Mapping[str, Any] | None, said: str
) -> None:
    assert words(record(performer), order) == said


def test_an_order_in_hand_says_since_when() -> None:
    order = {**AT_WORK, "text": None, "fraction": None}
    assert words(record(), order).startswith("ingest: at work since ")


def test_who_follows_a_run_is_told_each_new_state_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, orders = [0.0], {"r/a//1": {**AT_WORK, "text": "begun", "fraction": None}}
    monkeypatch.setattr(action_waits.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(action_waits, "orders_of", lambda *_: orders)
    waits = FollowedWaits(None)  # type: ignore[arg-type]
    steps = {("a", None): record(), ("b", None): record(None)._replace(step="b")}
    run = FlowRunRecord("r", "f", "d", {}, "running", "a test", "2026", steps=steps)
    assert waits.new_lines(run) == [], "what takes less than a second is passed over"
    said = []
    for text in ("begun", "begun", "half"):
        seconds[0] += 1.0
        orders["r/a//1"] = {**AT_WORK, "text": text, "fraction": None}
        said += waits.new_lines(run)
    assert said == ["a: ingest: begun", "a: ingest: half"]
