"""A crew of real action workers that the test itself drives: it looks when the test lets it."""

import logging
import os
import select
import signal
import time

import pytest

from action_hosts import effects, order, write_deployment
from helpers import wait_until
from nowcast_cli.actions.crew import Crew
from nowcast_cli.actions.worker_process import Held
from nowcast_cli.config.action_workers import ActionWorkerSettings
from nowcast_cli.messages.performing import order_text, read_result

COMPONENTS = """
import time
from pathlib import Path

def sleeps(seconds, name):
    with open(Path(__file__).parent / "effects.txt", "a") as file:
        file.write(f"{name}\\n")
    time.sleep(seconds)
"""
FOR_EVER = 1e18  # s since the boot


class Driven:
    """A crew with one worker, and what it has told."""

    def __init__(self, folder):
        self.folder = folder
        file = write_deployment(folder, COMPONENTS, {"?Test?sleeps": "parts.sleeps"})
        self.crew = Crew(ActionWorkerSettings(1), file, logging.getLogger("crew"))
        self.results = {}
        self.turn_until(lambda: self.crew.facts()["ready"] == 1)

    def turn(self):
        reading, _ = self.crew.descriptors()
        ready = select.select(reading, [], [], 0.01)[0]
        self._take(self.crew.turn(ready))

    def turn_until(self, condition):
        def holds():
            self.turn()
            return condition()

        wait_until(holds, timeout=60)

    def end(self):
        self._take(self.crew.kill())

    def _take(self, heard):
        for text in heard.results.values():
            result = read_result(text)
            assert result.id not in self.results
            self.results[result.id] = result

    def give(self, *orders):
        """Give orders: to a worker that is warm, all at once."""
        self.crew.take([Held(each, order_text(each)) for each in orders])
        self.crew.give(FOR_EVER)

    def warm(self):
        """Let it seem that the component is fast, however busy the machine is."""
        self.crew._pace.took("parts.sleeps", 0.0)

    def begun(self):
        return effects(self.folder)


def sleeps(name, seconds, allowed=60.0):
    given = order(name, "sleeps", allowed)
    return given._replace(values={"seconds": seconds, "name": name})


@pytest.fixture
def driven(tmp_path):
    made = Driven(tmp_path)
    made.warm()
    yield made
    made.end()


def test_one_that_has_begun_when_the_one_before_is_withdrawn_is_lost_and_not_begun_again(driven):
    driven.give(sleeps("first", 0.1), sleeps("second", 600))
    wait_until(lambda: "second" in driven.begun(), timeout=60)
    driven.crew.withdraw(["first"])
    driven.turn_until(lambda: "second" in driven.results)
    assert driven.results["second"].state == "lost"
    assert "first" not in driven.results
    assert driven.begun() == ["first", "second"]
    assert driven.crew.in_hand() == []


def test_one_that_ends_when_its_time_is_over_has_ended_and_the_next_is_told_apart(driven):
    driven.give(sleeps("late", 0.5, 0.1), sleeps("second", 600))
    wait_until(lambda: "second" in driven.begun(), timeout=60)
    driven.turn_until(lambda: "late" in driven.results)
    assert driven.results["late"].state == "done"
    driven.end()
    assert driven.results["second"].state == "lost"
    assert driven.begun() == ["late", "second"]


def test_what_waits_behind_a_slow_call_is_taken_back_and_begun_once(driven):
    driven.give(sleeps("slow", 600), *(sleeps(f"behind-{each}", 0) for each in range(5)))
    wait_until(lambda: "slow" in driven.begun(), timeout=60)
    assert driven.crew.facts()["in hand"] == 6
    driven.turn_until(lambda: driven.crew.facts()["waiting"] == 5)
    driven.crew.withdraw(["slow", "behind-2"])
    driven.turn_until(lambda: driven.crew.facts()["ready"] == 1)

    def all_done():
        driven.crew.give(FOR_EVER)
        return len(driven.results) == 4

    driven.turn_until(all_done)
    assert driven.begun() == ["slow", "behind-0", "behind-1", "behind-3", "behind-4"]
    assert driven.crew.in_hand() == []


def test_orders_that_were_given_too_long_ago_are_not_begun(driven):
    driven.crew.take([Held(sleeps("late", 0), order_text(sleeps("late", 0)))])
    driven.crew.give(time.clock_gettime(time.CLOCK_BOOTTIME) - 0.1)
    driven.turn_until(lambda: driven.crew.facts()["waiting"] == 1)
    assert driven.begun() == []
    driven.crew.give(FOR_EVER)
    driven.turn_until(lambda: "late" in driven.results)
    assert driven.begun() == ["late"]


def test_a_worker_that_was_killed_before_it_began_what_it_was_given_loses_nothing(driven):
    (worker,) = driven.crew._workers
    os.kill(worker.pid, signal.SIGSTOP)
    driven.give(sleeps("first", 0), sleeps("second", 0))
    os.kill(worker.pid, signal.SIGKILL)

    def all_done():
        driven.crew.give(FOR_EVER)
        return {"first", "second"} <= set(driven.results)

    driven.turn_until(all_done)
    assert {driven.results[name].state for name in ("first", "second")} == {"done"}
    assert driven.begun() == ["first", "second"]
