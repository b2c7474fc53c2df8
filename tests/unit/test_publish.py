"""What is published appears whole or not at all."""

import os
import tempfile
from pathlib import Path

import pytest

from nowcast_cli import WorkerError, publish


@pytest.fixture(params=["in a job", "by hand"])
def scratch(request, tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    if request.param == "in a job":
        monkeypatch.setenv("NOWCAST_SCRATCH", str(folder))
    else:
        monkeypatch.delenv("NOWCAST_SCRATCH", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_file_appears_when_the_block_ends(scratch, tmp_path):
    goal = tmp_path / "products" / "levels.csv"

    with publish(goal) as path:
        path.write_text("1,2")
        assert path.name == "levels.csv"
        assert scratch in path.parents
        assert not goal.exists()

    assert goal.read_text() == "1,2"
    assert list(scratch.iterdir()) == []


def test_a_file_replaces_the_one_before(scratch, tmp_path):
    goal = tmp_path / "levels.csv"
    goal.write_text("old")

    with publish(str(goal)) as path:
        path.write_text("new")

    assert goal.read_text() == "new"


def test_a_folder_appears_with_all_that_is_in_it(scratch, tmp_path):
    with publish(tmp_path / "plots") as path:
        path.mkdir()
        (path / "a.png").write_bytes(b"a")

    assert (tmp_path / "plots" / "a.png").read_bytes() == b"a"


def test_an_exception_leaves_the_destination_as_it_was(scratch, tmp_path):
    goal = tmp_path / "levels.csv"
    goal.write_text("old")

    def half():
        with publish(goal) as path:
            path.write_text("ha")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert goal.read_text() == "old"


def test_a_failed_job_keeps_what_it_wrote_for_inspection(tmp_path, monkeypatch):
    monkeypatch.setenv("NOWCAST_SCRATCH", str(tmp_path / "scratch"))

    def half():
        with publish(tmp_path / "levels.csv") as path:
            path.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    [kept] = (tmp_path / "scratch").rglob("levels.csv")
    assert kept.read_text() == "half"


def test_a_failed_run_by_hand_leaves_no_litter(tmp_path, monkeypatch):
    monkeypatch.delenv("NOWCAST_SCRATCH", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def half():
        with publish(tmp_path / "levels.csv") as path:
            path.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert list(tmp_path.iterdir()) == []


def test_a_relative_destination_is_where_it_was_when_the_block_began(
    scratch, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    with publish("levels.csv") as path:
        path.write_text("1")
        os.chdir("/")

    assert (tmp_path / "levels.csv").read_text() == "1"


def test_nothing_written_is_an_error_that_says_so(scratch, tmp_path):
    with pytest.raises(WorkerError, match=r"there is nothing to publish as .*levels"):  # noqa: SIM117
        with publish(tmp_path / "levels.csv"):
            pass


def test_what_cannot_be_moved_is_a_worker_error(scratch, tmp_path):
    full = tmp_path / "plots"
    full.mkdir()
    (full / "old.png").touch()

    def replace_folder():
        with publish(full) as path:
            path.mkdir()

    with pytest.raises(WorkerError, match="plots could not be published"):
        replace_folder()
    assert [entry.name for entry in full.iterdir()] == ["old.png"]


def test_files_are_published_across_file_systems(tmp_path, monkeypatch):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        monkeypatch.setenv("NOWCAST_SCRATCH", scratch)

        with publish(tmp_path / "levels.csv") as path:
            path.write_text("1,2")

        assert (tmp_path / "levels.csv").read_text() == "1,2"
        assert list(Path(scratch).iterdir()) == []
