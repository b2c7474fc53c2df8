"""What lies in the folder of a batch job before it begins."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from nowcast_cli.executors import batch_folder
from nowcast_cli.executors.batch_job import BatchJob
from nowcast_cli.executors.batch_rounds import BatchRounds
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.slurm import Slurm


@pytest.fixture
def job(tmp_path: Path) -> JobRequest:
    folder = str(tmp_path / "a job's folder")
    return JobRequest("job1", 2, "w", "workers.w", (), folder, "/c", "/", {"PASSWORD": "x"})


def test_the_script_runs_the_archive_in_the_place_of_its_shell(job):
    script = batch_folder.script_of(Slurm(), job, "/usr/bin/python3", Path("/state/code/x.pyz"))
    assert script.splitlines() == [
        "#!/bin/sh",
        'export NOWCAST_NATIVE_ID="$SLURM_JOB_ID"',
        f"exec /usr/bin/python3 -I -S /state/code/x.pyz run '{job.folder.partition(chr(39))[0]}"
        f"'\"'\"'{job.folder.partition(chr(39))[2]}' 20",
    ]


def test_a_request_is_for_its_owner_alone(job):
    batch_folder.prepare(job, "#!/bin/sh\n")
    file = Path(job.folder, "job.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert JobRequest.from_json(json.loads(file.read_text())) == job
    assert sorted(path.name for path in file.parent.iterdir()) == ["batch.sh", "job.json"]


def test_what_a_power_cut_has_taken_of_a_job_in_the_queue_is_written_again(job, tmp_path):
    batch_folder.prepare(job, "#!/bin/sh\n")
    batch_folder.note_native(Path(job.folder), "7")
    Path(job.folder, "job.json").write_text("")
    rounds = BatchRounds(Slurm(), pytest.fail, lambda _: None, tmp_path, 0.0)
    known = BatchJob(job, begin=True)
    rounds.look([known])
    assert known.native_id == "7"
    assert not known.is_to_be_submitted
    assert JobRequest.from_json(json.loads(Path(job.folder, "job.json").read_text())) == job


def test_a_note_that_is_damaged_is_looked_up_anew(job):
    batch_folder.prepare(job, "#!/bin/sh\n")
    Path(job.folder, "native").write_text("")
    assert batch_folder.read_native(Path(job.folder)) is None
    assert batch_folder.was_submitted(Path(job.folder))
