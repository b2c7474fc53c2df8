"""Runs of flows while the daemons are killed: each ends once, and each step is done once."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.store.flow_records import FlowRunRecord
from systems import MakeSystem, System

FRESH = int(os.environ["NOWCAST_TESTS_SEED"])
RUNS = 12
FLOW: dict[str, Any] = {
    "steps": {
        "get": {"worker": "first", "args": ["--payload", "[1, 2]"]},
        "make": {"worker": "second", "after": "get", "for each": 2, "concurrency": 6},
        "check": {"worker": "third", "after": "make", "args": "--fail", "on failure": "continue"},
        "publish": {"worker": "first", "after": "check"},
    }
}
STEPS = {"get": 1, "make": 2, "check": 1, "publish": 1}


def runs_of(system: System) -> list[FlowRunRecord]:
    with system.reader() as reader:
        return reader.flow_runs(limit=2 * RUNS)


@pytest.mark.parametrize("seed", [1, FRESH])
def test_runs_end_once_while_the_daemons_are_killed(make_system: MakeSystem, seed: int) -> None:
    system = make_system(settings={"flows": {"chain": FLOW}}).start()
    draw = random.Random(seed)
    for _ in range(RUNS):
        system.request("run flow", {"flow": "chain"})
    system.supervise()
    killed: Counter[str] = Counter()
    while any(run.state == "running" for run in runs_of(system)):
        time.sleep(draw.uniform(0.1, 0.5))  # a moment by chance, not a wait for anything
        name = draw.choice(["manager", "manager", "message_broker", "launcher"])
        if sum(killed.values()) < 12 and system.health() is not None:
            system.kill(name)
            killed[name] += 1
            wait_until(lambda: system.health() is not None, timeout=30, what="the manager")
    runs = runs_of(system)
    assert len(runs) == RUNS
    assert killed, "nothing was killed while they ran"
    for run in runs:
        assert run.state == "done", f"seed {seed}: {run.reason}"
        assert Counter(step for step, _ in run.steps) == STEPS
        assert all(record.attempt == 1 for record in run.steps.values())
    done = Counter(system.ran())
    assert done == {"first": 2 * RUNS, "second": 2 * RUNS, "third": RUNS}, f"seed {seed}"
