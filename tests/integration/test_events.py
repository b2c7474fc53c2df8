"""Events with real daemons: each once and in order, whoever ends or joins late meanwhile."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zmq

from helpers import wait_until
from nowcast_cli import subscribe
from nowcast_cli.bus import link
from nowcast_cli.bus.subscribing import Subscription
from nowcast_cli.messages.client import NoAnswer
from nowcast_cli.messages.event import Event
from nowcast_command import begin_nowcast, nowcast
from ports import free_ports
from systems import MakeSystem, System


def of(system: System, *topics: str, **more: Any) -> Subscription:
    return subscribe(*topics, config=system.config_file, **more)


def take(subscription: Subscription, many: int) -> list[Event]:
    """Wait for so many events."""
    taken: list[Event] = []
    while len(taken) < many:
        event = subscription.next(60)
        assert event is not None, f"{len(taken)} of {many} events have come: {taken}"
        taken.append(event)
    return taken


def values(events: list[Event]) -> list[Any]:
    return [event.payload["value"] for event in events]


def is_connected(system: System) -> bool:
    return ((system.health("message_broker") or {}).get("subscribers") or 0) > 0


def test_a_subscriber_is_told_of_what_happens_with_numbers_without_gaps(system: System) -> None:
    with of(system, "checklist", "jobs") as subscription:
        wait_until(lambda: is_connected(system), timeout=30, what="the subscription")
        job = system.launch("first", "--payload", "{tide: 3}")
        system.wait_for_chain(job)
        seen = take(subscription, 4)
    by_stream = {
        stream: [e for e in seen if e.stream == stream] for stream in ("jobs", "checklist")
    }
    assert [e.topic for e in by_stream["jobs"]] == [
        "jobs~first~submitting", "jobs~first~running", "jobs~first~succeeded",
    ]  # fmt: skip
    assert [e.number for e in by_stream["jobs"]] == [1, 2, 3]
    assert all(e.correlation == job and e.attempt == 1 for e in by_stream["jobs"])
    (delta,) = by_stream["checklist"]
    assert (delta.id, delta.topic) == ("checklist:1", "checklist~first")
    assert delta.payload["value"] == {"tide": 3}


def test_who_joins_late_gets_what_was_before_and_then_what_happens(system: System) -> None:
    for number in range(5):
        system.finish("first", {"n": number})
    with of(system, "checklist~first", since={}) as subscription:
        assert [value["n"] for value in values(take(subscription, 5))] == [0, 1, 2, 3, 4]
        system.finish("first", {"n": 5})
        system.finish("second", {"n": 6})
        system.finish("first", {"n": 7})
        assert [value["n"] for value in values(take(subscription, 2))] == [5, 7]
        assert subscription.numbers["checklist"] == 8
    with of(system, "checklist", since="checklist:6") as subscription:
        assert [event.number for event in take(subscription, 2)] == [7, 8]
    with of(system, "checklist", "jobs", since=timedelta(hours=1)) as subscription:
        assert "checklist:8" in {event.id for event in take(subscription, 8)}


@pytest.mark.parametrize("daemon", ["message_broker", "manager"])
def test_nothing_is_missed_or_told_twice_when_a_daemon_is_killed(
    system: System, daemon: str
) -> None:
    numbers = iter(range(1000))
    with of(system, "checklist~first") as subscription:
        for _ in range(3):
            for _ in range(10):
                system.finish("first", {"n": next(numbers)})
            system.kill(daemon)
            system.start(daemon)
        for _ in range(10):
            system.finish("first", {"n": next(numbers)})
        seen = take(subscription, 40)
    assert [value["n"] for value in values(seen)] == list(range(40))
    assert [event.number for event in seen] == list(range(1, 41))


def test_what_was_kept_and_not_told_comes_by_a_replay(
    make_system: MakeSystem, tmp_path: Path
) -> None:
    points = tmp_path / "points"
    points.mkdir()
    prelude = f"import os; os.environ['NOWCAST_CRASH_POINTS'] = {str(points)!r}"
    system = make_system().start(prelude=prelude)
    with of(system, "checklist") as subscription:
        wait_until(lambda: is_connected(system), timeout=30, what="the subscription")
        (points / "manager.before_publishing").write_text(str(int(signal.SIGKILL)))
        with suppress(NoAnswer):  # answered before anybody is told, if the answer left in time
            system.finish("first", {"n": 0})
        wait_until(lambda: (points / "reached.log").exists(), timeout=30, what="the end")
        system.kill("manager")
        system.start("manager")
        system.finish("first", {"n": 1})
        assert [value["n"] for value in values(take(subscription, 2))] == [0, 1]


def test_a_snapshot_is_followed_by_the_changes_to_it(system: System) -> None:
    system.finish("first", {"n": 1})
    system.finish("second", {"n": 2})
    with of(system, "checklist", snapshot=True) as subscription:
        system.finish("first", {"n": 3})
        whole, delta = take(subscription, 2)
        system.request("clear checklist")
        gone = take(subscription, 2)
    assert (whole.topic, whole.number) == ("checklist", 2)
    assert whole.payload == {"first": {"n": 1}, "second": {"n": 2}}
    assert (delta.number, delta.payload["value"]) == (3, {"n": 3})
    assert {event.payload["key"] for event in gone} == {"first", "second"}
    assert all(event.payload["gone"] for event in gone)


def test_a_large_value_is_told_by_the_number_of_its_message(system: System) -> None:
    with of(system, "checklist") as subscription:
        system.finish("first", {"text": "x" * 10_000})
        (event,) = take(subscription, 1)
    assert event.payload == {"key": "first", "message": 1, "large": True}


def test_a_replay_and_a_snapshot_are_no_messages_of_the_journal(system: System) -> None:
    system.finish("first", {"n": 1})
    system.finish("first", {"n": 2})
    last = system.request("events").payload
    assert last["upto"]["checklist"] == 2
    reply = system.request("events", {"after": {"checklist": 1}}).payload
    assert [event["id"] for event in reply["events"]] == ["checklist:2"]
    assert (reply["upto"], reply["more"]) == ({"checklist": 2}, False)
    limited = system.request("events", {"after": {"checklist": 0}, "limit": 1}).payload
    assert (limited["upto"], limited["more"]) == ({"checklist": 1}, True)
    assert system.request("snapshot", {"of": "checklist"}).payload["number"] == 2
    assert system.request("snapshot", {"of": "jobs"}).type == "refused"
    assert system.request("events", {"after": 3}).type == "refused"
    assert len(system.messages()) == 2


def test_events_are_shown_with_everything_down(system: System) -> None:
    system.finish("first", {"n": 1})
    system.wait_for_chain(system.launch("second", "--fail"))
    for name in ("manager", "message_broker"):
        system.stop(name)
    done = nowcast(system.folder, "events")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[2] for line in lines if "checklist:" in line] == ["checklist:1"]
    assert any("jobs~second~failed" in line and "it was told to fail" in line for line in lines)
    some = nowcast(system.folder, "events", "--topic", "jobs~second", "-n", "2", "--json")
    found = [json.loads(line) for line in some.out.splitlines()]
    assert [event["topic"] for event in found] == ["jobs~second~running", "jobs~second~failed"]
    since = nowcast(system.folder, "events", "--since", found[0]["id"], "--topic", "jobs", "--json")
    assert [json.loads(line)["id"] for line in since.out.splitlines()] == [found[1]["id"]]
    assert nowcast(system.folder, "events", "--since", "sometimes").code == 2
    refused = nowcast(system.folder, "events", "--topic", "jobz~second")
    assert (refused.code, refused.out) == (2, "")
    assert "the stream 'jobz'; did you mean 'jobs'?" in refused.err
    late = nowcast(system.folder, "events", "--since", "jobs:999")
    assert late.code == 4
    assert "there is no event jobs:999 as yet\nhint: the last is jobs:" in late.err
    assert nowcast(system.folder, "events", "--topic", "jobs~third").err == "no such events\n"
    assert "follow them with -f" in nowcast(system.folder, "events", "--topic", "logs").err
    daemons = nowcast(system.folder, "events", "--topic", "daemons").out
    assert "  pid " in daemons
    assert "  boot " not in daemons


def test_events_are_followed_while_daemons_are_killed(system: System) -> None:
    system.finish("first", {"n": 0})
    following = begin_nowcast(system.folder, "events", "-f", "--topic", "checklist", "--json")
    said: list[dict[str, Any]] = []

    def read() -> None:
        assert following.stdout is not None
        said.extend(json.loads(line) for line in following.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until(lambda: len(said) == 1, timeout=60, what="what was before")
        for number, daemon in enumerate(("message_broker", "manager"), start=1):
            system.finish("first", {"n": number})
            system.restart(daemon)
        system.finish("first", {"n": 3})
        wait_until(lambda: len(said) == 4, timeout=60, what="what happened since")
    finally:
        following.send_signal(signal.SIGINT)
        code = following.wait(30)
        reader.join()
    assert [event["payload"]["value"]["n"] for event in said] == [0, 1, 2, 3]
    assert code == 130
    assert following.stderr is not None
    assert "Traceback" not in following.stderr.read()


def test_daemons_are_seen_to_begin_and_to_end(system: System) -> None:
    names = ("manager", "message_broker", "scheduler")
    with of(system, *(f"daemons~{name}" for name in names), since={}) as subscription:
        first = {event.topic for event in take(subscription, 2)}
        assert first == {"daemons~manager~started", "daemons~message_broker~started"}
        system.start("scheduler")
        (started,) = take(subscription, 1)
        assert (started.topic, started.payload["pid"]) == (
            "daemons~scheduler~started", system.pid("scheduler"),
        )  # fmt: skip
        system.kill("scheduler")
        assert [event.topic for event in take(subscription, 1)] == ["daemons~scheduler~ended"]
        system.stop("manager")
        assert [event.topic for event in take(subscription, 1)] == ["daemons~manager~ended"]
        system.start("manager")
        assert [event.topic for event in take(subscription, 1)] == ["daemons~manager~started"]
        system.restart("manager")
        assert [event.topic for event in take(subscription, 2)] == [
            "daemons~manager~ended", "daemons~manager~started",
        ]  # fmt: skip
    with of(system, "daemons~manager", last_values=True) as subscription:
        told = {event.topic for event in take(subscription, 2)}
    assert told == {"daemons~manager~started", "daemons~manager~ended"}


def test_a_hundred_subscribers_miss_nothing_and_a_stalled_one_harms_nobody(
    system: System,
) -> None:
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        stalled = stack.enter_context(context.socket(zmq.SUB))
        stalled.rcvhwm = 1
        stalled.subscribe(b"")
        stalled.connect(f"ipc://{system.paths.events_socket}")
        all_of_them = [stack.enter_context(of(system, "checklist~first")) for _ in range(100)]
        for number in range(30):
            system.finish("first", {"n": number})
        system.restart("message_broker")
        for number in range(30, 60):
            system.finish("first", {"n": number})
        for subscription in all_of_them:
            assert [value["n"] for value in values(take(subscription, 60))] == list(range(60))


def test_a_program_on_another_host_is_told_by_the_port_for_events_and_a_readers_key(
    make_system: MakeSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = make_system(settings={"security": "curve"})
    (system.settings["zmq"]["ports"]["events"],) = free_ports(1)
    system.write_config()
    system.start()
    file = system.keys.add("board", "reader")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = elsewhere / "nowcast.yaml"
    config.write_text(system.config_file.read_text())
    monkeypatch.setenv("NOWCAST_KEY", str(file))
    system.finish("first", {"n": 0})
    with subscribe("checklist", config=config, since={}, snapshot=True) as subscription:
        system.finish("first", {"n": 1})
        system.restart("message_broker")
        system.finish("first", {"n": 2})
        whole, *deltas = take(subscription, 3)
    assert whole.payload == {"first": {"n": 0}}
    assert [value["n"] for value in values(deltas)] == [1, 2]
    shown = nowcast(elsewhere, "events", "--topic", "checklist", "--json")
    assert [json.loads(line)["number"] for line in shown.out.splitlines()] == [1, 2, 3], shown.err


def test_log_records_are_told_as_they_come(system: System) -> None:
    with of(system, "logs~manager") as subscription:

        def heard() -> Event | None:
            system.finish("first", {"n": 1})
            return subscription.next(0.2)

        event = wait_until(heard, timeout=60, what="a record of the manager")
    assert event.fields[:2] == ("logs", "manager")
    assert event.payload["text"]


def test_a_subscriber_goes_on_with_a_store_that_was_begun_anew(system: System) -> None:
    with of(system, "checklist") as subscription:
        for number in range(5):
            system.finish("first", {"n": number})
        take(subscription, 5)
        for name in ("manager", "message_broker"):
            system.stop(name)
        for file in system.paths.state.glob("nowcast*"):
            file.unlink()
        system.start()
        system.finish("second", {"n": 0})
        (event,) = take(subscription, 1)
    assert (event.id, event.topic) == ("checklist:1", "checklist~second")


def test_a_slow_program_gets_by_a_replay_what_found_no_room(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_QUEUE", 5)
    with of(system, "checklist") as subscription:
        wait_until(lambda: is_connected(system), timeout=30, what="the subscription")
        for number in range(40):
            system.finish("first", {"n": number})
            if number == 20:
                system.restart("message_broker")
        assert [value["n"] for value in values(take(subscription, 40))] == list(range(40))
