"""Old messages leave the journal while the system runs and while it is stopped."""

from __future__ import annotations

import sqlite3

import pytest

from nowcast_cli.store.checklist_base import base_number
from nowcast_command import nowcast
from systems import MESSAGES


@pytest.fixture
def old(make_system):
    """Give a stopped system of which 400 messages and their jobs are two years old."""
    system = make_system(settings={"retention": {"journal": "365d"}})
    system.registry["housekeeping"] = {"checklist key": "housekeeping", **MESSAGES}
    system.write_config()
    system.start()
    job = system.launch("second", "--payload", "{wind: 1}")
    system.wait_for_process_end(job)
    for number in range(400):
        system.finish("first", {f"k{number % 50}": number, "text": "x" * 2000})
    expected = system.checklist()
    for name in ("manager", "message_broker"):
        system.stop(name)
    with sqlite3.connect(system.paths.database) as store:
        store.execute("UPDATE message SET received = replace(received, '20', '19')")
        store.execute("UPDATE job SET created = '2024', ended = '2024'")
        store.execute("UPDATE event_batch SET time = replace(time, '20', '19')")
    return system, job, expected


def test_a_running_manager_cleans_its_journal_and_everything_else_stays(old):
    system, _job, expected = old
    system.start()
    newest = system.finish("third", {"now": 1})
    assert newest.type == "ack"
    expected = {**expected, "third": {"now": 1}}

    dry = nowcast(system.folder, "clean", "--dry-run", "--json")
    assert dry.json["journal"]["messages"] == 402
    done = nowcast(system.folder, "clean", "--yes", "--json")

    assert done.code == 0, done.err
    # The launch, and all but the last success of both workers.
    gone = done.json["journal"]
    assert gone.pop("batches of events") > 0
    assert gone == {"messages": 400, "jobs": 1}
    left = [(record.source, record.type) for record in system.messages()]
    assert left == [
        ("second", "success"), ("first", "success"), ("third", "success"), ("nowcast", "clean"),
    ]  # fmt: skip
    assert system.jobs() == []
    assert system.checklist() == expected
    assert base_number(system.paths.database) == 402
    assert nowcast(system.folder, "store", "check").code == 0
    system.restart()
    assert system.checklist() == expected
    shown = nowcast(system.folder, "message", "show", "402")
    assert shown.code == 0, shown.err
    assert nowcast(system.folder, "status").code == 0


def test_a_stopped_system_is_cleaned_and_gives_its_room_back(old):
    system, _, expected = old
    before = system.paths.database.stat().st_size

    done = nowcast(system.folder, "clean", "--yes")

    assert "removed 400 messages, 1 jobs and " in done.out
    assert " batches of events of the journal" in done.out
    assert system.paths.database.stat().st_size < before / 4
    assert nowcast(system.folder, "store", "check").code == 0
    system.start()
    assert system.checklist() == expected


def test_the_manager_refuses_to_clean_what_it_must_keep(system):
    system.finish("first", 1)
    for payload, said in (
        (None, "names a message and a time"),
        ({"upto": 1, "before": "soon"}, "names a message and a time"),
        ({"upto": 1, "before": "2999-01-01T00:00:00.000Z"}, "last day is always kept"),
        ({"upto": 1, "before": "2001-01-01T00:00:00.000Z"}, "base of the checklist"),
    ):
        refused = system.request("clean", payload)
        assert (refused.type, said in refused.payload["what"]) == ("refused", True)


def test_the_worker_cleans_and_makes_a_backup_once_a_day(old):
    system, *_ = old
    system.start()

    job = system.launch("nowcast_cli.workers.housekeeping", "--backups", "2")

    assert system.wait_for_process_end(job, timeout=60).state == "succeeded", system.log()
    told = system.checklist()["housekeeping"]
    assert told["removed"]["messages"] == 400
    assert told["backup"]["file"].startswith(str(system.paths.state / "backups"))
    assert len([record for record in system.messages() if record.received < "2020"]) == 2
