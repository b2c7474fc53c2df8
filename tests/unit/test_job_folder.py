import json
import os
from pathlib import Path

import pytest

from nowcast_cli.executors.job_folder import (
    Claim,
    Exit,
    JobRequest,
    folder_of,
    last_lines,
    read_claim,
    read_exit,
)
from nowcast_cli.process_identity import ProcessIdentity, began_at, identity_of, uptime

CLAIM = Claim(ProcessIdentity(12, 345, "b"), ProcessIdentity(11, 344, "b"), "2026-11-22T03:04:05Z")
EXIT = Exit(None, 9, "2026-11-22T03:04:05Z", "because", 1024, 0.5)


def test_the_folder_of_a_job_tells_its_day_its_id_and_its_worker():
    job_id = "01a2014f-65df-7ab3-9b81-aa47e9515ed8"
    assert folder_of(Path("/s/jobs"), job_id, "sleep") == Path(f"/s/jobs/2026-11-22/{job_id}-sleep")


def test_claim_and_exit_survive_their_files(tmp_path):
    (tmp_path / "pid").write_text(json.dumps(CLAIM.to_json()))
    (tmp_path / "exit").write_text(json.dumps(EXIT.to_json()))
    assert read_claim(tmp_path) == CLAIM
    assert read_exit(tmp_path) == EXIT


def test_a_job_is_as_old_as_its_claim_and_not_as_its_process_which_may_have_waited_for_it():
    process = identity_of(os.getpid())
    assert process is not None
    claim = Claim(process, None, "2026-11-22T03:04:05Z", uptime() - 60)
    assert claim.age() == pytest.approx(60, abs=5)
    before = Claim(process, None, "2026-11-22T03:04:05Z")
    assert before.age() == pytest.approx(uptime() - began_at(process), abs=5)
    assert CLAIM.age() is None, "another boot has another clock"


def test_a_request_survives_json():
    job = JobRequest("i", 2, "w", "m", ("a", "b c"), "/f", "/c", "/d", {"A": "ü"})
    assert JobRequest.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_nothing_is_read_from_a_folder_that_is_not_there(tmp_path):
    assert read_claim(tmp_path / "no") is None
    assert read_exit(tmp_path / "no") is None
    assert last_lines(tmp_path / "no", 5) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '{"code": "x"}', "\0" * 40])
def test_a_damaged_file_is_taken_as_not_there_and_said_so(tmp_path, caplog, content):
    (tmp_path / "pid").write_text(content)
    (tmp_path / "exit").write_text(content)
    assert read_claim(tmp_path) is None
    assert read_exit(tmp_path) is None
    assert str(tmp_path / "exit") in caplog.text


def test_last_lines_are_the_last_ones_whatever_is_in_the_file(tmp_path):
    file = tmp_path / "stderr"
    file.write_bytes(b"x" * 1_000_000 + b"\none\n\xff\nthree")
    assert last_lines(file, 3) == ["one", "\ufffd", "three"]
    assert last_lines(file, 0) == []
