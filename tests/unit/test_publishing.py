"""Outputs appear at their destinations all, or none: also when whoever publishes is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nowcast_cli import publishing
from nowcast_cli.publishing import NotPublished, Output

PUBLISH = """
import json, sys
from nowcast_cli import publishing
folder, outputs, marker = json.loads(sys.argv[1])
publishing.publish(folder, [publishing.Output(*each) for each in outputs], marker, "t", {"code": 0})
publishing.forget(folder)
"""
POINTS = [
    "publish.noted",
    "publish.probed",
    "publish.staged",
    "publish.prepared",
    "files.written",
    "files.renamed",
    "publish.ready",
    "publish.unmarked",
    "publish.renamed",
    "publish.synced",
    "publish.forgotten",
]


class Case:
    """A job's folder with two outputs in its scratch, and places that hold older ones."""

    def __init__(self, folder: Path, elsewhere: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True)
        self.goal = (elsewhere if kind == "copied" else folder.parent) / "results"
        self.goal.parent.mkdir(exist_ok=True)
        if kind == "linked":
            (self.goal.parent / "old").mkdir()
            self.goal.symlink_to("old")
        else:
            self.goal.mkdir()
        self.marker = str(self.goal / "done") if kind == "marked" else None
        for name in ("one", "two"):
            (self.goal / name).write_text(f"old {name}")
            (self.scratch / name).write_text(f"new {name}")
        if self.marker:
            Path(self.marker).write_text("old")
        link = str(self.goal) if kind == "linked" else None
        self.outputs = [
            Output(str(self.scratch / name), str(self.goal / name), link) for name in ("one", "two")
        ]

    def seen(self) -> list[str]:
        return [(self.goal / name).read_text() for name in ("one", "two")]

    def left(self) -> set[str]:
        """What lies about that nobody asked for."""
        return {
            path.name
            for place in (self.folder, self.scratch, self.goal, self.goal.parent)
            for path in place.iterdir()
            if path.name.startswith(".") and not path.name.startswith(".results.v-")
        }

    def in_a_process(self, crash_points: Path) -> int:
        about = [str(self.folder), [each.to_json() for each in self.outputs], self.marker]
        return subprocess.run(
            [sys.executable, "-c", PUBLISH, json.dumps(about)],
            env={**os.environ, "NOWCAST_CRASH_POINTS": str(crash_points)},
            check=False,
        ).returncode


@pytest.fixture(params=["renamed", "copied", "linked", "marked"])
def case(request, tmp_path):
    import shutil
    import tempfile

    shm = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield Case(tmp_path / "job", shm, request.param)
    shutil.rmtree(shm)


def test_outputs_are_put_in_place(case):
    folder = str(case.folder)
    assert publishing.publish(folder, case.outputs, case.marker, "t", {"code": 0}) is None
    publishing.forget(folder)
    assert case.seen() == ["new one", "new two"]
    assert not case.left()
    assert not (case.folder / publishing.INTENT).exists()
    assert case.marker is None or Path(case.marker).read_text() == "t\n"


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_instant_leaves_all_or_none(case, tmp_path, point):
    points = tmp_path / "points"
    points.mkdir()
    (points / point).write_text(str(int(signal.SIGKILL)))
    if case.in_a_process(points) == 0:
        assert (points / point).exists(), "the point was reached, and nothing happened"
        return
    before = case.seen()
    if case.kind == "linked":
        assert before in (["old one", "old two"], ["new one", "new two"])
    if case.marker and Path(case.marker).exists():
        whole = "old" if Path(case.marker).read_text() == "old" else "new"
        assert before == [f"{whole} one", f"{whole} two"]
    decided = publishing.roll_forward(str(case.folder))
    publishing.forget(str(case.folder))
    if decided is None and before != ["new one", "new two"]:
        assert case.seen() == ["old one", "old two"]
        assert sorted(path.name for path in case.scratch.iterdir()) == ["one", "two"]
        assert case.marker is None or Path(case.marker).read_text() == "old"
    else:
        assert decided in (None, ({"code": 0}, None))
        assert case.seen() == ["new one", "new two"]
        assert case.marker is None or Path(case.marker).read_text() == "t\n"
    assert not {name for name in case.left() if not name.startswith(".publish.json")}


def test_rolling_forward_may_be_killed_too_and_is_done_once(case, tmp_path):
    points = tmp_path / "points"
    points.mkdir()
    (points / "publish.ready").write_text("9")
    assert case.in_a_process(points) == -9
    folder = str(case.folder)
    assert publishing.roll_forward(folder) == ({"code": 0}, None)
    for name in ("one", "two"):
        (case.goal / name).write_text("of a later job")
    assert publishing.roll_forward(folder) == ({"code": 0}, None)
    assert case.seen() == ["of a later job"] * 2


def test_an_output_that_was_not_made_is_named(case):
    (case.scratch / "two").unlink()
    with pytest.raises(NotPublished, match=r"not made: two$"):
        publishing.publish(str(case.folder), case.outputs, case.marker, "t", {})
    assert case.seen() == ["old one", "old two"]
    assert not case.left()


def test_a_full_disk_leaves_all_as_it_was(case, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(publishing, "copy_synced", no_room)
    monkeypatch.setattr(publishing, "write_atomically", no_room)
    with pytest.raises(NotPublished, match="No space left on device: somewhere"):
        publishing.publish(str(case.folder), case.outputs, case.marker, "t", {})
    assert case.seen() == ["old one", "old two"]
    assert sorted(path.name for path in case.scratch.iterdir()) == ["one", "two"]
    assert not case.left()
    assert publishing.roll_forward(str(case.folder)) is None


def test_the_first_rename_that_fails_undoes_all(case, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied", "x", None, "y")

    monkeypatch.setattr(publishing, "_move", refused)
    with pytest.raises(NotPublished, match="Permission denied: y"):
        publishing.publish(str(case.folder), case.outputs, case.marker, "t", {})
    assert case.seen() == ["old one", "old two"]
    assert sorted(path.name for path in case.scratch.iterdir()) == ["one", "two"]
    assert case.marker is None or Path(case.marker).read_text() == "old"
    assert not case.left()


def test_what_can_never_be_renamed_is_told_and_the_rest_is_put_in_place(tmp_path):
    points = tmp_path / "points"
    points.mkdir()
    (points / "publish.ready").write_text("9")
    case = Case(tmp_path / "job", tmp_path, "renamed")
    assert case.in_a_process(points) == -9
    (case.goal / "one").unlink()
    (case.goal / "one" / "below").mkdir(parents=True)
    told, trouble = publishing.roll_forward(str(case.folder))
    assert told == {"code": 0}
    assert "Is a directory" in trouble
    assert "all others are in place" in trouble
    assert (case.goal / "two").read_text() == "new two"
    assert (case.scratch / "one").read_text() == "new one"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda case: (case.goal / "sub").mkdir(), "is a folder, which only `as: symlink`"),
        (lambda case: (case.scratch / "one").unlink() or os.mkfifo(case.scratch / "one"),
         "neither a file nor a folder"),
    ],
)  # fmt: skip
def test_what_cannot_replace_what_is_there_is_refused(tmp_path, make, sentence):
    case = Case(tmp_path / "job", tmp_path, "renamed")
    make(case)
    outputs = [case.outputs[0], Output(case.outputs[1].source, str(case.goal / "sub"))]
    with pytest.raises(NotPublished, match=sentence):
        publishing.publish(str(case.folder), outputs, None, "t", {})
    assert case.seen() == ["old one", "old two"]


def test_a_real_folder_is_not_replaced_by_a_symlink(tmp_path):
    case = Case(tmp_path / "job", tmp_path, "renamed")
    outputs = [Output(each.source, each.destination, str(case.goal)) for each in case.outputs]
    with pytest.raises(NotPublished, match="move it away, once"):
        publishing.publish(str(case.folder), outputs, None, "t", {})


def test_of_what_a_symlink_led_to_the_last_two_are_kept(tmp_path):
    case = Case(tmp_path / "job", tmp_path, "linked")
    for number in range(4):
        for name in ("one", "two"):
            (case.scratch / name).write_text(f"{name} {number}")
        publishing.publish(str(case.folder), case.outputs, None, f"t{number}", {})
        publishing.forget(str(case.folder))
    assert case.seen() == ["one 3", "two 3"]
    versions = sorted(path.name for path in case.goal.parent.glob(".results.v-*"))
    assert versions == [".results.v-t2", ".results.v-t3"]


def test_one_file_can_be_reached_by_a_symlink_of_its_own(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    for text in ("a", "b"):
        source = tmp_path / "made"
        source.write_text(text)
        goal = str(tmp_path / "latest.nc")
        publishing.publish(str(folder), [Output(str(source), goal, goal)], None, text, {})
        publishing.forget(str(folder))
        assert Path(goal).read_text() == text
    assert Path(goal).is_symlink()
