"""Turns of the log aggregator: what it follows, what it remembers, and what it leaves alone."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest

from nowcast_cli.identifiers import new_id
from nowcast_cli.logs.following import HALF_A_LINE, Follower
from nowcast_cli.logs.globs import base_of, matching
from nowcast_cli.logs.job_output import FollowedJob
from nowcast_cli.logs.offsets import read_offsets
from nowcast_cli.logs.writing import LogWriter


@pytest.fixture
def follow(tmp_path, caplog):
    """Make followers of one system; each goes on from what the one before has saved."""
    caplog.set_level(logging.DEBUG)
    made = []

    def make(*globs: str, echoes: bool = False) -> Follower:
        patterns = tuple(f"{tmp_path}/{glob}" for glob in globs)
        made.append(
            Follower(
                tmp_path / "jobs", tmp_path / "received", tmp_path / "offsets.json", patterns,
                [], LogWriter(), logging.getLogger("aggregator"), echoes=echoes,
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for follower in made:
        follower.close()


def job(folder: Path, stdout: str = "", worker: str = "sleep") -> Path:
    made = folder / "jobs/2026-11-22" / f"{new_id()}-{worker}"
    made.mkdir(parents=True)
    (made / "stdout").write_text(stdout)
    return made


def end(folder: Path, seconds_ago: float) -> None:
    (folder / "exit").write_text("{}")
    at = time.time() - seconds_ago
    for file in folder.iterdir():
        os.utime(file, (at, at))


def said(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.name != "aggregator"]


def test_a_job_that_has_ended_is_marked_and_never_read_again(tmp_path, follow, caplog):
    follower = follow()
    follower.turn(0)
    folder = job(tmp_path, "one\nhalf")
    end(folder, seconds_ago=60)
    follower.turn(1)
    follower.turn(100)
    follower.turn(101)
    assert said(caplog) == ["one", "half"]
    assert (folder / ".logged").exists()
    assert follower.count == 0
    offsets = read_offsets(tmp_path / "offsets.json")
    assert offsets is not None
    assert offsets.files == {}
    follow().turn(0)
    assert said(caplog) == ["one", "half"]


def test_a_glob_that_matches_the_output_of_jobs_does_not_bring_it_twice(tmp_path, follow, caplog):
    follower = follow("**/*")
    follower.turn(0)
    job(tmp_path, "once\n")
    follower.turn(1)
    follower.turn(2)
    assert said(caplog) == ["once"]


def test_what_a_process_of_an_ended_job_still_prints_is_read(tmp_path, follow, caplog):
    follower = follow()
    follower.turn(0)
    folder = job(tmp_path, "one\n")
    end(folder, seconds_ago=5)
    follower.turn(1)
    (folder / "stdout").write_text("one\nlate\n")
    follower.turn(2)
    assert said(caplog) == ["one", "late"]
    assert not (folder / ".logged").exists()


def test_jobs_from_before_the_first_aggregator_are_left_alone(tmp_path, follow, caplog):
    job(tmp_path, "long ago\n")
    time.sleep(0.002)  # ids of jobs count milliseconds
    follow().turn(0)
    assert said(caplog) == []


def test_a_job_without_an_exit_is_over_when_its_processes_have_gone(tmp_path):
    folder = job(tmp_path, "one\n")
    gone = {"pid": 2**22 + 1, "started": 1, "boot": "another"}
    claim = {"process": gone, "runner": None, "claimed_at": "2026-11-22T00:00:00Z"}
    (folder / "pid").write_text(json.dumps(claim))
    (folder / "runner.lock").touch()
    lost = FollowedJob("id", "sleep", folder)
    assert not lost.is_over(time.time() + 60)
    assert lost.is_over(time.time() + 3600)


def test_records_that_a_worker_prints_too_are_left_out(tmp_path, follow, caplog):
    record = "2026-11-22 03:04:05,678 INFO [sleep] slept\nout of the blue\n"
    follower = follow(echoes=True)
    follower.turn(0)
    job(tmp_path, record)
    follower.turn(1)
    assert said(caplog) == ["out of the blue"]


def test_half_a_line_is_given_once_nobody_has_the_file_open(tmp_path, follow, caplog):
    follower = follow("*.log")
    follower.turn(0)
    with (tmp_path / "model.log").open("w") as model:
        model.write("half")
        model.flush()
        follower.turn(1)
        follower.turn(2 + HALF_A_LINE)
        assert said(caplog) == []
    follower.turn(3 + 2 * HALF_A_LINE)
    assert said(caplog) == ["half"]


def test_a_file_lost_while_nobody_read_it_is_told(tmp_path, follow, caplog):
    model = tmp_path / "model.log"
    first = follow("*.log")
    first.turn(0)
    model.write_text("one\n")
    first.turn(1)
    first.close()
    model.unlink()
    follow("*.log").turn(0)
    assert "its last lines may be missing" in caplog.text


@pytest.mark.parametrize(
    ("glob", "base"),
    [("/d/run/*/ocean.output", "/d/run"), ("/d/a.log", "/d"), ("/d/**/x", "/d"), ("/*.log", "/")],
)
def test_a_glob_begins_at_the_last_folder_without_wildcards(glob, base):
    assert base_of(glob) == Path(base)


def test_what_rotation_has_made_of_a_file_is_not_followed_as_one_of_its_own(tmp_path):
    names = ("a.log", "a.log.1", "a.log.2.gz", "a.log-20261122", "ab.log", "run1.log", "b.log.1")
    for name in names:
        (tmp_path / name).touch()
    glob = f"{tmp_path}/*.log*"
    found = matching([glob], known=[tmp_path / "b.log"])[glob]
    assert [path.name for path in found] == ["a.log", "ab.log", "run1.log"]


def test_a_job_that_cannot_be_marked_is_followed_on(tmp_path, follow, caplog, monkeypatch):
    follower = follow()
    folder = job(tmp_path, "one\n")
    end(folder, 60)
    refused = [OSError(28, "No space left on device")]

    def mark(self):
        if refused:
            raise refused.pop()
        (self.folder / ".logged").touch()

    monkeypatch.setattr(FollowedJob, "mark", mark)
    for now in range(0, 400, 20):
        follower.turn(float(now))
    assert not refused
    assert (folder / ".logged").exists()
    assert said(caplog).count("one") == 1
