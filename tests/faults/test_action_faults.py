"""Flows of actions while everything is killed: each run ends once, no attempt begins twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from action_runs import ActionSystem, Asker, Follower, violations
from helpers import wait_until

FRESH = int(os.environ["NOWCAST_TESTS_SEED"])
RUNS = 1000
LOOK = {"takes": 0.004}
FLOWS: dict[str, Any] = {
    "two": {
        "steps": {
            "get": {"action": "?Lab?work", "values": LOOK},
            "make": {"action": "?Lab?work", "values": LOOK, "after": "get"},
        }
    },
    "three": {
        "steps": {
            "get": {"action": "?Lab?work", "values": LOOK},
            "left": {"action": "?Lab?work", "values": LOOK, "after": "get"},
            "right": {"action": "?Lab?work", "values": LOOK, "after": "get"},
        }
    },
}


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Any]:
    made: list[ActionSystem] = []

    def make(**options: Any) -> ActionSystem:
        made.append(ActionSystem(tmp_path / f"lab{len(made)}", **options))
        return made[-1]

    yield make
    for each in made:
        each.end()


def test_a_thousand_runs_end_once_and_no_attempt_begins_twice_whoever_is_killed(make_lab) -> None:
    system = make_lab(flows=FLOWS).begin("message_broker", "manager")
    asked = system.run_many(["two", "three"] * (RUNS // 2))
    assert system.open_runs() == RUNS
    system.begin("action_workers").supervise()
    chance = random.Random(FRESH)
    whom = ["action worker"] * 6 + ["action_workers"] * 2 + ["manager"] * 2 + ["message_broker"]
    killed = []
    while system.open_runs() and len(killed) < 30:
        time.sleep(chance.uniform(0.0, 0.4))  # the moment is what the seed decides
        name = chance.choice(whom)
        if system.strike(name):
            killed.append(name)
        if name != "action worker" and chance.random() < 0.7:
            system.wait_until_whole()
    system.wait_for_runs()
    assert list(violations(system, asked)) == [], f"seed {FRESH}, killed {killed}"
    assert len(killed) > 5


POINTS = (
    "action_host.received", "action_host.gave", "action_host.heard", "action_host.told",
    "action_worker.received", "action_worker.carried_out", "action_worker.answered",
    "broker.heard_a_performer", "broker.told_the_manager", "broker.told_a_performer",
    "broker.published",
    "manager.heard_a_performer", "manager.before_commit", "store.begun", "store.written",
    "store.committed", "manager.before_acting", "manager.acknowledged", "manager.gave_orders",
    "manager.before_publishing",
)  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_whoever_is_struck_between_an_order_and_its_effect_it_happens_once(
    make_lab, number: int
) -> None:
    """While runs begin one after the other, and somebody follows their events."""
    system = make_lab(flows=FLOWS).begin().supervise()
    chance = random.Random(FRESH)
    points = chance.sample(POINTS, len(POINTS) if number == signal.SIGKILL else 5)
    with Asker(system, ["two", "three"], 0.02) as asker, Follower(system) as follower:
        for point in points:
            system.arm(point, number)
            wait_until(lambda point=point: not system.is_armed(point), timeout=60, what=point)
            if number == signal.SIGSTOP:
                time.sleep(chance.choice([0.3, 5.0]))  # shorter and longer than a lease
                system.go_on()
            system.wait_until_whole()
    system.wait_for_runs()
    assert list(violations(system, asker.ids)) == [], f"seed {FRESH}, {points}"
    assert system.reached() == points
    ends = follower.ends_of(len(asker.ids))
    assert ends == Counter(dict.fromkeys(asker.ids, 1)), f"seed {FRESH}: events came otherwise"
