"""How a job is said to have ended that a batch system told to end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nowcast_cli.config.executors import Place
from nowcast_cli.config.registry import Registry
from nowcast_cli.manager.job_transitions import new_job, process_ended
from nowcast_cli.manager.state import State
from nowcast_cli.store.records import JobPut, JobRecord, JobState

NOW = "2026-11-22T05:00:00.000Z"
LIMIT = "Grid Engine ended it at its time limit (h_rt=7200): it ran for 7203s"


def job(state: JobState, reason: str | None) -> JobRecord:
    made = new_job(
        "01a202c3", "workers.first", (), Place("cluster"), cause=None, chain="01a202c3", now=NOW
    )
    return replace(made, state=state, reason=reason, ended=NOW, final_message=7)


@pytest.mark.parametrize(
    ("told", "by_system", "state", "reason"),
    [
        # A worker of NEMO_Nowcast's own library says that it crashed, when it gets SIGTERM.
        ("crashed", "timed out", "timed out", LIMIT),
        ("crashed", "crashed", "crashed", LIMIT),
        ("crashed", None, "crashed", "termination signal"),
        # What a worker says of its work is true whatever came after it.
        ("succeeded", "timed out", "succeeded", "termination signal"),
        ("failed", "timed out", "failed", "termination signal"),
        ("cancelled", "crashed", "cancelled", "termination signal"),
    ],
)
def test_the_batch_system_has_the_last_word_on_a_crash(told, by_system, state, reason):
    crashed = job(told, "termination signal")
    before = State(jobs={crashed.id: crashed})
    step = process_ended(
        before,
        Registry({}, "next_workers", {}),
        crashed,
        {"code": 70},
        LIMIT,
        NOW,
        lambda *_: None,
        by_system,
    )
    (change,) = step.changes
    assert isinstance(change, JobPut)
    assert (change.job.state, change.job.reason) == (state, reason)
    assert change.job.exit == {"code": 70}
