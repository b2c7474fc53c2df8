"""Flows that begin by the clock: the scheduler asks for runs as it asks for workers."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from helpers import wait_until
from nowcast_cli.store.flow_records import FlowRunRecord
from nowcast_command import Done, nowcast
from systems import MakeSystem, System

FLOW = {
    "on": {
        "schedule": {"every": "1s", "catch up": "all", "time zone": "America/Toronto"},
        "parameters": {"day": "{schedule.date}", "at": "{schedule.time}"},
    },
    "parameters": {"day": {"type": "date"}, "at": {"type": "text"}},
    "steps": {"go": {"worker": "first", "args": ["--payload", "{at}"]}},
}


def runs(system: System) -> list[FlowRunRecord]:
    with system.reader() as reader:
        return reader.flow_runs("forecast", 1000)


def rows(system: System) -> dict[str, Any]:
    with system.reader() as reader:
        return {row.item: row for row in reader.schedule()}


def schedule(system: System, *arguments: str) -> Done:
    return nowcast(system.folder, "schedule", *arguments, env={**os.environ, "TZ": "UTC"})


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    return make_system(settings={"flows": {"forecast": FLOW}}).start()


def test_a_flow_begins_once_for_each_time_with_that_time(system: System) -> None:
    system.start("scheduler")
    wait_until(lambda: len(runs(system)) >= 3, what="three runs")
    system.restart("scheduler")
    there = len(runs(system))
    wait_until(lambda: len(runs(system)) > there, what="another run")
    instants = [datetime.fromisoformat(run.parameters["at"]) for run in reversed(runs(system))]
    steps = {later - earlier for earlier, later in pairwise(instants)}
    assert steps == {timedelta(seconds=1)}  # none twice, none left out
    assert (
        instants[0].utcoffset() == instants[0].astimezone(ZoneInfo("America/Toronto")).utcoffset()
    )
    assert runs(system)[0].parameters["day"] == str(
        datetime.fromisoformat(runs(system)[0].parameters["at"]).date()
    )
    assert runs(system)[0].origin == "schedule flow:forecast"
    row = rows(system)["flow:forecast"]
    assert row.job in {run.id for run in runs(system)}
    (listed,) = schedule(system, "list", "--json").json["items"]
    assert listed["job"]["id"] in {run.id for run in runs(system)}


def test_the_same_time_asked_for_twice_begins_one_run(system: System) -> None:
    about = {"item": "flow:forecast", "timing": "x", "nominal": "2026-11-22T05:15:00+00:00"}
    payload = {"flow": "forecast", "parameters": {"day": "today", "at": "x"}, "schedule": about}
    first, again = (_asked(system, payload) for _ in range(2))
    assert first == again
    assert [run.id for run in runs(system)] == [first["run"]]


def _asked(system: System, payload: dict[str, Any]) -> Any:
    reply = system.tell("nowcast", "run flow", payload, id="schedule-flow-1")
    assert reply.type == "ack"
    return reply.payload


def test_a_paused_flow_is_passed_over(system: System) -> None:
    assert schedule(system, "pause", "forecast").code == 0
    about = {"item": "flow:forecast", "timing": "x", "nominal": "2026-11-22T05:15:00+00:00"}
    payload = {"flow": "forecast", "parameters": {"day": "today", "at": "x"}, "schedule": about}
    assert _asked(system, payload)["what"].endswith("it is paused")
    assert runs(system) == []
    assert rows(system)["flow:forecast"].cursor == "2026-11-22T05:15:00.000Z"


def test_a_refused_run_is_told_with_its_reason(make_system: MakeSystem) -> None:
    flow = {**FLOW, "parameters": {"day": {"type": "date"}, "at": {"type": "whole"}}}
    system = make_system(settings={"flows": {"forecast": flow}}).start().start("scheduler")
    words = "flow:forecast: the manager refused: at must be a whole number"
    wait_until(lambda: words in system.log(), what="the refusal in the log")


def test_the_commands_show_a_flow_as_they_show_a_worker(make_system: MakeSystem) -> None:
    on = {"schedule": {"every": "day", "at": "05:15"}, "parameters": FLOW["on"]["parameters"]}
    system = make_system(
        settings={
            "flows": {"forecast": {**FLOW, "on": on}},
            "scheduled workers": [{"workers.first": {"every": "day", "at": "04:00"}}],
        }
    ).start()
    ran = schedule(system, "run", "forecast")
    assert ran.code == 0
    (run,) = runs(system)
    assert ran.out == f"flow forecast runs: nowcast flow show {run.id[-8:]}\n"
    assert abs(datetime.fromisoformat(run.parameters["at"]) - datetime.now(UTC)).seconds < 3600
    listed = {item["name"]: item for item in schedule(system, "list", "--json").json["items"]}
    assert set(listed) == {"flow:forecast", "first"}
    assert listed["flow:forecast"]["flow"] == "forecast"
    assert listed["flow:forecast"]["worker"] is None
    assert listed["first"]["flow"] is None
    assert "flow forecast" in schedule(system, "next").out
    assert schedule(system, "list").code == 0
