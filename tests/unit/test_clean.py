"""What ``nowcast clean`` removes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from nowcast_cli.cli.app import main
from nowcast_cli.cli.cleaning import Removal, removals, remove
from nowcast_cli.config.log_settings import Retention
from nowcast_cli.config.sizes import size_words
from nowcast_cli.identifiers import new_id
from nowcast_cli.process_identity import identity_of, to_json

DAY = 86400.0
KEEP = Retention(jobs=30 * DAY, scratch=7 * DAY, logs=90 * DAY, journal=365 * DAY, events=30 * DAY)


def age(path: Path, days: float) -> Path:
    at = time.time() - days * DAY
    os.utime(path, (at, at))
    return path


def job(state: Path, days: float, worker: str = "sleep") -> Path:
    folder = state / "jobs/2026-10-01" / f"{new_id()}-{worker}"
    (folder / "scratch").mkdir(parents=True)
    (folder / "scratch/half.nc").write_bytes(b"x" * 10_000)
    (folder / "outbox").mkdir()
    for name in ("stdout", "exit"):
        (folder / name).touch()
        age(folder / name, days)
    return folder


def found(state: Path, open_jobs: Collection[str] | None = frozenset()) -> list[tuple[str, Path]]:
    logs = sorted((state / "logs").glob("*.log"))
    going = removals(state / "jobs", logs, open_jobs, KEEP, time.time())
    return [(removal.kind, removal.path) for removal in going]


def test_jobs_and_scratch_folders_go_when_they_are_older_than_they_are_kept(tmp_path):
    job(tmp_path, 6)
    middle, old = job(tmp_path, 8), job(tmp_path, 31)
    assert found(tmp_path) == [("job", old), ("scratch", middle / "scratch")]


def test_a_job_ages_from_its_end_and_not_from_what_was_cleaned_before(tmp_path):
    folder = job(tmp_path, 31)
    remove(Removal("scratch", folder / "scratch", 0, 0))
    (folder / ".logged").touch()
    assert found(tmp_path) == [("job", folder)]


def test_a_job_that_has_not_ended_is_left_alone(tmp_path):
    folder = job(tmp_path, 99)
    assert found(tmp_path, {folder.name[:36]}) == []
    assert found(tmp_path, None) == []


def test_a_job_whose_process_lives_or_whose_message_waits_is_left_alone(tmp_path):
    living, waiting = job(tmp_path, 99), job(tmp_path, 99)
    me = identity_of(os.getpid())
    assert me is not None
    claim = {"process": to_json(me), "runner": None, "claimed_at": "2026-10-01T00:00:00Z"}
    (living / "pid").write_text(json.dumps(claim))
    (waiting / "outbox" / f"{new_id()}.yaml").write_text("{}")
    assert found(tmp_path) == []


def test_rotated_logs_go_and_the_logs_themselves_never(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    names = ("a.log", "a.log.1", "a.log.2.gz", "a.log-20260101", "a.log.notes", "a.log.3")
    for name in names:
        (logs / name).write_text("x")
        age(logs / name, 89 if name == "a.log.3" else 91)
    assert {path.name for _, path in found(tmp_path)} == {"a.log.1", "a.log.2.gz", "a.log-20260101"}


def test_a_folder_goes_with_its_day_when_that_is_empty(tmp_path):
    first, second = job(tmp_path, 31), job(tmp_path, 31)
    remove(Removal("job", first, 0, 0))
    assert second.exists()
    remove(Removal("job", second, 0, 0))
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12 MB"), (2.5e12, "2.5 TB")],
)
def test_sizes_are_said_short(size, words):
    assert size_words(size) == words


@pytest.fixture
def deployment(tmp_path):
    (tmp_path / "nowcast.yaml").write_text(
        "zmq: {ports: {workers: 5555, manager: 5556}}\n"
        "message registry: {workers: {}}\nretention: {logs: 2h}\n"
    )
    logs = tmp_path / "var/logs"
    logs.mkdir(parents=True)
    (logs / "nowcast.log").touch()
    (logs / "nowcast.log.1").write_text("old\n")
    age(logs / "nowcast.log.1", 1)
    return tmp_path


def test_the_command_says_what_goes_and_how_much_space_it_frees(deployment, capsys):
    rotated = deployment / "var/logs/nowcast.log.1"
    assert main(["-C", str(deployment), "clean"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["-C", str(deployment), "clean", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "logs/nowcast.log.1" in said
    assert "would remove 1 rotated log file: " in said
    assert rotated.exists()
    assert main(["-C", str(deployment), "clean", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["removed"][0]["path"] == str(rotated)
    assert not rotated.exists()
    assert main(["-C", str(deployment), "clean"]) == 0
    assert "nothing is older" in capsys.readouterr().out
