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

from action_runs import DAEMONS, ActionSystem, Asker, Follower, violations
from helpers import wait_until

FRESH = int(os.environ["NOWCAST_TESTS_SEED"])
RUNS = 1000
HOW = (signal.SIGKILL,) * 3 + (signal.SIGTERM,)
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
        if system.strike(name, chance.choice(HOW)):
            killed.append(name)
        if chance.random() < 0.6:
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


SERVED: dict[str, Any] = {
    "on": {"file": "in/*.nc", "settled": "0.1s", "parameters": {"path": "{file.path}"}},
    "parameters": {"path": "none"},
    "steps": {
        "get": {"action": "?Serve?work"},
        "make": {"action": "?Lab?work", "after": "get", "values": LOOK},
        "tell": {"action": "?Serve?work", "after": "make", "values": LOOK},
    },
}
POINTS_OF_OTHERS = (
    "service.received", "service.carried_out", "service.told",
    "file_watcher.found", "file_watcher.answered", "file_watcher.remembered",
)  # fmt: skip


def test_a_file_begins_one_run_and_a_service_does_its_steps_once_wherever_they_are_killed(
    make_lab,
) -> None:
    service = {"lab": {"command": "python serve.py", "actions": ["?Serve?work"]}}
    system = make_lab(flows={"served": SERVED}, settings={"services": service})
    files = system.folder / "in"
    files.mkdir()
    system.begin(*DAEMONS, "file_watcher", "service").supervise()
    chance = random.Random(FRESH)
    points = chance.sample(POINTS_OF_OTHERS, len(POINTS_OF_OTHERS))
    made = 0
    for point in points:
        system.arm(point)

        def another_file(point: str = point) -> bool:
            nonlocal made
            made += 1
            (files / f"{made}.part").touch()
            (files / f"{made}.part").rename(files / f"{made}.nc")
            time.sleep(chance.uniform(0.0, 0.05))
            return not system.is_armed(point)

        wait_until(another_file, timeout=60, what=point)
    wait_until(lambda: len(system.runs()) >= made, timeout=60, what="a run for each file")
    system.wait_for_runs()
    runs = system.runs()
    of_files = Counter(Path(str(run.parameters["path"])).name for run in runs.values())
    assert of_files == {f"{number}.nc": 1 for number in range(1, made + 1)}, f"seed {FRESH}"
    assert list(violations(system, list(runs))) == [], f"seed {FRESH}, {points}"
    assert system.reached() == points
