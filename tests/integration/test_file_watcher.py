"""The file watcher beside a real broker and manager: each file begins one run."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.file_watcher.looking import is_written
from nowcast_command import nowcast
from systems import MakeSystem, System

ASYNC = {"wait": {"action": "?Files@ASYNC?wait"}}


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def watched(make_system: MakeSystem, file: Path | str, **more: Any) -> System:
    """Make a running system in which a flow begins by these files; the watcher is not started."""
    on = {"file": str(file), "settled": "0.2s", "parameters": {"path": "{file.path}"}, **more}
    flow = {"on": on, "parameters": {"path": {"type": "path"}}, "steps": ASYNC}
    return make_system(settings={"flows": {"take": flow}}).start()


def begun(system: System) -> Counter[str]:
    """Count the runs by the file that they are of."""
    with system.reader() as reader:
        return Counter(str(run.parameters["path"]) for run in reader.flow_runs("take", 20_000))


def wait_for(system: System, *files: Path) -> None:
    expected = {str(file) for file in files}
    wait_until(lambda: expected <= set(begun(system)), timeout=60, what=f"runs for {expected}")


def test_each_file_begins_one_run_also_what_was_there_and_over_restarts(
    make_system: MakeSystem, data: Path
) -> None:
    before, written, renamed, deep = (
        data / name for name in ("before.nc", "written.nc", "renamed.nc", "new/deep/deep.nc")
    )
    before.write_text("was there")
    system = watched(make_system, f"{data}/**/*.nc").start("file_watcher")
    wait_for(system, before)
    written.write_text("written in place")
    (data / "renamed.part").write_text("renamed")
    (data / "renamed.part").rename(renamed)
    deep.parent.mkdir(parents=True)
    deep.write_text("in a folder that is new")
    (data / "other.txt").write_text("nothing that is waited for")
    wait_for(system, before, written, renamed, deep)
    system.restart("file_watcher")
    again = data / "again.nc"
    again.touch()
    wait_for(system, again)
    assert begun(system) == Counter(map(str, (before, written, renamed, deep, again)))
    (health,) = [system.health("file_watcher")]
    assert health is not None
    assert (health["seen"], health["waiting"], health["trouble"]) == (5, 0, None)
    assert "5 files seen" in nowcast(system.folder, "status").out


def test_a_file_that_is_being_written_waits_until_it_is_closed(
    make_system: MakeSystem, data: Path
) -> None:
    system = watched(make_system, f"{data}/*.nc").start("file_watcher")
    slow, quick = data / "slow.nc", data / "quick.nc"
    with slow.open("w") as file:
        file.write("the first half")
        file.flush()
        quick.touch()
        wait_for(system, quick)
        assert str(slow) not in begun(system)
        file.write("the second half")
    wait_for(system, slow)
    assert begun(system)[str(slow)] == 1


def test_files_come_in_many_ways(make_system: MakeSystem, data: Path) -> None:
    outside = data.parent / f"{data.name}-outside"
    (outside / "folder/deep").mkdir(parents=True)
    (outside / "folder/deep/moved.nc").write_text("with its folder")
    linked, rewritten = data / "linked.nc", data / "rewritten.nc"
    with rewritten.open("w") as writing:
        writing.write("begun before the watcher")
        writing.flush()
        system = watched(make_system, f"{data}/**/*.nc").start("file_watcher")
        (outside / "folder").rename(data / "folder")
        os.link(data / "folder/deep/moved.nc", linked)
        wait_for(system, linked, data / "folder/deep/moved.nc")
        if is_written(str(rewritten)):  # else this file system does not tell
            assert str(rewritten) not in begun(system)
    wait_for(system, rewritten)
    rewritten.write_text("as another one")
    wait_until(lambda: begun(system)[str(rewritten)] == 2, what="its second run")
    linked.rename(data / "folder/renamed.nc")
    wait_for(system, data / "folder/renamed.nc")
    assert begun(system).total() == 5


def test_what_was_asked_while_nobody_answered_is_asked_again_and_begun_once(
    make_system: MakeSystem, data: Path
) -> None:
    system = watched(make_system, f"{data}/*.nc").start("file_watcher")
    system.kill("manager")
    files = [data / f"{number}.nc" for number in range(50)]
    for file in files:
        file.touch()

    def waiting() -> int:
        health = system.health("file_watcher")
        return 0 if health is None else int(health["waiting"])

    wait_until(lambda: waiting() == 50, what="all of them to wait")
    system.restart("file_watcher")  # what it has asked is with the broker, or is asked again
    wait_until(lambda: waiting() == 50, what="all of them to wait again")
    system.start("manager")
    wait_for(system, *files)
    wait_until(lambda: waiting() == 0, what="the answers")
    assert begun(system) == Counter(map(str, files))


def test_a_lost_memory_begins_nothing_again_that_the_journal_knows(
    make_system: MakeSystem, data: Path
) -> None:
    system = watched(make_system, f"{data}/*.nc").start("file_watcher")
    one, other = data / "one.nc", data / "other.nc"
    one.touch()
    wait_for(system, one)
    system.stop("file_watcher")
    for file in system.paths.state.glob("files_seen.db*"):
        file.unlink()
    other.touch()
    system.start("file_watcher")
    wait_for(system, other)
    assert begun(system) == Counter(map(str, (one, other)))


def test_a_folder_may_come_go_and_come_again(make_system: MakeSystem, data: Path) -> None:
    folder = data / "mart"
    system = watched(make_system, f"{folder}/*.nc").start("file_watcher")
    wait_until(lambda: f"there is no folder {folder}" in system.log(), what="the warning")
    assert f"there is no folder {folder}" in nowcast(system.folder, "status").out
    folder.mkdir()
    first = folder / "first.nc"
    first.touch()
    wait_for(system, first)
    first.unlink()
    folder.rmdir()
    wait_until(
        lambda: system.log().count(f"there is no folder {folder}") == 2, what="another warning"
    )
    folder.mkdir()
    second = folder / "second.nc"
    second.touch()
    wait_for(system, second)


def test_many_files_at_once_begin_a_run_each(make_system: MakeSystem, data: Path) -> None:
    system = watched(make_system, f"{data}/**/*.nc").start("file_watcher")
    count = 1000
    for number in range(count):
        folder = data / f"{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.nc").write_bytes(b"x")
    wait_until(lambda: len(begun(system)) == count, timeout=120, what=f"{count} runs")
    assert set(begun(system).values()) == {1}


NO_INOTIFY = """
import nowcast_cli.daemon.watcher as watcher
def refused(*_, **__): raise OSError(28, "inotify watch limit reached")
watcher.InotifyObserver.schedule = refused
"""
NOTHING_IS_TOLD = """
import nowcast_cli.file_watcher.hearing as hearing
import nowcast_cli.file_watcher.watching as watching
hearing.Ear.on_any_event = lambda self, event: None
watching._TOLD_WITHIN = -1.0
"""


@pytest.mark.parametrize(
    ("prelude", "words"),
    [
        (NO_INOTIFY, "is looked at every second: inotify watch limit reached"),
        (NOTHING_IS_TOLD, "were found that the kernel had not told of"),
    ],
)
def test_files_are_found_where_the_kernel_does_not_tell(
    make_system: MakeSystem, data: Path, prelude: str, words: str
) -> None:
    system = watched(make_system, f"{data}/*.nc")
    process = system.popen("file_watcher", prelude)
    try:
        wait_until(lambda: (system.health("file_watcher") or {}).get("pid"), what="the watcher")
        wait_until(lambda: "begins by" in system.log(), what="the first look at what is there")
        first, second = data / "first.nc", data / "second.nc"
        first.touch()
        wait_for(system, first)
        second.touch()
        wait_for(system, second)
        wait_until(lambda: words in system.log(), what="the warning")
    finally:
        process.kill()
        process.wait()


def test_a_name_that_is_not_utf_8_is_told_of(make_system: MakeSystem, data: Path) -> None:
    system = watched(make_system, f"{data}/*.nc").start("file_watcher")
    with open(os.fsencode(data) + b"/\xff.nc", "wb"):  # noqa: PTH123
        pass
    good = data / "good.nc"
    good.touch()
    wait_for(system, good)
    wait_until(lambda: "its name is not UTF-8; rename it" in system.log(), what="the error")
    health = system.health("file_watcher")
    assert health is not None
    assert health["trouble"] == (
        "a file has a name that is not UTF-8, and begins nothing: nowcast logs file_watcher"
    )


def test_another_configuration_is_taken_in_and_a_refusal_is_told(
    make_system: MakeSystem, data: Path
) -> None:
    system = watched(make_system, f"{data}/*.nc").start("file_watcher")
    trigger = system.settings["flows"]["take"]["on"]
    trigger |= {"file": f"{data}/*.grib2", "match": r"(?P<hour>\d\d)\.grib2"}
    trigger["parameters"] = {"path": "{match.hour}"}
    system.write_config()
    assert nowcast(system.folder, "reload").out == "reloaded\n"
    wait_until(lambda: "*.grib2" in system.log(), what="the watcher to take it in")
    (data / "other.grib2").touch()
    (data / "06.grib2").touch()
    wait_until(lambda: begun(system) == Counter(["06"]), what="the run")
