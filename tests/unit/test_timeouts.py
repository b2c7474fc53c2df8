"""Timeouts and delays, by the clock of the boot."""

from __future__ import annotations

from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.timeouts import Timeouts
from nowcast_cli.store.records import Delay


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_job_passes_its_timeout_once() -> None:
    clock, timeouts_of = Clock(), {"a": 10.0, "b": 60.0}
    timeouts = Timeouts(timeouts_of.get, clock)
    assert timeouts.due_in() is None
    timeouts.begin("old", "a", 9.0)
    timeouts.begin("new", "a", 0.0)
    timeouts.begin("long", "b", 0.0)
    timeouts.begin("free", "c", 0.0)
    assert timeouts.due_in() == 1.0
    assert list(timeouts.passed()) == []
    clock.now += 1.0
    assert list(timeouts.passed()) == [("old", 10.0)]
    timeouts.forget("new")  # it has ended
    clock.now += 20.0
    assert list(timeouts.passed()) == []
    assert timeouts.due_in() == 39.0


def test_another_timeout_holds_for_what_runs() -> None:
    clock, timeouts_of = Clock(), {"a": 3600.0}
    timeouts = Timeouts(timeouts_of.get, clock)
    timeouts.begin("job", "a", 100.0)
    timeouts_of["a"] = 60.0
    timeouts.reload()
    assert list(timeouts.passed()) == [("job", 60.0)]
    timeouts_of.clear()
    timeouts.reload()
    assert timeouts.due_in() is None


def test_a_delay_never_takes_longer_than_it_is() -> None:
    delay = Uptime("one", 500.0).after(30.0)
    assert delay == Delay(30.0, "one", 530.0)
    assert Uptime("one", 510.0).left(delay) == 20.0
    assert Uptime("one", 700.0).left(delay) == 0.0
    assert Uptime("one", 1.0).left(delay) == 30.0
    assert Uptime("another", 510.0).left(delay) == 30.0
    assert Uptime("one", 510.0).left(None) == 0.0
