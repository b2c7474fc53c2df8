"""Requests of what nobody should ask for: each is answered, and the manager lives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import zmq

from action_runs import ActionSystem

ODD: tuple[Any, ...] = (
    10**19, -(10**19), 10**400, float("inf"), float("nan"), 1e300, -1, True, None, "", "x", "\0",
    "a/b//1", "a/b//" + "9" * 5000, "jobs:" + "9" * 18, "jobs:" + "9" * 5000, "2026-99-99", "//",
    [], [1], [[["x"]]], {}, {"a": 1}, {"jobs": 10**30}, "é" * 100, "?Lab?work", "?Lab@ASYNC?x",
)  # fmt: skip
FILE = {"name": "a.nc", "url": "file:///tmp/a.nc", "size": 1, "format": "netcdf"}
# Each with a payload, whose values are replaced one after the other.
GOOD: Mapping[str, Mapping[str, Any]] = {
    "actions": {"run": "x"},
    "await run": {"run": "x", "seconds": 0},
    "call action": {"key": "?Lab?work", "values": {}, "seconds": 60, "origin": "a test"},
    "cancel flow": {"run": "x"},
    "clean": {"upto": 1, "before": "2020-01-01T00:00:00.000Z"},
    "complete step": {"token": "a/b//1", "state": "done", "result": 1, "reason": "so"},
    "events": {"after": {"jobs": 0}, "topics": ["jobs"], "limit": 5},
    "register product": {
        "product": "sea", "reference_time": "2026-11-22T00:00:00Z", "files": [FILE],
    },
    "resume flow": {"run": "x", "from": "a"},
    "run flow": {"flow": "one", "parameters": {}, "origin": "a test"},
    "snapshot": {"of": "checklist", "keys": ["a"]},
}  # fmt: skip


def payloads(good: Mapping[str, Any]) -> Iterator[Any]:
    for odd in ODD:
        yield odd
        for key in good:
            yield {key: odd}
            yield {**good, key: odd}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActionSystem]:
    flows = {"one": {"steps": {"a": {"action": "?Lab?work"}}}}
    folder = tmp_path_factory.mktemp("lab") / "system"
    lab = ActionSystem(folder, flows, settings={"products": {"sea": {"format": "netcdf"}}})
    lab.start("message_broker", "manager")
    yield lab
    lab.end()


@pytest.mark.parametrize("kind", GOOD)
def test_whatever_is_asked_is_answered(lab: ActionSystem, kind: str) -> None:
    asked = 0
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.sndhwm = client.rcvhwm = 0
        client.connect(f"tcp://localhost:{lab.port}")
        for payload in payloads(GOOD[kind]):
            body = json.dumps({"source": "nowcast", "type": kind, "payload": payload})
            client.send_multipart([b"", body.encode()])
            asked += 1
        for each in range(asked):
            assert client.poll(30_000), f"{asked - each} of {asked} have no answer"
            client.recv_multipart()
