"""Launches by the clock while parts of the system are killed around their nominal times."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import yaml

from helpers import wait_until
from systems import MakeSystem, System

SECOND = timedelta(seconds=1)


def nominals(system: System, item: str = "first") -> list[datetime]:
    """Give the nominal times for which the item was launched, in order of launch."""
    found = []
    for message in system.messages("nowcast"):
        about = yaml.safe_load(message.body or "{}").get("payload", {}).get("schedule")
        if message.type == "launch" and about and about["item"] == item:
            found.append(datetime.fromisoformat(about["nominal"]))
    return found


def is_without_gap(found: list[datetime], step: timedelta) -> bool:
    return all(later - earlier == step for earlier, later in pairwise(found))


def every_second(make_system: MakeSystem, **settings: Any) -> System:
    items = [{"workers.first": {"every": "1s", "catch up": "all", **settings}}]
    system = make_system(settings={"scheduled workers": items}).start().start("scheduler")
    wait_until(lambda: nominals(system), what="the first launch")
    return system


def assert_each_ran_once(system: System, least: int) -> None:
    def all_ran() -> bool:
        jobs = system.jobs("first")
        return all(job.state == "succeeded" for job in jobs) and len(jobs) >= least

    wait_until(all_ran, timeout=60, what="the jobs to succeed")
    found = nominals(system)
    assert is_without_gap(found, SECOND), found
    ran = Counter(job for job, _ in system.effects())
    jobs = [job.id for job in system.jobs("first")]
    assert len(jobs) == len(found)
    assert ran == Counter(jobs)


@pytest.mark.parametrize(
    "victims",
    [("scheduler",), ("manager",), ("message_broker",), ("scheduler", "manager", "message_broker")],
    ids=lambda names: " and ".join(names),
)
def test_each_time_is_launched_once_whatever_is_killed_around_it(
    make_system: MakeSystem, victims: tuple[str, ...]
) -> None:
    system = every_second(make_system)
    chance = random.Random(20261122)
    system.supervise()
    for _ in range(6):
        # killed at some distance from the second: before it, at it, and right after it
        wait_for_fraction(chance.choice((0.95, 0.99, 0.0, 0.005, 0.02)))
        for name in victims:
            system.kill(name)
        seen = len(nominals(system))
        wait_until(lambda: len(nominals(system)) > seen, timeout=30, what="the next launch")  # noqa: B023
    system.kill("scheduler", signal.SIGSTOP)
    assert_each_ran_once(system, least=7)
    system.kill("scheduler", signal.SIGCONT)


def wait_for_fraction(fraction: float) -> None:
    def is_there() -> bool:
        passed = datetime.now(UTC).microsecond / 1e6 - fraction
        return 0 <= passed < 0.05

    wait_until(is_there, what=f"{fraction} s after a full second")


def test_launches_are_late_and_not_lost_while_the_manager_is_down(make_system: MakeSystem) -> None:
    system = every_second(make_system)
    system.kill("manager")
    wait_until(
        lambda: (system.health("scheduler") or {}).get("waiting", 0) >= 3,
        what="three launches to wait",
    )
    system.start("manager")
    wait_until(lambda: (system.health("scheduler") or {}).get("waiting") == 0, what="the answers")
    os.kill(system.pid("scheduler"), signal.SIGSTOP)
    assert_each_ran_once(system, least=4)
    os.kill(system.pid("scheduler"), signal.SIGCONT)


def test_requests_of_schedulers_that_are_gone_launch_nothing_twice(make_system: MakeSystem) -> None:
    system = every_second(make_system)
    system.kill("manager")
    for _ in range(3):
        # the broker keeps what each asked last, and the next one asks for the same time again
        wait_until(lambda: (system.health("scheduler") or {}).get("waiting"), what="a request")
        system.restart("scheduler")
    wait_until(lambda: (system.health("scheduler") or {}).get("waiting"), what="a request")
    system.start("manager")
    wait_until(lambda: (system.health("scheduler") or {}).get("waiting") == 0, what="the answers")
    os.kill(system.pid("scheduler"), signal.SIGSTOP)
    assert_each_ran_once(system, least=3)
    os.kill(system.pid("scheduler"), signal.SIGCONT)


def test_what_was_due_while_everything_was_down_is_made_up_for(make_system: MakeSystem) -> None:
    system = every_second(make_system)
    for name in ("scheduler", "manager", "message_broker"):
        system.kill(name)
    down = datetime.now(UTC)
    wait_until(lambda: datetime.now(UTC) - down > 3 * SECOND, what="three seconds")
    system.start().start("scheduler")
    wait_until(lambda: nominals(system)[-1] > down + 3 * SECOND, what="a launch of now")
    os.kill(system.pid("scheduler"), signal.SIGSTOP)
    assert_each_ran_once(system, least=4)
    os.kill(system.pid("scheduler"), signal.SIGCONT)


def test_a_reload_adds_no_launches(make_system: MakeSystem) -> None:
    system = every_second(make_system)
    for count in range(1, 9):
        os.kill(system.pid("scheduler"), signal.SIGHUP)
        os.kill(system.pid("manager"), signal.SIGHUP)
        wait_until(lambda: system.log().count("schedule reloaded") == count, what="a reload")  # noqa: B023
    seen_launches = len(nominals(system))
    wait_until(lambda: len(nominals(system)) >= seen_launches + 2, what="two more launches")
    os.kill(system.pid("scheduler"), signal.SIGSTOP)
    assert_each_ran_once(system, least=3)
    os.kill(system.pid("scheduler"), signal.SIGCONT)


def test_a_launch_that_is_later_than_the_item_allows_is_passed_over(
    make_system: MakeSystem,
) -> None:
    system = every_second(make_system, within="2s")
    system.kill("manager")
    wait_until(
        lambda: (system.health("scheduler") or {}).get("waiting", 0) >= 4,
        what="four launches to wait",
    )
    system.start("manager")
    back = datetime.now(UTC)
    wait_until(lambda: nominals(system)[-1] > back, what="a launch of now")
    assert "it would be later than the item allows" in system.log()
    with system.reader() as reader:
        launches = [row for row in reader.messages(limit=None) if row.type == "launch"]
    passed_over = [row for row in launches if "job: null" in (row.reply_text or "")]
    assert len(passed_over) + len(system.jobs("first")) == len(launches)
    assert passed_over
