"""What is removed on another host, when, and what stays."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.executors import remote_side
from nowcast_cli.executors.clearing import Clearing
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.identifiers import new_id
from nowcast_cli.process_identity import identity_of
from nowcast_cli.runner import Claim

DAY = "jobs/2026-11-22"


class Job:
    """The folder of a job on this host, which is another one for those who ask."""

    def __init__(self, root: Path, *, process: int | None = None, age: float = 100.0) -> None:
        self.id = new_id()
        self.root = root
        self.name = f"{DAY}/{self.id}-first"
        self.folder = root / self.name
        for name in ("outbox", "scratch"):
            (self.folder / name).mkdir(parents=True)
        identity = identity_of(process or os.getpid())
        assert identity is not None
        claim = Claim(identity, None, "2026-11-22T00:00:00Z")
        (self.folder / "pid").write_text(json.dumps(claim.to_json()))
        for name in ("stdout", "stderr", "records", "exit", "job.json", "runner.lock", "node"):
            (self.folder / name).write_text(f"{name}\n")
            os.utime(self.folder / name, (time.time() - age,) * 2)

    def clear(self, **have: Any) -> dict[str, Any]:
        """Ask as the other side does that has all of it, but for what ``have`` says."""
        sizes = {name: (self.folder / name).stat().st_size if (self.folder / name).exists() else 0
                 for name in ("stdout", "stderr", "records")}  # fmt: skip
        look = {"folder": self.name, **sizes, "outbox": [], **have}
        order = {"root": str(self.root), "grace": 0.0, "submit": [], "cancel": [],
                 "look": {self.id: look}, "clear": [self.id]}  # fmt: skip
        return remote_side.exchange(order)

    def left(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


def test_a_job_that_is_known_whole_leaves_its_claim_and_its_end(tmp_path: Path) -> None:
    job = Job(tmp_path)
    assert job.clear()["cleared"] == [job.id]
    assert job.left() == {"pid", "exit"}
    assert job.clear()["cleared"] == [job.id]  # the answer had been lost


def test_what_a_worker_has_left_in_its_scratch_folder_stays(tmp_path: Path) -> None:
    job = Job(tmp_path)
    (job.folder / "scratch/half.nc").touch()
    job.clear()
    assert job.left() == {"pid", "exit", "scratch"}


@pytest.mark.parametrize("news", ["printed", "message", "late", "running"])
def test_nothing_goes_that_is_not_known_here(tmp_path: Path, news: str) -> None:
    job = Job(tmp_path, age=5 if news == "late" else 100)
    if news == "message":
        (job.folder / "outbox/1.yaml").touch()
    if news == "running":
        (job.folder / "exit").unlink()
    before = job.left()
    answer = job.clear(**({"records": 3} if news == "printed" else {}))
    assert answer["cleared"] == []
    assert job.left() == before


def test_folders_that_were_removed_here_are_removed_there(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        old, scratch = (Job(tmp_path, process=sleeping.pid) for _ in range(2))
        sleeping.kill()
    running = Job(tmp_path)
    names = [old.name, f"{scratch.name}/scratch", running.name, f"{DAY}/../../etc", "code"]
    answer = remote_side.clean({"root": str(tmp_path), "remove": [*names, f"{DAY}/{new_id()}-x"]})
    assert answer["removed"][:2] == names[:2]
    assert not old.folder.exists()
    assert "exit" in scratch.left()
    assert "scratch" not in scratch.left()
    assert "exit" in running.left()
    assert [sentence.partition(": ")[2] for sentence in answer["trouble"]] == [
        "a process of the job still runs",
        f"{DAY}/../../etc is no folder of a job",
        "code is no folder of a job",
    ]
    assert len(answer["removed"]) == 3  # what is not there has gone, too


def request(job_id: str) -> JobRequest:
    return JobRequest(job_id, 1, "first", "workers.first", (), f"/{job_id}", "c", "w", {})


def test_a_job_is_cleared_a_while_after_its_end_and_asked_for_again_if_it_was_not() -> None:
    now = [0.0]
    clearing = Clearing(30.0, lambda: now[0])
    assert clearing.wait() is None
    clearing.add(request("a"))
    now[0] = 10.0
    clearing.add(request("b"))
    assert (clearing.due(), clearing.wait()) == ([], 20.0)
    now[0] = 30.0
    assert clearing.due() == [request("a")]
    clearing.asked(clearing.due())
    assert clearing.wait() == 10.0
    now[0] = 40.0
    clearing.cleared(["b"])
    assert clearing.due() == []
    now[0] = 60.0
    assert clearing.due() == [request("a")]


def test_a_job_whose_processes_print_for_ever_is_given_up() -> None:
    now = [0.0]
    clearing = Clearing(30.0, lambda: now[0])
    clearing.add(request("a"))
    for _ in range(100):
        now[0] += 30.0
        clearing.asked(clearing.due())
    assert clearing.wait() is None
