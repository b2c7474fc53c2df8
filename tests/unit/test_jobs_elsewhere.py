"""Jobs of executors elsewhere: what their folders and the system beneath them tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nowcast_cli.config.registry import registry_of
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Native, Verdict
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.admission import Admission
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.happenings import (
    Claimed,
    Ended,
    Happening,
    Lost,
    NativeChanged,
    Overran,
    Slow,
)
from nowcast_cli.manager.job_transitions import native_changed, process_ended, slow
from nowcast_cli.manager.job_watch import SCANNED_ELSEWHERE_AT_ONCE, JobWatch
from nowcast_cli.manager.remote_jobs import RemoteJobs
from nowcast_cli.manager.slowness import History
from nowcast_cli.manager.state import State
from nowcast_cli.process_identity import ProcessIdentity
from nowcast_cli.runner import Claim, Exit
from nowcast_cli.store.records import JobRecord, MessageReceived

NOW = "2026-11-22T03:04:05.678Z"
CLAIM = Claim(ProcessIdentity(1, 1, "there"), ProcessIdentity(2, 1, "there"), NOW)


class Cluster:
    """An executor that tells what a test has put into it."""

    def __init__(self, target: Any, around: Any) -> None:
        self.orders: list[tuple[str, JobRequest]] = []
        self.verdicts: dict[str, Verdict] = {}
        self.natives: dict[str, Native] = {}
        self.asking: set[str] = set()
        self.ages: dict[str, float] = {}
        self.news: list[str] = []

    def fileno(self) -> int:
        return 0

    def submit(self, job: JobRequest) -> None:
        self.orders.append(("submit", job))

    def follow(self, job: JobRequest) -> None:
        self.orders.append(("follow", job))

    def cancel(self, job: JobRequest) -> None:
        self.orders.append(("cancel", job))

    def forget(self, job_id: str) -> None:
        pass

    def verdict(self, job_id: str) -> Verdict | None:
        return self.verdicts.get(job_id)

    def asks(self, job_id: str) -> bool:
        return job_id in self.asking

    def native(self, job_id: str) -> Native | None:
        return self.natives.get(job_id)

    def age(self, job_id: str) -> float | None:
        return self.ages.get(job_id)

    def trouble(self) -> str | None:
        return None

    def hints(self) -> list[str]:
        news, self.news = self.news, []
        return news

    def close(self) -> None:
        pass


class Watched:
    """A job watch with one executor elsewhere, ``cluster``, and the clock in the test's hands."""

    def __init__(self, folder: Path, histories: Callable[[str], History]) -> None:
        self.paths = SimpleNamespace(
            jobs=folder, config_file=folder / "c", deployment=folder, outbox=folder / "outbox"
        )
        registry = registry_of(
            {"executors": {"cluster": {"kind": "slurm", "resources": {"cpus": 2}}},
             "message registry": {"workers": {"w": {"timeout": "1h"}}}}
        )  # fmt: skip
        self.clusters: list[Cluster] = []
        here = SimpleNamespace(
            hints=list, connect=lambda: True, cancel=lambda *_: False, fileno=lambda: 0
        )
        self.remote = RemoteJobs(registry.executors, {}, {"slurm": self._make}, None)  # type: ignore[arg-type]
        self.remote._poll = SimpleNamespace(register=lambda *_: None)  # type: ignore[assignment]
        self.now = 0.0
        self.watch = JobWatch(
            here, self.remote, self.paths, registry, lambda: self.now, histories  # type: ignore[arg-type]
        )  # fmt: skip

    def _make(self, target: Any, around: Any) -> Cluster:
        self.clusters.append(Cluster(target, around))
        return self.clusters[-1]

    @property
    def cluster(self) -> Cluster:
        (cluster,) = self.clusters
        return cluster

    def launch(self, **more: Any) -> JobRecord:
        job = job_of(**more)
        self.watch.launch(job)
        return job

    def folder(self, job: JobRecord) -> Path:
        (order, *_) = (request for _, request in self.cluster.orders if request.id == job.id)
        folder = Path(order.folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def claim(self, job: JobRecord) -> None:
        (self.folder(job) / "pid").write_text(json.dumps(CLAIM.to_json()))

    def exit(self, job: JobRecord, code: int | None, signal: int | None = None) -> Exit:
        record = Exit(code, signal, NOW, None, 1000, 1.0)
        (self.folder(job) / "exit").write_text(json.dumps(record.to_json()))
        return record

    def tell(self, job: JobRecord) -> list[Happening]:
        """Give what happens when there is news of a job, and no scan is due."""
        self.cluster.news.append(job.id)
        return list(self.watch.happenings())


def job_of(**more: Any) -> JobRecord:
    values: dict[str, Any] = {
        "id": new_id(), "worker": "w", "module": "workers.w", "arguments": (),
        "host": "localhost", "executor": "cluster", "state": "submitting", "attempt": 1,
        "predecessor": None, "cause": None, "chain": "c", "barrier": None, "created": NOW,
    }  # fmt: skip
    return JobRecord(**(values | more))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, lambda worker: History(7, 100.0))


def test_a_job_is_given_to_its_executor_with_what_it_asks_for(watched: Watched) -> None:
    job = watched.launch()
    ((order, request),) = watched.cluster.orders
    assert (order, request.id, request.executor) == ("submit", job.id, "cluster")
    assert request.resources.cpus == 2
    watched.watch.end(job, NOW)
    assert [order for order, _ in watched.cluster.orders] == ["submit", "cancel"]


def test_a_job_of_an_earlier_manager_is_followed(watched: Watched) -> None:
    watched.watch.adopt(job_of(state="running"))
    assert [order for order, _ in watched.cluster.orders] == ["follow"]


def test_a_job_of_an_executor_that_is_gone_is_lost_with_a_sentence(watched: Watched) -> None:
    job = job_of(state="running", executor="old")
    watched.watch.adopt(job)
    (lost,) = watched.watch.happenings()
    assert isinstance(lost, Lost)
    assert lost.reason.startswith("there is no executor 'old'")


def test_what_the_system_beneath_says_is_told_when_it_changes(watched: Watched) -> None:
    job = watched.launch()
    assert watched.tell(job) == []
    pending = Native("17", "PENDING", "Resources")
    for native, told in (
        (pending, 1), (pending, 0), (Native("17", "PENDING", "Resources", unknown=True), 1),
        (pending, 1), (Native("17", "RUNNING"), 1),
    ):  # fmt: skip
        watched.cluster.natives[job.id] = native
        assert watched.tell(job) == [NativeChanged(job.id, native)] * told


def test_what_was_known_before_is_not_told_again(watched: Watched) -> None:
    native = Native("17", "RUNNING")
    job = job_of(state="running", native=native.to_json())
    watched.watch.adopt(job)
    watched.cluster.natives[job.id] = native
    assert watched.tell(job) == []


def test_exit_decides(watched: Watched) -> None:
    job = watched.launch()
    watched.claim(job)
    assert watched.tell(job) == [Claimed(job.id, 1, NOW)]
    assert watched.tell(job) == []
    record = watched.exit(job, 0)
    watched.cluster.verdicts[job.id] = Verdict("crashed", "its node failed")
    (ended,) = watched.tell(job)
    assert isinstance(ended, Ended)
    assert ended.exit == record.to_json()
    assert "exited with code 0" in ended.reason


@pytest.mark.parametrize(
    ("verdict", "happening"),
    [
        (Verdict("lost", "nobody knows"), Lost),
        (Verdict("crashed", "its node failed"), Ended),
        (Verdict("timed out", "its time limit"), Ended),
    ],
)
@pytest.mark.parametrize("claimed", [True, False])
def test_a_verdict_tells_how_a_job_ended_that_left_nothing(
    watched: Watched, verdict: Verdict, happening: type[Ended | Lost], claimed: bool
) -> None:
    job = watched.launch()
    watched.folder(job)
    if claimed:
        watched.claim(job)
        watched.tell(job)
    watched.cluster.verdicts[job.id] = verdict
    (told,) = watched.tell(job)
    assert isinstance(told, happening)
    assert told.reason == verdict.reason
    if isinstance(told, Ended):
        assert told.by_system == verdict.kind


def test_a_signal_waits_for_the_word_of_the_system_beneath(watched: Watched) -> None:
    job = watched.launch()
    watched.claim(job)
    watched.tell(job)
    record = watched.exit(job, None, 15)
    watched.cluster.asking.add(job.id)
    assert watched.tell(job) == []
    watched.cluster.asking.clear()
    watched.cluster.verdicts[job.id] = Verdict("timed out", "Slurm ended it at its time limit")
    assert watched.tell(job) == [
        Ended(job.id, record.to_json(), "Slurm ended it at its time limit", "timed out")
    ]


def test_jobs_elsewhere_are_looked_at_seldom_without_news(watched: Watched) -> None:
    """A thousand may wait for days, and a look at each of them costs."""
    for _ in range(1000):
        watched.launch()
    looked: list[str] = []
    watched.cluster.native = looked.append  # type: ignore[assignment,method-assign]
    for turn in range(1, 6):
        watched.now += 0.5
        list(watched.watch.happenings())
        assert len(looked) == turn * SCANNED_ELSEWHERE_AT_ONCE
    assert len(set(looked)) == len(looked)


def test_timeouts_and_slow_jobs_go_by_the_age_that_the_executor_knows(watched: Watched) -> None:
    job = watched.launch()
    watched.claim(job)
    assert watched.tell(job) == [Claimed(job.id, 1, NOW)]
    watched.cluster.ages[job.id] = 4000.0
    assert watched.tell(job) == [Overran(job.id, 3600.0), Slow(job.id, 200.0, 7, 100.0)]
    assert watched.tell(job) == []
    told = watched.launch(slow=NOW)
    watched.claim(told)
    watched.cluster.ages[told.id] = 300.0
    assert watched.tell(told) == [Claimed(told.id, 1, NOW)]


# --- what becomes of it


def state_of(job: JobRecord) -> State:
    return State(jobs={job.id: job})


def test_the_first_word_of_the_system_beneath_says_when_it_had_taken_the_job() -> None:
    job = job_of(submitted=None)
    step = native_changed(state_of(job), job, Native("17", "PENDING", "Priority"), NOW)
    taken = step.state.jobs[job.id]
    assert taken.submitted == NOW
    assert taken.native == {"id": "17", "state": "PENDING", "reason": "Priority", "unknown": False}
    later = native_changed(step.state, taken, Native("17", "RUNNING"), "2026-11-22T04:00:00Z")
    assert later.state.jobs[job.id].submitted == NOW


def test_a_job_that_its_system_ended_for_its_time_is_timed_out() -> None:
    job, registry = job_of(state="running"), registry_of({})
    reason = "Slurm ended it at its time limit"
    step = process_ended(
        state_of(job), registry, job, {}, reason, NOW, lambda *_: None, by_system="timed out"
    )
    ended = step.changes[-1].job  # type: ignore[union-attr]
    assert (ended.state, ended.reason) == ("timed out", reason)


def test_a_slow_job_is_told_once_and_not_after_its_end() -> None:
    job = job_of(state="running")
    happening = Slow(job.id, 7200.0, 12, 3600.0)
    step = slow(state_of(job), job, happening, NOW)
    assert step.state.jobs[job.id].slow == NOW
    (note,) = step.notes
    assert note.text == (
        "w has run for more than 2 h: its last 12 jobs that succeeded took 1 h at most "
        f"(job {job.id})"
    )
    (message,) = (change for change in step.changes if isinstance(change, MessageReceived))
    assert (message.message.source, message.message.type) == ("nowcast", "slow")
    assert slow(step.state, step.state.jobs[job.id], happening, NOW).changes == ()
    for over in (job_of(state="succeeded"), job_of(state="running", timed_out=NOW)):
        assert slow(state_of(over), over, happening, NOW).changes == ()


@pytest.mark.parametrize(
    ("executor", "host", "submitted"),
    [("local", "localhost", NOW), ("ssh", "east", NOW), ("agents", "localhost", NOW),
     ("slurm", "localhost", None)],
)  # fmt: skip
def test_a_batch_system_says_itself_when_it_had_taken_a_job(
    executor: str, host: str, submitted: str | None
) -> None:
    registry = registry_of({"run": {"enabled hosts": {"east": None}}})
    job = job_of(state="waiting", executor=executor, host=host)
    step = Admission(registry, uptime, lambda: NOW).admit(state_of(job), ())
    launched = step.state.jobs[job.id]
    assert (launched.state, launched.submitted) == ("submitting", submitted)
