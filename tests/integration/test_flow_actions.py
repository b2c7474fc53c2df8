"""Flows of actions with a real broker, manager and action host, and what kills them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message
from nowcast_cli.store.reader import Reader
from nowcast_command import nowcast
from systems import MakeSystem, System

ACTIONS = """\
[actionmapping]
?T?add = parts.add
?T?fail = parts.fail
?T?hang = parts.hang
?T?mark = parts.mark
?T?until = parts.until
?T@PUBLISH?tell = parts.add
?T@ASYNC?order = parts.order
"""
PARTS = '''\
"""Components of the tests."""

import os, time
from pathlib import Path

HERE = Path(__file__).parent


def add(number: int, more: int = 1):
    return {"number": number + more}


def fail(number: int):
    raise ValueError(f"{number} is too much")


def hang():
    time.sleep(600)


def mark(context, number: int = 0):
    file = os.open(HERE / "marks.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{context.run}/{context.step}/{context.attempt}\\n".encode())
    os.close(file)
    time.sleep(0.03)
    return {"number": number + 1}


def until(context):
    (HERE / "begun").touch()
    context.progress("half of it", 0.5)
    while not (HERE / "go").exists():
        time.sleep(0.02)


def order(context, number: int):
    (HERE / "ordered").write_text(context.token)
    return {"ignored": number}
'''
STEPS = {"a": {"action": "?T?add"}}
FLOWS: dict[str, Any] = {
    "sums": {
        "parameters": {"number": 1},
        "steps": {
            "first": {"action": "?T?add"},
            "second": {"action": "?T?add", "after": "first", "values": {"number": "{first.number}",
                       "more": 10}},
            "told": {"action": "?T@PUBLISH?tell", "after": "second"},
            "ordered": {"action": "?T@ASYNC?order", "after": "told"},
            "job": {"worker": "first", "after": "ordered", "args": ["--payload", "{ordered.by}"]},
        },
    },
    "fails": {"steps": {"a": {"action": "?T?fail", "values": {"number": 3}}}},
    "hangs": {"steps": {"a": {"action": "?T?hang", "timeout": "0.5 s"}}},
    "waits": {"steps": {"a": {"action": "?T?until"}}},
    "marks": {
        "parameters": {"number": 0},
        "steps": {
            "a": {"action": "?T?mark"},
            "b": {"action": "?T?mark", "after": "a"},
            "c": {"action": "?T?mark", "after": "b", "for each": 2},
        },
    },
    "told": {"steps": {"a": {"action": "?X@PUBLISH?told", "values": {"at": "noon"}}}},
    "nobody": {"steps": {"a": {"action": "?X?nobody"}}},
}  # fmt: skip


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    system = make_system(settings={"flows": FLOWS})
    (system.folder / "actions.ini").write_text(ACTIONS)
    (system.folder / "parts.py").write_text(PARTS)
    return system.start("message_broker", "manager", "action_workers")


def ask(system: System, kind: str, payload: dict[str, Any], **more: Any) -> Message:
    with Client.of(system.config, "operator") as client:
        return client.ask(Message("nowcast", kind, payload, **more), deadline=60)


def begin(system: System, flow: str, **parameters: Any) -> str:
    reply = ask(system, "run flow", {"flow": flow, "parameters": parameters})
    assert reply.type == "ack", reply.payload
    return str(reply.payload["run"])


def await_end(system: System, run: str) -> dict[str, Any]:
    while True:
        told = ask(system, "await run", {"run": run, "seconds": 20})
        assert told.type == "ack", told.payload
        if told.payload["state"] != "running":
            payload: dict[str, Any] = told.payload
            return payload


def events_of(system: System, topic: str) -> list[dict[str, Any]]:
    reply = ask(system, "events", {"after": {topic.partition("~")[0]: 0}, "topics": [topic]})
    assert reply.type == "ack", reply.payload
    events: list[dict[str, Any]] = reply.payload["events"]
    return events


def test_values_travel_through_actions_events_orders_and_jobs(system: System) -> None:
    run = begin(system, "sums", number=5)
    wait_until(lambda: (system.folder / "ordered").exists(), timeout=60, what="the order")
    token = (system.folder / "ordered").read_text()
    assert token.startswith(f"{run}/ordered//")
    words = f"waits for: nowcast flow complete {run[-8:]}/ordered//1"
    wait_until(
        lambda: words in nowcast(system.folder, "flow", "show", run).out,
        timeout=60,
        what="the function to have returned",
    )
    (event,) = events_of(system, "sums~PUBLISH")
    assert event["topic"] == "sums~PUBLISH~~T~tell"
    assert event["payload"] == {"number": 17}
    assert (event["correlation"], event["attempt"]) == (run, 1)
    assert ask(system, "complete step", {"token": token, "result": {"by": "S"}}).type == "ack"
    told = await_end(system, run)
    assert told["state"] == "done", told
    gave = told["gave"]
    assert gave["first"] == {"number": 6}
    assert gave["second"] == {"number": 16}
    assert gave["told"] == {"number": 17}
    assert gave["ordered"] == {"by": "S"}
    assert system.checklist()["first"] == "S"


def test_what_fails_fails_its_step_in_a_sentence(system: System) -> None:
    told = await_end(system, run := begin(system, "fails"))
    assert (told["state"], told["reason"][:7]) == ("failed", "step a:")
    assert "3 is too much" in told["reason"]
    with Reader(system.paths.database) as reader:
        (record,) = reader.flow_run(run).steps.values()
    assert "in fail\n" in str(record.traceback)
    shown = nowcast(system.folder, "flow", "show", run).out
    assert "a, attempt 1\nTraceback" in shown
    assert shown.rstrip().endswith("ValueError: 3 is too much")
    told = await_end(system, begin(system, "hangs"))
    assert told["state"] == "timed out"
    refused = ask(system, "run flow", {"flow": "nobody"})
    assert refused.type == "refused"
    assert "?X?nobody" in refused.payload["what"]
    told = await_end(system, begin(system, "told"))
    assert told["gave"] == {"a": {"at": "noon"}}
    (event,) = events_of(system, "told~PUBLISH")
    assert event["payload"] == {"at": "noon"}


def test_an_action_is_called_and_says_how_far_it_is(system: System) -> None:
    call = {"key": "?T?add", "values": {"number": 2, "more": 3}, "origin": "a test"}
    first = ask(system, "call action", call, id="call-1")
    again = ask(system, "call action", call, id="call-1")
    assert first.payload == again.payload, "the same request once more begins nothing"
    assert await_end(system, first.payload["run"])["gave"] == {"number": 5}
    run = begin(system, "waits")
    wait_until(lambda: (system.folder / "begun").exists(), timeout=60, what="the begin")
    told = ask(system, "await run", {"run": run, "seconds": 0.1}).payload
    assert (told["state"], told["gave"]) == ("running", {"a": None})

    def progress() -> dict[str, Any] | None:
        (order,) = ask(system, "actions", {"run": run}).payload["orders"].values()
        return order if order["text"] else None

    order = wait_until(progress, timeout=60, what="progress")
    assert (order["performer"], order["where"]) == ("action_workers", "in hand")
    assert (order["text"], order["fraction"]) == ("half of it", 0.5)
    shown = nowcast(system.folder, "flow", "show", run).out
    assert "action_workers: half of it (50 %)" in shown
    assert ask(system, "cancel flow", {"run": run}).type == "ack"
    assert await_end(system, run)["state"] == "cancelled"
    # Its action worker was replaced: both take orders.
    runs = [begin(system, "marks") for _ in range(4)]
    assert {await_end(system, each)["state"] for each in runs} == {"done"}


@pytest.mark.parametrize("name", ["manager", "message_broker"])
def test_an_action_goes_on_while_a_daemon_is_started_anew(system: System, name: str) -> None:
    run = begin(system, "waits")
    wait_until(lambda: (system.folder / "begun").exists(), timeout=60, what="the begin")
    system.restart(name)
    system.touch("go")
    assert await_end(system, run)["state"] == "done"
    with Reader(system.paths.database) as reader:
        (record,) = reader.flow_run(run).steps.values()
    assert (record.attempt, record.performer) == (1, None)


def test_a_run_waits_for_action_workers_and_says_so(system: System) -> None:
    system.kill("action_workers")
    run = begin(system, "marks")

    def waits() -> bool:
        return "there are no action workers" in nowcast(system.folder, "flow", "show", run).out

    wait_until(waits, timeout=60, what="the performer to be called gone")
    status = nowcast(system.folder, "status").out
    words = "1 waits for action_workers to be there: nowcast start action_workers"
    assert f"actions   {words}" in status
    system.start("action_workers")
    assert await_end(system, run)["state"] == "done"


def test_whatever_is_killed_each_run_ends_once_and_each_mark_is_of_one_attempt(
    system: System,
) -> None:
    system.supervise()
    runs = [begin(system, "marks", number=n) for n in range(40)]
    for name in ("action_workers", "manager", "message_broker", "action_workers", "manager"):
        number = len(marks(system))
        wait_until(lambda: len(marks(system)) > number, timeout=60, what="progress")  # noqa: B023
        system.kill(name)
    ends = {run: await_end(system, run) for run in runs}
    assert Counter(end["state"] for end in ends.values()) == {"done": 40}
    with Reader(system.paths.database) as reader:
        attempts = {
            run: sum(step.attempt for step in reader.flow_run(run).steps.values()) for run in runs
        }
    by_run = Counter(mark.partition("/")[0] for mark in marks(system))
    for run in runs:
        assert 4 <= by_run[run] <= attempts[run], "an attempt was begun twice"
    once = [mark for mark in marks(system) if "/c/" not in mark]
    assert len(once) == len(set(once))
    ended = Counter(event["payload"]["run"] for event in events_of(system, "flows~marks~run~done"))
    assert ended == dict.fromkeys(runs, 1)


def marks(system: System) -> list[str]:
    file = system.folder / "marks.txt"
    return file.read_text().splitlines() if file.exists() else []
