"""A damaged store, before and after its repair, with a real system."""

from __future__ import annotations

import random
import shutil

import pytest

from helpers import wait_until
from nowcast_command import nowcast


def stop(system):
    for name in ("manager", "message_broker"):
        system.stop(name)


def kill(system):
    for name in ("manager", "message_broker"):
        system.kill(name)


def busy(system, first, last):
    for number in range(first, last):
        system.finish("first", {f"k{number}": "x" * 400})


def cut(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 6 // 10 + 123)


def overwrite_pages(path):
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    for page in random.Random(7).sample(range(2, pages), pages // 6):
        content[page * 4096 : (page + 1) * 4096] = bytes([page % 256]) * 4096
    path.write_bytes(content)


def zero_header(path):
    content = path.read_bytes()
    path.write_bytes(bytes(100) + content[100:])


def put_foreign_file(path):
    path.write_bytes(b"PK\x03\x04 this is no database " * 1000)


def empty(path):
    path.write_bytes(b"")


DAMAGE = [cut, overwrite_pages, zero_header, put_foreign_file, empty]


@pytest.fixture
def damaged(make_system):
    """Give a function that runs a system with a backup in it, and damages its store."""

    def make(damage):
        system = make_system(after={"first": "[]"}).start()
        busy(system, 0, 60)
        assert nowcast(system.folder, "backup").code == 0
        busy(system, 60, 120)
        ended = system.launch("second", "--payload", "{done: true}")
        system.wait_for_process_end(ended)
        running = system.launch("third", "--until", "go")
        system.wait_for_job(running, "running")
        expected = system.checklist()
        stop(system)
        damage(system.paths.database)
        return system, ended, running, expected

    return make


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda each: each.__name__)
def test_a_damaged_store_is_rebuilt_and_jobs_that_run_are_neither_lost_nor_begun_again(
    damaged, damage
):
    system, ended, running, expected = damaged(damage)
    checked = nowcast(system.folder, "store", "check")
    assert checked.code == 1
    assert "nowcast store repair" in checked.err
    if damage is not empty:  # a new system begins with an empty file
        refused = system.popen("manager")
        assert refused.wait(20) == 1
        assert "nowcast store repair" in system.log("manager.out")
    assert nowcast(system.folder, "store", "repair").code == 2  # nobody to ask

    done = nowcast(system.folder, "store", "repair", "--yes", "--json")

    assert done.code == 0, done.err
    assert done.json["messages"]["kept"] == 60
    assert (system.paths.state / done.json["set_aside"] / "nowcast.db").exists()
    assert nowcast(system.folder, "store", "check").code == 0
    system.start()
    assert system.checklist() == expected
    assert system.job(running).state == "running"
    assert system.job(ended).state == "succeeded"
    system.touch("go")
    assert system.wait_for_process_end(running).state == "succeeded"
    assert sorted(system.effects()) == sorted([(ended, "second"), (running, "third")])
    again = nowcast(system.folder, "store", "repair", "--yes")
    assert (again.code, "runs" in again.err) == (1, True)
    stop(system)
    assert "nothing to repair" in nowcast(system.folder, "store", "repair").out


def test_a_store_without_its_write_ahead_log_is_found_out_and_completed(make_system):
    system = make_system().start()
    busy(system, 0, 20)
    folder = system.paths.state
    system.checklist()
    copy = folder / "early.db"
    stop(system)
    shutil.copy(system.paths.database, copy)
    system.start()
    busy(system, 20, 40)
    expected = system.checklist()
    kill(system)
    for path in folder.glob("nowcast.db-*"):
        path.unlink()
    copy.replace(system.paths.database)

    refused = system.popen("manager")
    assert refused.wait(20) == 1
    assert "ends at message 20, but" in system.log("manager.out")
    checked = nowcast(folder.parent, "store", "check")
    assert (checked.code, "ends at message 20" in checked.out) == (1, True)
    done = nowcast(folder.parent, "store", "repair", "--yes", "--json")

    assert done.json["messages"] == {"kept": 20, "saved": 0, "missing": 20, "last": 41}
    assert done.json["checklist"].startswith("its file, up to message 40")
    system.start()
    assert system.checklist() == expected


def test_without_a_backup_the_folders_and_the_checklist_file_bring_back_what_they_can(make_system):
    system = make_system().start()
    done_job = system.launch("first", "--payload", "{tide: 3}")
    failed = system.launch("second", "--fail")
    for job in (done_job, failed):
        system.wait_for_process_end(job)
    waiting = system.launch("third", "--until", "go", "--payload", "{wind: 4}")
    system.wait_for_job(waiting, "running")
    system.checklist()
    kill(system)
    zero_header(system.paths.database)
    for path in system.paths.state.glob("nowcast.db-*"):
        path.unlink()

    done = nowcast(system.folder, "store", "repair", "--yes", "--json").json

    assert done["source"] is None
    assert sorted(done["told"]["ended"]) == sorted([done_job, failed])
    assert done["told"]["going_on"] == [waiting]
    system.touch("go")
    system.start()
    assert system.wait_for_process_end(waiting).state == "succeeded"
    assert system.checklist() == {"first": {"tide": 3}, "third": {"wind": 4}}
    states = {job.id: job.state for job in system.jobs()}
    assert states == {done_job: "succeeded", failed: "failed", waiting: "succeeded"}
    assert len(system.ran()) == 3


def test_a_message_that_is_repeated_after_the_repair_has_no_second_effect(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    system.tell("first", "success", {"tide": 1}, id="once")
    [job] = wait_until(system.jobs, what="what follows")
    system.wait_for_process_end(job.id)
    for number in range(100):
        system.finish("third", {f"k{number}": "x" * 400})
    stop(system)
    cut(system.paths.database)

    done = nowcast(system.folder, "store", "repair", "--yes", "--json").json

    assert done["messages"]["saved"] > 0, "the beginning of the file can be read"
    system.start()
    assert system.tell("first", "success", {"tide": 2}, id="once").type == "ack"
    assert system.checklist()["first"] == {"tide": 1}
    assert system.ran() == ["second"]


def test_a_message_in_an_outbox_is_taken_in_after_the_repair(make_system):
    system = make_system(settings={"messages": {"deadline": 1}}).start()
    job = system.launch("first", "--until", "go", "--payload", "{tide: 5}")
    system.wait_for_job(job, "running")
    system.checklist()
    kill(system)
    system.touch("go")
    folder = system.job_folder(job)
    wait_until((folder / "exit").exists, timeout=20, what="the worker to give up")
    for path in system.paths.state.glob("nowcast.db-*"):  # else all of it would come from there
        path.unlink()
    put_foreign_file(system.paths.database)

    done = nowcast(system.folder, "store", "repair", "--yes", "--json").json

    assert done["told"]["taken_in"] == [job]
    system.start()
    assert system.wait_for_process_end(job).state == "succeeded"
    assert system.checklist() == {"first": {"tide": 5}}
