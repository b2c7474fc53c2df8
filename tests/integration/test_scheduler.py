"""The scheduler as a process, beside a real broker and manager."""

from __future__ import annotations

from typing import Any

import pytest

from helpers import wait_until
from systems import MakeSystem, System


def scheduled(make_system: MakeSystem, *items: dict[str, Any], **settings: Any) -> System:
    """Make a running system in which these items are scheduled."""
    system = make_system(settings={"scheduled workers": list(items), **settings})
    return system.start().start("scheduler")


def launched(system: System) -> dict[str, int]:
    """Count, by request, what was launched for the schedule: each id stands once in the journal."""
    ids = [message.id for message in system.messages("nowcast") if message.type == "launch"]
    return {message_id: ids.count(message_id) for message_id in ids}


def test_items_of_both_forms_are_launched(make_system: MakeSystem) -> None:
    system = scheduled(
        make_system,
        {"workers.first": {"every": "1 s", "cmd line opts": "--payload '{tide: 3}'"}},
        {"second": {"every": "second"}},
    )
    wait_until(lambda: {"first", "second"} <= set(system.ran()), what="both to be launched")
    wait_until(lambda: system.checklist().get("first") == {"tide": 3}, what="the payload")
    job = system.jobs("first")[0]
    assert job.arguments == ("--payload", "{tide: 3}")
    with system.reader() as reader:
        rows = {row.item: row for row in reader.schedule()}
    assert set(rows) == {"first", "second"}
    assert rows["first"].nominal is not None


def test_a_mistake_in_one_item_is_told_with_its_line_and_the_others_run(
    make_system: MakeSystem,
) -> None:
    system = scheduled(
        make_system,
        {"workers.first": {"every": "dya"}},
        {"no_such_worker": {"every": "day"}},
        {"workers.second": {"every": "1s"}},
    )
    wait_until(lambda: "second" in system.ran(), what="the good item to be launched")
    health = system.health("scheduler")
    assert health is not None
    first, second = health["mistakes"]  # in the order of their lines
    assert "nowcast.yaml:" in first
    assert "scheduled workers[0].workers.first.every: must be day, hour" in first
    assert "no_such_worker" in second
    assert "scheduled workers[0].workers.first.every" in system.log()


def test_a_paused_item_is_not_launched_until_it_is_resumed(make_system: MakeSystem) -> None:
    system = scheduled(
        make_system,
        {"workers.first": {"every": "1s", "catch up": "all"}},
        {"workers.second": {"every": "1s"}},
    )

    def launches(worker: str, more: int) -> int:
        there = len(system.jobs(worker))
        wait_until(lambda: len(system.jobs(worker)) >= there + more, what=f"launches of {worker}")
        return len(system.jobs(worker))

    launches("first", 1)
    assert system.request("pause schedule", {"item": "first", "timing": "any"}).type == "ack"
    before = len(system.jobs("first"))
    launches("second", 2)
    system.restart("scheduler")
    launches("second", 2)
    assert len(system.jobs("first")) == before
    assert system.request("resume schedule", {"item": "first"}).type == "ack"
    # what was due in between is not made up for, though the item catches up
    assert launches("first", 1) <= before + 2


def test_resuming_what_is_not_paused_is_refused(make_system: MakeSystem) -> None:
    system = scheduled(make_system, {"workers.first": {"every": "day"}})
    reply = system.request("resume schedule", {"item": "first"})
    assert (reply.type, reply.payload["what"]) == ("refused", "first is not paused")


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"item": ["first"], "timing": "x", "nominal": "2026-11-22T00:00:00+00:00"},
        {"item": "first", "timing": "x", "nominal": "noon"},
        {"item": "first", "timing": "x", "nominal": "0001-01-01T00:00:00+14:00"},
        5,
    ],
)
def test_a_scheduled_launch_of_a_wrong_form_is_refused(system: System, about: Any) -> None:
    payload = {"module": "workers.first", "arguments": [], "schedule": about}
    assert system.request("launch", payload).type == "refused"
    assert system.request("schedule", {"items": 5}).type == "refused"
    assert system.request("pause schedule", about if about == 5 else {}).type == "refused"
    assert system.jobs() == []


def test_a_worker_that_is_overdue_is_in_the_journal_once(make_system: MakeSystem) -> None:
    system = make_system()
    system.registry["second"]["within"] = "1s of first"
    system.write_config()
    system.start().start("scheduler")
    system.finish("first")
    wait_until(lambda: overdue_messages(system), timeout=30, what="the overdue message")
    system.restart("scheduler")
    wait_until(lambda: "items are scheduled" in system.log(), what="the new scheduler")
    (message,) = overdue_messages(system)
    assert message.id.startswith("overdue-")
    assert "second is overdue: it was expected within 1 s of first" in (message.body or "")


def overdue_messages(system: System) -> list[Any]:
    return [message for message in system.messages("nowcast") if message.type == "overdue"]
