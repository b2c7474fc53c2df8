"""A disk that is full, a checklist file that cannot be written, a store that is damaged."""

import contextlib
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.cli import asking
from nowcast_cli.cli.context import System as CommandSystem
from nowcast_cli.errors import Degraded
from nowcast_cli.messages.message import Message
from nowcast_cli.store.checklist_file import read_checklist


@pytest.fixture
def small_disk():
    """Mount a file system of two megabytes at the state directory of a system to be made.

    Its path is short: the sockets of a system whose path is long are elsewhere, and have room.
    """
    base = tempfile.TemporaryDirectory(prefix="full-")
    folder = Path(base.name) / "system" / "var"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    base.cleanup()


def fill(folder):
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(small_disk, make_system):
    system = make_system(small_disk.parent, after={"first": "[NextWorker('workers.second')]"})
    system.start()
    for number in range(5):
        system.finish("third", {"n": number})
    before = system.checklist()
    fill(small_disk)
    answers = []
    payload = {"text": "x" * 20_000}
    sender = threading.Thread(
        target=lambda: answers.append(
            system.send(Message("first", "success", payload, outcome="success"), deadline=30)
        )
    )
    sender.start()
    wait_until(lambda: system.health()["trouble"], what="the manager to notice")

    assert system.health()["state"] == "in trouble"
    assert answers == []
    assert read_checklist(system.paths.checklist_file) == before
    busy = system.cpu_seconds("manager")
    time.sleep(1)  # a manager that tries again and again would use all of it
    assert system.cpu_seconds("manager") - busy < 0.3
    (small_disk / "filler").unlink()
    sender.join(20)
    assert [answer.type for answer in answers] == ["ack"]
    wait_until(lambda: system.ran() == ["second"], what="what follows")
    assert system.checklist()["first"] == payload
    assert len(system.messages("first")) == 1
    wait_until(lambda: system.health()["state"] == "ready", what="the end of the trouble")


def test_a_request_of_the_command_line_is_told_of_the_full_disk(
    small_disk, make_system, monkeypatch
):
    monkeypatch.setattr(asking, "_DEADLINE", 2.0)
    system = make_system(small_disk.parent).start()
    fill(small_disk)
    of_the_command = CommandSystem(system.config, system.paths)
    with pytest.raises(Degraded) as told:
        asking.ask_manager(of_the_command, "clear checklist", {"x": "x" * 20_000})
    assert "cannot take the clear checklist request" in told.value.what
    assert "the store cannot be written: database or disk is full" in told.value.cause
    (small_disk / "filler").unlink()
    wait_until(lambda: system.messages("nowcast"), what="the request to be met")


def test_a_manager_that_is_killed_on_a_full_disk_goes_on_from_what_was_committed(
    small_disk, make_system
):
    system = make_system(small_disk.parent).start()
    system.finish("first", {"n": 1})
    before = system.checklist()
    fill(small_disk)
    system.kill("manager")

    assert read_checklist(system.paths.checklist_file) == before
    (small_disk / "filler").unlink()
    system.start("manager")
    assert system.checklist() == before
    assert system.finish("second", 2).type == "ack"


def test_a_checklist_file_that_cannot_be_written_holds_nobody_up(system):
    system.finish("first", 1)
    file = system.paths.checklist_file
    system.checklist()
    file.unlink()
    file.mkdir()
    for number in range(20):
        assert system.finish("first", number).type == "ack"
    wait_until(lambda: system.health()["trouble"], what="the manager to notice")
    assert "the checklist file cannot be written" in system.health()["trouble"]

    file.rmdir()
    wait_until(lambda: system.health()["state"] == "ready", what="the end of the trouble")
    assert system.checklist() == {"first": 19}
    assert system.log().count("checklist file cannot be written") == 1


def test_a_store_that_is_damaged_inside_is_an_error_with_a_remedy_and_the_checklist_is_kept(system):
    system.finish("first", {"n": 1})
    for number in range(30):
        system.finish("second", {f"k{number}": "x" * 3000})
    assert system.stop("manager") == 0
    database = system.paths.database
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)

    damaged = system.popen("manager")
    assert damaged.wait(20) == 1
    said = system.log("manager.out")
    assert "cannot be used" in said
    assert "nowcast store repair" in said
    assert "Traceback" not in said
    database.rename(database.with_suffix(".damaged"))
    system.start("manager")
    assert system.tell("third", "need", "first").payload == {"n": 1}


def test_a_standby_waits_for_room_and_leads_then(small_disk, make_system):
    system = make_system(small_disk.parent, settings={"standby": True}).start().start("standby")
    assert system.finish("third", {"n": 1}).type == "ack"
    # A file that takes the place of another one later would give room back.
    assert system.checklist() == {"third": {"n": 1}}
    fill(small_disk)
    system.kill("manager")
    trouble = wait_until(
        lambda: (system.health("standby") or {}).get("trouble"), what="the standby to see"
    )
    assert "No space left" in trouble
    busy = system.cpu_seconds("standby")
    time.sleep(1)
    assert system.cpu_seconds("standby") - busy < 0.3
    (small_disk / "filler").unlink()
    wait_until(lambda: (system.health() or {}).get("state") == "ready", what="the take-over")
    assert system.health()["pid"] == system.pid("standby")
    assert system.finish("third", {"n": 2}).type == "ack"
    assert system.checklist() == {"third": {"n": 2}}
