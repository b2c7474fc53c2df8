import os
import shutil
import threading
from pathlib import Path
from tempfile import mkdtemp

import pytest

from nowcast_cli.atomic_files import move_into_place, write_atomically


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def other_file_system(tmp_path):
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    folder = Path(mkdtemp(dir=shm))
    yield folder
    shutil.rmtree(folder)


def test_a_file_is_written_with_its_mode_and_nothing_beside_it(tmp_path):
    target = tmp_path / "f"
    write_atomically(target, b"one")
    write_atomically(target, b"two", mode=0o600)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["f"]


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    target = tmp_path / "f"
    contents = [letter * 300_000 for letter in (b"a", b"b")]
    write_atomically(target, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(100):
            write_atomically(target, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert target.read_bytes() in contents
    writer.join()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "f"
    write_atomically(target, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["f"]


def test_a_name_of_the_longest_length_can_be_written(tmp_path):
    write_atomically(tmp_path / ("n" * 255), b"x")


def test_a_file_moves_within_a_file_system(tmp_path):
    source, target = tmp_path / "s", tmp_path / "t"
    source.write_text("new")
    target.write_text("old")
    move_into_place(source, target)
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["t"]


def test_a_file_moves_across_file_systems(other_file_system, tmp_path):
    source, target = other_file_system / "s", tmp_path / "t"
    source.write_text("new")
    source.chmod(0o640)
    target.write_text("old")
    move_into_place(source, target)
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert names_in(tmp_path) == ["t"]
    assert names_in(other_file_system) == []


def test_a_folder_moves_across_file_systems(other_file_system, tmp_path):
    source = other_file_system / "s"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "f").write_text("x")
    (source / "link").symlink_to("deep/f")
    move_into_place(source, tmp_path / "t")
    assert (tmp_path / "t" / "link").read_text() == "x"
    assert names_in(tmp_path) == ["t"]
    assert names_in(other_file_system) == []


def test_a_move_across_file_systems_that_fails_leaves_both_ends(
    other_file_system, tmp_path, monkeypatch
):
    source, target = other_file_system / "s", tmp_path / "t"
    source.write_text("new")
    target.write_text("old")

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(OSError, match="No space"):
        move_into_place(source, target)
    assert (source.read_text(), target.read_text()) == ("new", "old")
    assert names_in(tmp_path) == ["t"]


def test_a_folder_that_is_full_is_not_replaced(tmp_path):
    for name in ("s", "t"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("x")
    with pytest.raises(OSError):
        move_into_place(tmp_path / "s", tmp_path / "t")
    assert (tmp_path / "s" / "s").exists()
    assert names_in(tmp_path / "t") == ["t"]
