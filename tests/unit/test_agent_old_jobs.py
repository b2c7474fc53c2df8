"""What an agent removes of jobs that ended long ago."""

from datetime import UTC, datetime

import pytest

from nowcast_cli.agent.old_jobs import OldJobs
from nowcast_cli.identifiers import new_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def make_job(tmp_path):
    def make(day, *files):
        folder = tmp_path / "jobs" / day / f"{new_id()}-model"
        (folder / "scratch").mkdir(parents=True)
        for name in files:
            (folder / name).touch()
        return folder

    return make


def test_what_was_cleared_goes_after_thirty_days_and_all_else_stays(make_job, tmp_path):
    gone = make_job("2026-10-22", "pid", "exit", "scratch/left")
    kept = [
        make_job("2026-10-23", "pid", "exit"),
        make_job("2026-10-22", "pid", "exit", "stdout"),
        make_job("2026-10-22", "pid"),
        make_job("2026-10-22"),
    ]
    runs = make_job("2026-10-22", "pid", "exit")
    OldJobs(tmp_path, lambda: NOW).remove({runs.name[:36]})
    assert not gone.exists()
    assert all(folder.exists() for folder in (*kept, runs))


def test_a_day_without_jobs_goes_too(make_job, tmp_path):
    folder = make_job("2026-09-01", "pid", "exit")
    OldJobs(tmp_path, lambda: NOW).remove(())
    assert not folder.parent.exists()


def test_it_is_looked_at_once_an_hour(make_job, tmp_path):
    times = [NOW, NOW + 3599, NOW + 3600]
    old_jobs = OldJobs(tmp_path, lambda: times.pop(0))
    old_jobs.remove(())
    folder = make_job("2026-09-01", "pid", "exit")
    old_jobs.remove(())
    assert folder.exists()
    old_jobs.remove(())
    assert not folder.exists()
