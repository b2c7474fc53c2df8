"""Whatever an agent tells of its jobs: what can be is written, and the rest is said."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.mirror import News
from nowcast_cli.manager.agent_lines import Asked
from nowcast_cli.manager.agent_scribe import Scribe, Task

CLAIMED = {
    "pid": "{}", "exit": None, "gone": False, "age": 1.5, "left": None, "more": False,
    "stdout": None, "stderr": None, "records": None, "outbox": {}, "at": {},
}  # fmt: skip


def request(folder: Path) -> JobRequest:
    return JobRequest(
        id=folder.name, attempt=1, worker="w", module="w", arguments=(), folder=str(folder),
        config_file="c", working_directory="/", environment={},
    )  # fmt: skip


def written(*jobs):
    scribe = Scribe()
    try:
        scribe.add(Task("east", Asked(None, None, None), jobs))
        assert select.select([scribe.fileno()], [], [], 60.0)[0]
        (found,) = scribe.written()
        return found
    finally:
        scribe.close()


def test_what_an_agent_tells_is_in_the_folder_of_the_job(tmp_path):
    found = written((request(tmp_path / "a"), CLAIMED))
    assert (tmp_path / "a" / "pid").read_text() == "{}"
    heard = found.jobs["a"]
    assert (heard.new, heard.claimed, heard.exited, heard.gone) == (News.STEP, True, False, False)
    assert heard.age == 1.5
    assert found.trouble is None


@pytest.mark.parametrize(
    "told", [None, "words", {}, {**CLAIMED, "age": "old"}, {"gone": True, "outbox": {}}]
)
def test_what_cannot_be_is_said_and_the_other_jobs_are_heard(tmp_path, told):
    found = written((request(tmp_path / "a"), told), (request(tmp_path / "b"), CLAIMED))
    assert list(found.jobs) == ["b"]
    assert "agent east tells of job a what cannot be" in found.trouble
