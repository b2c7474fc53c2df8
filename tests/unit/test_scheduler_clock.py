"""The scheduler through nights asleep, changes of the hour and clocks that are set, on a set clock.

The store is a real one, written as the manager writes it; only the way to the manager is not there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
import yaml

from nowcast_cli.config import Config
from nowcast_cli.config.ensembles import NO_ENSEMBLE
from nowcast_cli.config.executors import Place
from nowcast_cli.config.zones import named_zone
from nowcast_cli.manager import scheduling
from nowcast_cli.manager.state import State
from nowcast_cli.messages.message import Message
from nowcast_cli.scheduler.scheduler import Scheduler
from nowcast_cli.store.database import Store

TORONTO = named_zone("America/Toronto")
HOUR = timedelta(hours=1)


class World:
    """A clock, a manager that launches at once, and the schedulers that come and go."""

    def __init__(self, folder: Path, traveller: Any, start: datetime) -> None:
        self.file = folder / "nowcast.yaml"
        self.store = Store(folder / "nowcast.db")
        self.state = State()
        self.launched: list[datetime] = []
        self.seen: set[str] = set()
        self.manager_is_up = True
        self.waiting: list[Message] = []
        self.running = 0.0  # what a clock that nobody sets shows
        self.now = start
        self._traveller = traveller
        traveller.move_to(start, tick=False)

    def schedule(self, *items: dict[str, Any]) -> None:
        settings = [{"w.a": {"time zone": "America/Toronto", **item}} for item in items]
        self.file.write_text(yaml.safe_dump({"scheduled workers": settings}))

    def start(self) -> Scheduler:
        config = Config()
        config.load(self.file)
        logger = logging.getLogger("scheduler")
        return Scheduler(config, self.file.parent / "nowcast.db", self, logger, self.monotonic)

    def monotonic(self) -> float:
        return self.running

    def put(self, message: Message) -> None:
        self.waiting.append(message)
        self.answer()

    def answer(self) -> None:
        while self.manager_is_up and self.waiting:
            self._carry_out(self.waiting.pop(0))

    def _carry_out(self, message: Message) -> None:
        assert message.id is not None
        if message.id in self.seen:
            return
        self.seen.add(message.id)
        if message.type == "schedule":
            step = scheduling.follow(self.state, message.payload)
        else:
            step, chain = scheduling.launch(
                self.state, message.payload, now=f"{self.now:%Y-%m-%dT%H:%M:%S.000Z}",
                new_id=lambda: f"job{len(self.seen)}", worker_names={},
                place_of=lambda _worker, host: Place("local", host),
                settings_of=lambda _worker: NO_ENSEMBLE,
            )  # fmt: skip
            if chain is not None:
                self.launched.append(datetime.fromisoformat(message.payload["schedule"]["nominal"]))
        self.store.commit(step.changes)
        self.state = step.state

    def passes(self, length: timedelta, *, asleep: bool = False) -> None:
        """Let time go on; a machine that is asleep does not count it."""
        self.now += length
        self.running += 0 if asleep else length.total_seconds()
        self._traveller.move_to(self.now, tick=False)

    def run(self, scheduler: Scheduler, length: timedelta) -> None:
        """Turn the scheduler for so long, as often as it asks for; at most 5 s between."""
        end = self.now + length
        while self.now < end:
            wait = scheduler.turn()
            assert 0 <= wait <= 5
            self.passes(min(timedelta(seconds=max(wait, 0.01)), end - self.now))
        scheduler.turn()

    def local(self) -> list[str]:
        return [at.astimezone(TORONTO).strftime("%d %H:%M") for at in self.launched]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    with time_machine.travel(0, tick=False) as traveller:

        def make(start: str) -> World:
            at = datetime.fromisoformat(start).replace(tzinfo=TORONTO).astimezone(UTC)
            return World(tmp_path, traveller, at)

        yield make


MakeWorld = Callable[[str], World]


def test_an_item_is_launched_at_its_time(world: MakeWorld) -> None:
    there = world("2026-11-22 05:14")
    there.schedule({"every": "day", "at": "05:15"})
    there.run(there.start(), timedelta(minutes=3))
    assert there.local() == ["22 05:15"]


def test_the_hour_that_is_skipped_and_the_one_that_comes_twice(world: MakeWorld) -> None:
    there = world("2027-03-14 01:30")
    there.schedule({"every": "day", "at": "02:30"}, {"every": "hour", "at": ":50"})
    there.run(there.start(), 2 * HOUR)
    assert there.local() == ["14 01:50", "14 03:00", "14 03:50"]


def test_the_hour_that_comes_twice(world: MakeWorld) -> None:
    there = world("2027-11-07 00:30")
    there.schedule({"every": "day", "at": "01:30"}, {"every": "hour", "at": ":50"})
    scheduler = there.start()
    there.run(scheduler, timedelta(minutes=100))  # into the second run of the hour
    assert there.local() == ["07 00:50", "07 01:30", "07 01:50"]
    there.run(there.start(), HOUR)  # started anew in it
    assert there.local() == ["07 00:50", "07 01:30", "07 01:50", "07 01:50"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, ["23 06:00"]),
        ({"catch up": "all"}, [f"23 {hour:02}:00" for hour in range(7)]),
        ({"catch up": "none"}, []),
    ],
)
def test_a_machine_that_slept(world: MakeWorld, policy: Any, expected: list[str]) -> None:
    there = world("2026-11-22 23:30")
    there.schedule({"every": "hour", **policy})
    scheduler = there.start()
    there.run(scheduler, timedelta(minutes=1))
    there.passes(7 * HOUR - timedelta(minutes=1), asleep=True)
    there.run(scheduler, timedelta(seconds=6))
    assert there.local() == expected
    there.run(scheduler, HOUR)
    assert there.local() == [*expected, "23 07:00"]


def test_a_clock_that_is_set_back_launches_nothing_twice(world: MakeWorld) -> None:
    there = world("2026-11-22 11:30")
    there.schedule({"every": "hour"})
    scheduler = there.start()
    there.run(scheduler, HOUR)
    assert there.local() == ["22 12:00"]
    there.passes(-HOUR, asleep=True)
    there.run(scheduler, 2 * HOUR)
    assert there.local() == ["22 12:00", "22 13:00"]


def test_a_clock_that_was_a_year_ahead_leaves_nothing_behind(world: MakeWorld) -> None:
    there = world("2027-11-22 11:30")
    there.schedule({"every": "hour"})
    scheduler = there.start()
    there.run(scheduler, HOUR)
    there.passes(-365 * 24 * HOUR, asleep=True)
    there.run(scheduler, HOUR)
    assert [at.year for at in there.launched] == [2027, 2026]
    there.run(there.start(), HOUR)
    assert [at.year for at in there.launched] == [2027, 2026, 2026]


def test_a_scheduler_that_is_started_again_goes_on_where_the_last_one_was(world: MakeWorld) -> None:
    there = world("2026-11-22 11:30")
    there.schedule({"every": "hour"})
    there.run(there.start(), timedelta(minutes=29))
    there.passes(timedelta(minutes=20))  # nobody is there at noon
    there.run(there.start(), timedelta(minutes=1))
    there.run(there.start(), timedelta(minutes=1))
    assert there.local() == ["22 12:00"]


def test_what_waits_for_the_manager_is_launched_late_and_once(world: MakeWorld) -> None:
    there = world("2026-11-22 11:30")
    there.schedule({"every": "hour"})
    scheduler = there.start()
    there.manager_is_up = False
    there.run(scheduler, 3 * HOUR)
    there.manager_is_up = True
    there.answer()
    assert there.local() == ["22 12:00", "22 13:00", "22 14:00"]
    there.run(there.start(), timedelta(minutes=1))
    assert len(there.launched) == 3


def test_reloading_adds_no_launch_and_loses_none(world: MakeWorld) -> None:
    there = world("2026-11-22 11:59")
    there.schedule({"every": "hour"})
    scheduler = there.start()
    for _ in range(20):
        there.run(scheduler, timedelta(seconds=7))
        scheduler.reload()
    assert there.local() == ["22 12:00"]


def test_an_item_whose_time_is_changed_makes_up_for_nothing(world: MakeWorld) -> None:
    there = world("2026-11-22 05:30")
    there.schedule({"name": "a", "every": "day", "at": "06:00"})
    scheduler = there.start()
    there.run(scheduler, timedelta(minutes=1))
    there.schedule({"name": "a", "every": "day", "at": "05:15"})
    scheduler.reload()
    there.run(scheduler, HOUR)
    assert there.local() == []
    there.schedule({"name": "a", "every": "day", "at": "06:45"})
    scheduler.reload()
    there.run(scheduler, HOUR)
    assert there.local() == ["22 06:45"]


def test_a_file_that_cannot_be_read_leaves_the_schedule_as_it_is(world: MakeWorld) -> None:
    there = world("2026-11-22 11:59")
    there.schedule({"every": "hour"})
    scheduler = there.start()
    there.file.write_text("scheduled workers: [")
    scheduler.reload()
    there.run(scheduler, timedelta(minutes=2))
    assert there.local() == ["22 12:00"]


def test_the_manager_forgets_items_that_are_no_more_and_not_that_one_is_paused(
    world: MakeWorld,
) -> None:
    there = world("2026-11-22 11:59")
    there.schedule({"name": "a", "every": "hour"}, {"name": "b", "every": "hour"})
    scheduler = there.start()
    step = scheduling.pause(there.state, {"item": "b", "timing": "x"}, "2026-11-22T16:59:00.000Z")
    there.store.commit(step.changes)
    there.state = step.state
    there.schedule({"name": "c", "every": "hour"})
    scheduler.reload()
    there.run(scheduler, timedelta(minutes=2))
    assert {row.item for row in there.store.schedule()} == {"b", "c"}
    assert there.local() == ["22 12:00"]
