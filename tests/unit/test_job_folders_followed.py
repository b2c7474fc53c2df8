"""Which folders of jobs the log aggregator follows, and what it remembers of them."""

import shutil
from datetime import UTC, datetime, timedelta

from nowcast_cli.identifiers import new_id
from nowcast_cli.logs.job_output import JobFolders


def test_each_job_is_given_once_and_a_day_that_was_removed_is_forgotten(tmp_path):
    folders = JobFolders(tmp_path, datetime.now(UTC) - timedelta(days=1))
    job = new_id()
    (tmp_path / "2026-11-22" / f"{job}-first").mkdir(parents=True)
    assert [each.id for each in folders.new()] == [job]
    assert folders.new() == []
    shutil.rmtree(tmp_path / "2026-11-22")
    assert folders.new() == []
    (tmp_path / "2026-11-22" / f"{job}-first").mkdir(parents=True)
    assert [each.id for each in folders.new()] == [job]
