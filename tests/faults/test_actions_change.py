"""What changes while actions are carried out: definitions, mappings, who is there, the disk."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from action_runs import DAEMONS, ActionSystem, Follower, violations
from helpers import wait_until

MANY = 30
OLD: dict[str, Any] = {
    "steps": {
        "get": {"action": "?Lab?work"},
        "gate": {"action": "?Lab?gate", "after": "get"},
        "make": {"action": "?Lab?work", "after": "gate"},
    }
}
NEW: dict[str, Any] = {
    "steps": {
        "gate": {"action": "?Lab?gate"},
        "other": {"action": "?Lab?work", "after": "gate"},
    }
}
SHORT: dict[str, Any] = {"steps": {"get": {"action": "?Lab?work", "timeout": 0.5}}}


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Any]:
    made: list[ActionSystem] = []

    def make(flows: dict[str, Any], folder: Path | None = None) -> ActionSystem:
        made.append(ActionSystem(folder or tmp_path / "lab", flows))
        return made[-1]

    yield make
    for each in made:
        each.end()


def wait_until_at_the_gate(system: ActionSystem) -> None:
    """Wait until both action workers are, where they stay."""

    def there() -> bool:
        return sum(step == "gate" for _, step, _ in system.lines()) == 2

    wait_until(there, timeout=60, what="runs to be at the gate")


@pytest.mark.parametrize("killed", [(), DAEMONS], ids=lambda names: "+".join(names))
def test_runs_follow_the_definition_with_which_they_began(make_lab, killed) -> None:
    system = make_lab({"it": OLD}).begin()
    old = system.run_many(["it"] * MANY)
    wait_until_at_the_gate(system)
    system.settings["flows"]["it"] = NEW
    system.write_config()
    assert system.request("reload").type == "ack"
    new = system.run_many(["it"] * MANY)
    for name in killed:
        system.kill(name)
    if killed:
        system.begin(*killed)
    system.touch("go")
    system.wait_for_runs()
    assert list(violations(system, [*old, *new])) == []
    steps = {run.id: {step for step, _ in run.steps} for run in system.runs().values()}
    assert all(steps[run] == {"get", "gate", "make"} for run in old)
    assert all(steps[run] == {"gate", "other"} for run in new)


def test_an_action_that_nobody_carries_out_any_more_fails_its_step_and_no_other(make_lab) -> None:
    system = make_lab({"it": OLD, "gate": {"steps": {"gate": {"action": "?Lab?gate"}}}}).begin()
    run, good = system.run_many(["it", "gate"])
    wait_until_at_the_gate(system)
    system.map({"?Lab?gate": "parts.gate"})
    assert system.request("reload").type == "ack"
    system.touch("go")
    ended = system.wait_for_run(run)
    assert {step: record.state for (step, _), record in ended.steps.items()} == {
        "get": "done", "gate": "done", "make": "failed",
    }  # fmt: skip
    assert "nobody carries out ?Lab?work" in ended.steps["make", None].reason
    assert system.wait_for_run(good).state == "done"


def test_without_action_workers_runs_wait_and_none_fails_however_long(make_lab) -> None:
    """The timeout of the steps is half a second: what waits for room does not use it up.

    A minute is as good as three seconds for it: nobody counts the time.
    """
    system = make_lab({"short": SHORT}).begin("message_broker", "manager")
    asked = system.run_many(["short"] * MANY)
    time.sleep(3)  # the time is what is tried
    assert system.open_runs() == MANY
    system.begin("action_workers")
    system.wait_for_runs()
    assert list(violations(system, asked)) == []
    assert {each.attempt for run in system.runs().values() for each in run.steps.values()} == {1}

    system.kill("action_workers")
    asked += system.run_many(["short"] * MANY)
    system.restart("manager")
    system.restart("message_broker")
    system.begin("action_workers")
    system.wait_for_runs()
    assert list(violations(system, asked)) == []


def test_who_follows_late_or_does_not_read_for_long_is_told_of_each_end_once(make_lab) -> None:
    """One stalls while all happens; the other comes when all is over, and asks from the start."""
    system = make_lab({"short": SHORT}).begin()
    stalled = Follower(system)
    asked = system.run_many(["short"] * 5 * MANY)
    system.wait_for_runs()
    with stalled, Follower(system, since={"flows": 0}) as late:
        for follower in (stalled, late):
            assert follower.ends_of(len(asked)) == dict.fromkeys(asked, 1)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of eight megabytes at the state directory of a system to be made."""
    with tempfile.TemporaryDirectory(prefix="full-") as base:
        folder = Path(base) / "lab" / "var"
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
        mounted = subprocess.run(command, capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        yield folder
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_with_a_full_disk_under_the_store_actions_wait_and_none_is_done_twice(
    make_lab, small_disk: Path
) -> None:
    system = make_lab({"it": OLD}, small_disk.parent).begin().supervise()
    asked = system.run_many(["it"] * MANY)
    wait_until_at_the_gate(system)
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    system.touch("go")
    wait_until(lambda: (system.health() or {}).get("trouble"), what="the manager to notice")
    assert system.open_runs() == MANY
    system.strike("action worker")
    system.strike("manager")
    (small_disk / "filler").unlink()
    system.wait_for_runs()
    assert list(violations(system, asked)) == []
