"""`nowcast schedule`, and what `reload` and `status` say of the schedule."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from helpers import wait_until
from nowcast_command import Done, nowcast
from systems import MakeSystem, System

TORONTO = {**os.environ, "TZ": "America/Toronto"}
ITEMS: list[dict[str, Any]] = [
    {"workers.first": {"every": "day", "at": "05:15", "cmd line opts": "--sleep 0"}},
    {"second": {"name": "often", "every": "20 min", "time zone": "UTC"}},
]


def schedule(system: System, *arguments: str) -> Done:
    return nowcast(system.folder, "schedule", *arguments, env=TORONTO)


@pytest.fixture
def down(make_system: MakeSystem) -> System:
    return make_system(settings={"scheduled workers": ITEMS})


@pytest.fixture
def up(down: System) -> System:
    down.start().start("scheduler")
    wait_until(lambda: down.health("scheduler"), what="the scheduler")
    return down


def test_the_list_is_there_with_every_daemon_down(down: System) -> None:
    done = schedule(down, "list")
    assert done.code == 0
    header, first, often = done.out.splitlines()
    assert header.split() == ["ITEM", "WHEN", "NEXT", "LAST", "JOB"]
    assert first.startswith("first  every day at 05:15")
    assert " 05:15:00  in " in first
    assert often.startswith("often  every 20 min UTC")
    assert "time zone America/Toronto (UTC-0" in done.err
    assert "the scheduler does not run" in done.err


def test_the_list_in_json_has_instants_in_utc(down: System) -> None:
    listed = schedule(down, "list", "--json").json
    assert (listed["time zone"], listed["scheduler"]) == ("America/Toronto", "stopped")
    first, often = listed["items"]
    assert first["next"].endswith(":15:00+00:00")
    assert (first["arguments"], first["paused"], first["job"]) == (["--sleep", "0"], None, None)
    coming = datetime.fromisoformat(often["next"]) - datetime.now(UTC)
    assert 0 < coming.total_seconds() <= 1200


def test_the_next_launches_of_all_items_come_in_order(down: System) -> None:
    launches = schedule(down, "next", "-n", "80", "--json").json["launches"]
    times = [launch["at"] for launch in launches]
    assert times == sorted(times)
    assert len(times) == 80
    assert {launch["item"] for launch in launches} == {"first", "often"}
    done = schedule(down, "next", "-n", "2")
    assert len(done.out.splitlines()) == 3


def test_a_mistake_in_an_item_is_told_with_its_line(make_system: MakeSystem) -> None:
    system = make_system(settings={"scheduled workers": [*ITEMS, {"third": {"every": "dya"}}]})
    done = schedule(system, "list")
    assert done.code == 0
    assert len(done.out.splitlines()) == 3
    assert "nowcast.yaml:" in done.err
    assert "scheduled workers[2].third.every: must be day" in done.err


def test_an_item_is_launched_by_hand_by_its_name_or_its_worker(up: System) -> None:
    done = schedule(up, "run", "second")
    assert done.out.startswith("launched second (job ")
    wait_until(lambda: up.ran() == ["second"], what="the worker to run")
    with up.reader() as reader:
        assert all(row.nominal is None for row in reader.schedule())


def test_an_item_is_paused_and_resumed(up: System) -> None:
    assert (
        schedule(up, "pause", "often")
        .out.strip()
        .endswith("nowcast schedule resume often ends that")
    )
    assert "○ paused" in schedule(up, "list").out
    launches = schedule(up, "next", "--json").json["launches"]
    assert {launch["item"] for launch in launches} == {"first"}
    done = schedule(up, "resume", "often")
    assert done.out.startswith("often goes on: ")
    assert ", in " in done.out
    again = schedule(up, "resume", "often")
    assert (again.code, again.err.splitlines()[0]) == (1, "error: often is not paused")


def test_an_unknown_item_is_refused_with_those_that_there_are(down: System) -> None:
    done = schedule(down, "pause", "offten")
    assert done.code == 4
    assert "its items are: first, often" in done.err


def test_reload_takes_in_a_changed_schedule(up: System) -> None:
    up.settings["scheduled workers"] = [{"third": {"every": "1s"}}]
    up.write_config()
    done = nowcast(up.folder, "reload")
    assert done.code == 0, done.err
    wait_until(lambda: "third" in up.ran(), what="the new item to be launched")


def test_reload_says_where_a_scheduler_is_missing(make_system: MakeSystem) -> None:
    system = make_system().start()
    system.settings["scheduled workers"] = ITEMS
    system.write_config()
    assert "nowcast start starts it" in nowcast(system.folder, "reload").err


def test_start_adds_the_scheduler_to_a_system_that_runs_without_one(
    make_system: MakeSystem,
) -> None:
    system = make_system()
    assert nowcast(system.folder, "start").out == "started message_broker, manager\n"
    manager = (system.health() or {})["pid"]
    system.settings["scheduled workers"] = [{"first": {"every": "1s"}}]
    system.write_config()
    assert nowcast(system.folder, "start").out == "started scheduler\n"
    wait_until(lambda: "first" in system.ran(), what="a launch")
    assert (system.health() or {})["pid"] == manager
    done = nowcast(system.folder, "stop")
    assert done.out.startswith("stopped scheduler, manager, message_broker")


def test_status_has_a_line_for_a_worker_that_is_overdue(make_system: MakeSystem) -> None:
    system = make_system()
    system.registry["second"]["within"] = "1s of first"
    system.write_config()
    system.start()
    assert nowcast(system.folder, "status", "--json").json["overdue"] == []
    system.finish("first")

    def late() -> list[Any]:
        return nowcast(system.folder, "status", "--json").json["overdue"]  # type: ignore[no-any-return]

    (row,) = wait_until(late, what="second to be overdue")
    assert row["worker"] == "second"
    done = nowcast(system.folder, "status")
    assert done.code != 0
    assert "✗ second is overdue: it was expected within 1 s of first" in done.out
    system.finish("second")
    assert late() == []
