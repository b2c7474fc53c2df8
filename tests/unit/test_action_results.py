"""Results as performers say them, and what the manager makes of those that it cannot keep."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nowcast_cli.config.limits import DEFAULTS
from nowcast_cli.manager.action_results import results_of
from nowcast_cli.messages.performing import Result


def frame(gave: Any = None, **more: Any) -> bytes:
    return json.dumps({"id": "r/a//1", "state": "done", "gave": gave, **more}).encode()


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"x": value}
    return value


def test_what_is_within_the_limits_is_taken_as_it_is() -> None:
    gave = {"deep": nested(DEFAULTS.payload_depth - 1), "wide": [[] for _ in range(500)]}
    assert results_of([frame(gave)], DEFAULTS) == [Result("r/a//1", "done", gave)]


@pytest.mark.parametrize("depth", [DEFAULTS.payload_depth + 1, 400, 3000])
def test_what_is_too_deep_fails_its_order(depth: int) -> None:
    inner = "[" * depth + "]" * depth
    text = f'{{"id": "r/a//1", "state": "done", "gave": {inner}}}'.encode()
    (result,) = results_of([text], DEFAULTS)
    assert (result.id, result.state, result.gave) == ("r/a//1", "failed", None)
    assert "nested deeper" in str(result.reason) or "recursion" in str(result.reason)


@pytest.mark.parametrize(
    "limits", [replace(DEFAULTS, message_size=500), replace(DEFAULTS, payload_values=100)]
)
def test_what_is_too_much_fails_its_order_and_names_the_limit(limits: Any) -> None:
    (result,) = results_of([frame(list(range(300)))], limits)
    assert result.state == "failed"
    assert "limits." in str(result.reason)


@pytest.mark.parametrize(
    "text", [b'{"id":"r/a//1","state":"nonsense"}', b'{"id": "r/a//1"', b'{"id":"r/a//1"}']
)
def test_a_result_that_is_no_result_fails_its_order(text: bytes) -> None:
    (result,) = results_of([text], DEFAULTS)
    assert (result.id, result.state) == ("r/a//1", "failed")
    assert "is not understood" in str(result.reason)


def test_one_that_names_no_order_is_passed_over_and_the_next_is_taken() -> None:
    found = results_of([b"\xff", b"[]", frame(1)], DEFAULTS)
    assert [(result.id, result.gave) for result in found] == [("r/a//1", 1)]


def test_endless_reasons_and_tracebacks_are_cut() -> None:
    text = frame(reason="a" * 10_000, traceback="b" * 100_000 + "the end", state="failed")
    (result,) = results_of([text], DEFAULTS)
    assert len(str(result.reason)) == 2000
    assert str(result.traceback).endswith("the end")
    assert len(str(result.traceback)) == 50_000
