"""What becomes of jobs, messages and the schedule when a store is put back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nowcast_cli.executors.job_folder import Claim, Exit, JobRequest, MemberRequest
from nowcast_cli.manager.found_jobs import FoundJob, found_jobs
from nowcast_cli.manager.rebuilding import (
    Rebuilt,
    has_moved_on,
    hold_back,
    pass_over,
    rebuild_ensembles,
    rebuild_jobs,
)
from nowcast_cli.process_identity import ProcessIdentity
from nowcast_cli.store.records import (
    EnsemblePut,
    JobPut,
    JobRecord,
    Member,
    MessageRecord,
    MessageSettled,
    SchedulePut,
    ScheduleRecord,
)

NOW = "2026-11-22T10:00:00.000Z"
CLAIM = Claim(ProcessIdentity(4711, 1, "boot"), None, "2026-11-22T09:00:00Z")
ENDED = Exit(0, None, "2026-11-22T09:30:00Z", None, 0, 0.0)
KNOWN = JobRecord(
    "j1", "first", "workers.first", ("-x",), "localhost", "local", "submitting", 1, None, 1, "c",
    None, "2026-11-22T08:00:00.000Z",
)  # fmt: skip
REQUEST = JobRequest("j1", 2, "first", "workers.first", ("nowcast.yaml", "-x"), "", "", "", {})
FOUND = FoundJob("j1", "first", KNOWN.created, REQUEST, None, None, 0, True)


def after(known: JobRecord | None, found: FoundJob | None, *, moved_on: bool = True):
    rebuilt = Rebuilt()
    rebuild_jobs(
        rebuilt,
        [known] if known is not None else [],
        lambda job_id: known,
        [found] if found is not None else [],
        moved_on,
        NOW,
    )
    assert len(rebuilt.changes) <= 1
    job = next((change.job for change in rebuilt.changes if isinstance(change, JobPut)), None)
    return next(iter(rebuilt.told), None), job


@pytest.mark.parametrize("known", [KNOWN, replace(KNOWN, state="held"), None])
def test_a_job_that_was_claimed_and_has_no_end_goes_on(known):
    kind, job = after(known, replace(FOUND, claim=CLAIM))
    assert (kind, job.state, job.pid, job.exit) == ("going on", "running", 4711, None)
    assert job.unfinished, "the manager looks after it"


@pytest.mark.parametrize("known", [KNOWN, replace(KNOWN, state="running"), None])
@pytest.mark.parametrize(
    ("code", "signal", "state"),
    [(0, None, "succeeded"), (1, None, "failed"), (70, None, "crashed"), (None, 9, "crashed")],
)
def test_a_job_that_has_ended_and_says_no_more_has_ended_as_its_exit_says(
    known, code, signal, state
):
    ended = replace(ENDED, code=code, signal=signal)
    kind, job = after(known, replace(FOUND, claim=CLAIM, exit=ended))
    assert (kind, job.state, job.ended) == ("ended", state, ENDED.finished_at)
    assert job.exit == ended.to_json()
    assert not job.unfinished, "no crash is derived, and nothing follows"


def test_what_waits_in_an_outbox_is_left_to_the_manager():
    kind, job = after(None, replace(FOUND, claim=CLAIM, exit=ENDED, waiting=1))
    assert (kind, job.state, job.exit) == ("taken in", "running", None)


def test_a_job_that_was_asked_for_and_has_not_begun_is_asked_for():
    kind, job = after(None, FOUND)
    assert (kind, job.state, job.module, job.arguments, job.attempt) == (
        "to begin", "submitting", "workers.first", ("-x",), 2,
    )  # fmt: skip
    assert after(KNOWN, FOUND) == (None, None), "it is asked for anyway"


@pytest.mark.parametrize("claim", [CLAIM, None])
def test_a_job_of_an_executor_stays_with_it(claim):
    """Its folder may lie here: it must not be begun here for that."""
    request = replace(REQUEST, executor="cluster", host="head")
    _, job = after(None, replace(FOUND, request=request, claim=claim))
    assert (job.executor, job.host) == ("cluster", "head")
    _, job = after(None, replace(FOUND, claim=claim))
    assert (job.executor, job.host) == ("local", "localhost")


@pytest.mark.parametrize(
    "found",
    [replace(FOUND, request=None), replace(FOUND, here=False),
     replace(FOUND, here=False, claim=CLAIM)],
)  # fmt: skip
def test_a_job_of_which_too_little_is_known_is_lost_and_not_begun(found):
    kind, job = after(None, found)
    assert (kind, job.state, job.exit) == ("lost", "lost", {})


@pytest.mark.parametrize("state", ["submitting", "running"])
def test_a_job_without_its_folder_is_lost_where_time_has_gone_on(state):
    known = replace(KNOWN, state=state)
    assert after(known, None)[0] == "lost"
    assert after(known, None, moved_on=False) == (None, None)


@pytest.mark.parametrize("state", ["held", "waiting"])
def test_a_job_that_may_not_begin_yet_needs_no_folder(state):
    assert after(replace(KNOWN, state=state), None) == (None, None)


def test_a_job_that_has_ended_in_the_store_stays_as_it_is():
    for exit_record in (None, {"code": 0}):
        known = replace(KNOWN, state="succeeded", final_message=3, exit=exit_record)
        assert after(known, replace(FOUND, claim=CLAIM, exit=ENDED)) == (None, None)


@pytest.mark.parametrize(
    ("shown", "found", "moved_on"), [(5, [], False), (6, [], True), (5, [FOUND], True)]
)
def test_time_has_gone_on_when_file_or_folders_know_more(shown, found, moved_on):
    assert has_moved_on(lambda job_id: None, found, 5, shown) is moved_on
    assert not has_moved_on(lambda job_id: KNOWN, [FOUND], 5, 5)


def test_what_may_have_been_decided_waits_for_somebody():
    record = MessageRecord(3, "m", NOW, "first", "success", None, None, "c", None, "received")
    rebuilt = Rebuilt()
    hold_back(rebuilt, [record, replace(record, number=4, state="stuck")], NOW)
    [settled] = rebuilt.changes
    assert isinstance(settled, MessageSettled)
    assert (settled.number, settled.state) == (3, "stuck")
    assert "nowcast message retry 3" in str(settled.error)


def test_what_was_due_is_passed_over():
    rebuilt = Rebuilt()
    early = ScheduleRecord("daily", "", "2026-11-21T00:00:00Z", job="j1")
    pass_over(rebuilt, [early, replace(early, item="later", cursor="2026-12-01T00:00:00Z")], NOW)
    assert rebuilt.changes == [SchedulePut(replace(early, cursor=NOW))]


def test_folders_that_are_not_of_jobs_are_passed_over(tmp_path):
    for name in ("2026-11-22/notes-of-mine", "2026-11-22/not-a-uuid-at-all", "x/y"):
        (tmp_path / name).mkdir(parents=True)
    assert list(found_jobs(tmp_path, tmp_path / "nowcast.yaml")) == []


def test_an_ensemble_comes_back_with_the_members_whose_folders_are_there():
    part = MemberRequest("e1", 2, 1, 3, 5, 2)
    found = replace(FOUND, request=replace(REQUEST, ensemble=part), claim=CLAIM)
    kind, job = after(None, found)
    assert (kind, job.ensemble, job.member) == ("going on", "e1", Member(2, 1, 3, 5, 2))
    rebuilt = Rebuilt()
    other = replace(found, id="j2", request=replace(found.request, id="j2"))
    rebuild_ensembles(rebuilt, lambda ensemble_id: None, [found, other, FOUND])
    (put,) = rebuilt.changes
    assert isinstance(put, EnsemblePut)
    assert (put.ensemble.id, put.ensemble.size, put.ensemble.at_least) == ("e1", 3, 2)
    assert rebuilt.told == {"ensembles": ["e1"]}
    rebuilt = Rebuilt()
    rebuild_ensembles(rebuilt, lambda ensemble_id: put.ensemble, [found])
    assert rebuilt.changes == []
