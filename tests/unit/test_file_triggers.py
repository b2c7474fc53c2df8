"""Files that begin runs: which a pattern means, what is handed on, and when one is complete."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.errors import NowcastError
from nowcast_cli.file_watcher import looking
from nowcast_cli.file_watcher.asking import Asking
from nowcast_cli.file_watcher.candidates import Candidates, Heard
from nowcast_cli.file_watcher.hearing import Ear
from nowcast_cli.file_watcher.looking import files_of, is_written, look
from nowcast_cli.file_watcher.patterns import pattern_of
from nowcast_cli.file_watcher.triggers import FileTrigger, Look, file_triggers
from nowcast_cli.flows.yaml_flows import flows_of
from nowcast_cli.messages.message import Message
from nowcast_cli.store.network_folders import file_system_of
from nowcast_cli.store.seen_files import Memory

HERE = Path("/deployment")
TODAY = date(2026, 11, 22)


def trigger_of(file: str = "/d/*.grib2", **more: object) -> FileTrigger:
    flows, findings = flows_of(
        {"f": {"on": {"file": file, **more}, "steps": {"s": {"worker": "crop"}}}}
    )
    assert findings == []
    (found,) = file_triggers(flows, HERE)
    return found


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/d/*.grib2", "/d/a.grib2", True),
        ("/d/*.grib2", "/d/e/a.grib2", False),
        ("/d/*.grib2", "/d/.a.grib2", False),
        ("/d/.*.grib2", "/d/.a.grib2", True),
        ("/d/**/*.grib2", "/d/a.grib2", True),
        ("/d/**/*.grib2", "/d/e/f/a.grib2", True),
        ("/d/**/*.grib2", "/d/e/.f/a.grib2", False),
        ("/d/20*/[!a]?.nc", "/d/2026/bc.nc", True),
        ("/d/20*/[!a]?.nc", "/d/2026/ac.nc", False),
        ("/d/[a^]", "/d/^", True),
        ("/d/[", "/d/[", True),
        ("/d/[!]", "/d/[!]", True),
        ("/d/[!]]", "/d/a", True),
        ("/d/[z-a]", "/d/z", False),
        ("/d/a.nc", "/d/a.nc", True),
        ("/d/a.nc", "/d/aXnc", False),
        ("in/*.nc", "/deployment/in/a.nc", True),
        ("/d/*", "/d/with\nline", True),
        ("/d/*.nc", "/d/\udcff.nc", True),
    ],
)
def test_a_pattern_means_files_as_a_shell_does(pattern: str, path: str, matches: bool) -> None:
    assert pattern_of(pattern, HERE).matches(path) is matches


@pytest.mark.parametrize(
    ("pattern", "base", "depth"),
    [
        ("/d/*.grib2", "/d", 0),
        ("/d/e*/f/*.grib2", "/d", 2),
        ("/d/**/*.grib2", "/d", None),
        ("/d/a.nc", "/d", 0),
        ("*.nc", "/deployment", 0),
    ],
)
def test_a_pattern_knows_where_its_files_lie(pattern: str, base: str, depth: int | None) -> None:
    found = pattern_of(pattern, HERE)
    assert (str(found.base), found.depth) == (base, depth)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)))
def test_two_stars_find_a_file_at_any_depth(folders: list[str]) -> None:
    below = [folder for folder in folders if not folder.startswith(".")]
    assert pattern_of("/d/**/x", HERE).matches("/".join(("/d", *below, "x")))


def test_what_is_handed_on_is_of_the_path_and_of_the_expression() -> None:
    trigger = trigger_of(
        "/d/**/*.grib2",
        match=r"(?P<day>\d{8})_(?P<hour>\d\d)\.grib2",
        parameters={
            "all": "{file.path} {file.folder} {file.name} {file.stem}",
            "h": "{match.hour}",
        },
    )
    path = "/d/hrdps/20261122_06.grib2"
    assert trigger.wants(path)
    assert not trigger.wants("/d/hrdps/other.grib2")
    request = trigger.request(path, trigger.id_of(path, Look(1, 2, 3)))
    assert request.payload == {
        "flow": "f",
        "origin": f"file {path}",
        "parameters": {
            "all": f"{path} /d/hrdps 20261122_06.grib2 20261122_06",
            "h": "06",
        },
    }


def test_a_file_that_was_written_anew_is_another_one() -> None:
    trigger = trigger_of()
    ids = {
        trigger.id_of(path, seen)
        for path in ("/d/a.grib2", "/d/b.grib2")
        for seen in (Look(1, 2, 3), Look(2, 2, 3), Look(1, 3, 3), Look(1, 2, 4))
    }
    assert len(ids) == 8
    assert trigger.id_of("/d/a.grib2", Look(1, 2, 3)) in ids


class World:
    """One file, and what the kernel tells of it."""

    def __init__(self, written: bool | None) -> None:
        self.candidates = Candidates()
        self.trigger = trigger_of()
        self.look: Look | None = Look(1, 1, 1)
        self.written = written

    def heard(self, *words: Heard, at: float) -> None:
        for word in words:
            self.candidates.heard(self.trigger, "/d/a.grib2", word, at)

    def complete(self, at: float) -> bool:
        return bool([*self.candidates.complete(lambda _: self.look, lambda _: self.written, at)])


def test_a_file_that_was_renamed_into_place_is_complete_at_once() -> None:
    world = World(written=True)
    world.heard("renamed", at=0.0)
    assert world.complete(0.0)
    assert not world.complete(100.0)


def test_a_file_that_is_written_again_where_it_was_renamed_to_is_not_complete() -> None:
    world = World(written=None)
    world.heard("renamed", "opened", "written", at=0.0)
    assert not world.complete(5.0)
    world.heard("closed", at=5.0)
    assert world.complete(7.0)


def test_a_file_that_is_written_in_place_is_complete_when_it_was_closed_and_settled() -> None:
    world = World(written=None)
    world.heard("made", "opened", "written", at=0.0)
    assert not world.complete(10.0)  # it is open
    world.heard("closed", at=10.0)
    assert not world.complete(11.9)
    world.look = Look(1, 2, 2)
    assert world.complete(12.0)


def test_a_file_that_the_kernel_says_is_open_is_not_complete_whatever_was_told() -> None:
    world = World(written=True)
    world.heard("made", "opened", "closed", at=0.0)
    assert not world.complete(10_000.0)
    world.written = False
    assert world.complete(10_002.0)


def test_a_file_that_was_found_is_complete_when_it_stays_as_it_is() -> None:
    world = World(written=None)
    assert world.candidates.found(world.trigger, "/d/a.grib2", Look(1, 1, 1), 0.0)
    assert not world.candidates.found(world.trigger, "/d/a.grib2", Look(1, 1, 1), 1.0)
    world.look = Look(1, 5, 5)
    assert not world.complete(2.0)
    assert world.complete(4.0)


def test_a_file_that_was_linked_into_place_needs_nobody_to_close_it() -> None:
    world = World(written=None)
    world.heard("made", at=0.0)
    assert world.complete(2.0)


def test_a_reader_makes_no_candidate_and_ends_no_writing() -> None:
    world = World(written=None)
    world.heard("opened", "closed unwritten", at=0.0)
    assert len(world.candidates) == 0
    world.heard("made", "opened", "written", at=0.0)
    world.heard("opened", at=1.0)
    assert not world.complete(5.0)
    assert world.complete(1000.0)  # that it was closed was lost


def test_a_file_that_goes_again_is_let_go_of() -> None:
    world = World(written=None)
    world.heard("made", at=0.0)
    world.look = None
    assert not world.complete(2.0)
    assert len(world.candidates) == 0
    assert world.candidates.due_in(2.0) is None


def test_whether_a_file_is_written_is_asked_of_the_kernel(tmp_path: Path) -> None:
    path = tmp_path / "a"
    tells = file_system_of(tmp_path) in ("ext4", "xfs", "btrfs", "tmpfs")
    with path.open("w"):
        assert is_written(str(path)) is (True if tells else None)
    assert is_written(str(path)) is (False if tells else None)
    with path.open():
        assert is_written(str(path)) is (False if tells else None)
    assert is_written(str(tmp_path / "none")) is None
    file = os.open(path, os.O_RDONLY)
    assert fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_UNLCK  # none is left behind
    os.close(file)


def test_files_are_found_below_folders_and_folders_are_none(tmp_path: Path) -> None:
    for name in ("a.nc", "e/b.nc", "e/f/c.nc", "e/other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "g.nc").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.nc").symlink_to(tmp_path / "a.nc")

    def found(pattern: str) -> set[str]:
        files = (each for each in files_of(trigger_of(f"{tmp_path}/{pattern}")) if each)
        return {str(Path(path).relative_to(tmp_path)) for path, _ in files}

    assert found("**/*.nc") == {"a.nc", "link.nc", "e/b.nc", "e/f/c.nc"}
    assert found("*.nc") == {"a.nc", "link.nc"}
    assert found("*/*.nc") == {"e/b.nc"}
    assert found("none/*.nc") == set()
    assert look(str(tmp_path / "e")) is None


def test_the_memory_outlives_its_process_and_forgets_after_months(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "seen.db")
    memory.add({"one", "two"}, TODAY)
    memory.close()
    memory = Memory(tmp_path / "seen.db")
    assert "one" in memory
    assert "three" not in memory
    memory.there({"one", "of nothing known"}, TODAY + timedelta(days=60))
    memory.there({"one"}, TODAY + timedelta(days=120))
    assert "one" in memory
    assert "two" not in memory
    assert len(memory) == 1
    memory.close()


def test_a_memory_that_is_damaged_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "seen.db").write_bytes(b"no database" * 100)
    with pytest.raises(NowcastError, match="which says which files were seen, cannot be used"):
        Memory(tmp_path / "seen.db")


def test_what_watchdog_warns_of_has_files_looked_for_once() -> None:
    ear = Ear(logging.getLogger("test"))
    try:
        assert not ear.has_missed()
        logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
        assert ear.has_missed()
        assert not ear.has_missed()
    finally:
        ear.close()


class _Answers:
    """An asker whose requests are answered at once."""

    def __init__(self) -> None:
        self.asked: list[Message] = []

    @property
    def waiting(self) -> int:
        return len(self.asked)

    def put(self, message: Message) -> None:
        self.asked.append(message)

    def turn(self) -> list[tuple[Message, Message]]:
        asked, self.asked = self.asked, []
        return [(each, Message("manager", "ack", {"run": "r"}, id=each.id)) for each in asked]


def test_a_memory_that_cannot_be_written_is_told_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory(tmp_path / "seen.db")
    asking = Asking(_Answers, memory, logging.getLogger("test"))  # type: ignore[arg-type]
    with closing(sqlite3.connect(tmp_path / "seen.db")) as other:
        other.execute("DROP TABLE seen")
    for name in ("a", "b"):
        trigger, path = trigger_of(), f"/d/{name}.grib2"
        asking.put(trigger.request(path, trigger.id_of(path, Look(1, 2, 3))))
        asking.turn()
        assert asking.knows(trigger.id_of(path, Look(1, 2, 3)))  # while this process lives
    asking.there(set())
    assert asking.waiting == 0
    assert asking.trouble == f"{tmp_path}/seen.db cannot be written"
    assert caplog.text.count("cannot be written") == 1
    memory.close()


def test_where_leases_are_refused_nobody_is_said_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "file_system_of", lambda _: "nfs4")
    monkeypatch.setattr(looking, "_LEASES_ON", {})
    path = tmp_path / "a"
    with path.open("w"):
        assert is_written(str(path)) is None
