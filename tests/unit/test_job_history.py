"""What jobs have cost, taken together, and which take far longer than any before."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.cli.executor_report import Load, loads_of
from nowcast_cli.cli.job_stats import spread_of, stats_of
from nowcast_cli.cli.job_view import as_json, how_it_went, row, stats_as_json, stats_rows
from nowcast_cli.cli.status_screen import _load_words
from nowcast_cli.cli.waiting import Waiting
from nowcast_cli.config.executors import Executors, ExecutorSettings
from nowcast_cli.executors.native import Native
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.slowness import ENOUGH, REMEMBERED, History, Slowness
from nowcast_cli.store.database import Store
from nowcast_cli.store.job_figures import Figures, figures_of, run_times, runs_of
from nowcast_cli.store.job_loads import Load as StoredLoad
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobPut, JobRecord

seconds = st.floats(0, 1e7)


def job_of(**more: Any) -> JobRecord:
    values: dict[str, Any] = {
        "id": new_id(), "worker": "w", "module": "workers.w", "arguments": (),
        "host": "localhost", "executor": "local", "state": "succeeded", "attempt": 1,
        "predecessor": None, "cause": None, "chain": "c", "barrier": None,
        "created": "2026-11-22T03:00:00.000Z", "submitted": "2026-11-22T03:00:01.000Z",
        "started": "2026-11-22T03:00:04.500Z", "ended": "2026-11-22T03:10:04.500Z",
        "exit": {"code": 0, "finished_at": "2026-11-22T03:10:05.500Z", "peak_memory": 5_000_000,
                 "cpu_seconds": 7.5},
    }  # fmt: skip
    return JobRecord(**(values | more))


FIGURES = Figures(3.5, 601.0, 5_000_000, 7.5)
UNKNOWN = job_of(state="running", submitted=None, started=None, ended=None, exit=None)


def test_a_job_tells_its_figures_as_far_as_they_are_known() -> None:
    assert figures_of(job_of()) == FIGURES
    assert figures_of(UNKNOWN) == Figures()
    # Without an exit its message says when it ended; clocks of two hosts may disagree.
    late = job_of(exit={}, submitted="2026-11-22T03:00:09.000Z")
    assert figures_of(late) == Figures(0.0, 600.0, None, None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "nowcast.db")


def test_the_store_reckons_as_the_records_do(store: Store) -> None:
    jobs = [
        job_of(), job_of(exit={}), job_of(state="failed", submitted=None), UNKNOWN,
        job_of(worker="other"), job_of(created="2026-11-21T00:00:00.000Z"),
    ]  # fmt: skip
    store.commit([JobPut(job) for job in jobs])
    with Reader(store.path) as reader:
        runs = list(reader.runs("w", "2026-11-22"))
    assert [run.job for run in runs] == [job.id for job in reversed(jobs[:3])]
    for run, job in zip(reversed(runs), jobs, strict=False):
        known = figures_of(job)
        assert run.state == job.state
        assert run.figures.queue_wait == pytest.approx(known.queue_wait, abs=1e-3)
        assert run.figures.run_time == pytest.approx(known.run_time, abs=1e-3)
        assert run.figures.peak_memory == known.peak_memory
    assert store.run_times("w", 10) == pytest.approx([601, 600, 601], abs=1e-3)
    assert store.run_times("w", 1) == pytest.approx([601], abs=1e-3)
    assert store.run_times("nobody", 10) == []


def test_figures_are_found_by_an_index(store: Store) -> None:
    statements: list[str] = []
    with sqlite3.connect(store.path) as connection:
        connection.set_trace_callback(statements.append)
        run_times(connection, "w", REMEMBERED)
        list(runs_of(connection, "w"))
        connection.set_trace_callback(None)
        for statement in statements:
            if "FROM job" in statement or "FROM (SELECT" in statement:
                plan = str(connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())
                assert "job_worker" in plan, statement
    connection.close()


@given(st.lists(st.tuples(seconds, st.uuids().map(str)), min_size=1))
def test_percentiles_are_values_that_there_were(values: list[tuple[float, str]]) -> None:
    spread = spread_of(values)
    assert spread is not None
    known = sorted(value for value, _ in values)
    assert {spread.p50, spread.p95, spread.most} <= set(known)
    assert spread.p50 <= spread.p95 <= spread.most == known[-1]
    assert (spread.most, spread.job) in values
    for percent, value in ((50, spread.p50), (95, spread.p95)):
        assert sum(each <= value for each in known) * 100 >= percent * len(known)
        assert sum(each < value for each in known) * 100 < percent * len(known)


def test_what_is_known_of_no_job_has_no_spread() -> None:
    assert spread_of([]) is None
    assert spread_of([(None, "a")]) is None
    assert stats_as_json(stats_of([])) == {
        "jobs": 0, "succeeded": 0, "success_share": None, "queue_wait": None, "run_time": None,
        "peak_memory": None, "cpu_seconds": None,
    }  # fmt: skip


def test_jobs_that_did_not_succeed_do_not_say_how_long_the_work_takes(store: Store) -> None:
    store.commit([JobPut(job_of()), JobPut(job_of(state="failed", exit={"peak_memory": 1}))])
    with Reader(store.path) as reader:
        stats = stats_of(reader.runs("w"))
    assert (stats.jobs, stats.succeeded) == (2, 1)
    assert stats.queue_wait is not None
    assert stats.queue_wait.count == 2
    assert stats.run_time is not None
    assert stats.run_time.count == 1
    rows = stats_rows(stats)
    assert [str(row[0]) for row in rows] == [
        "queue wait", "run time", "peak memory", "cpu seconds",
    ]  # fmt: skip
    assert rows[2][1:4] == ["5.0 MB"] * 3


# --- far longer than ever


@given(st.lists(seconds))
def test_a_job_is_slow_well_beyond_the_slowest_and_with_a_history_alone(runs: list[float]) -> None:
    limit = Slowness(lambda worker, most: runs[:most]).history_of("w").slow_after()
    known = runs[:REMEMBERED]
    if len(known) < ENOUGH:
        assert limit is None
    else:
        assert limit is not None
        assert limit >= 2 * max(known)
        assert limit >= max(known) + 30


def test_a_history_follows_what_ends_and_forgets_what_is_old() -> None:
    asked: list[str] = []

    def run_times(worker: str, most: int) -> list[float]:
        asked.append(worker)
        return [1.0] * (most - 1) + [500.0]  # the newest first

    slowness = Slowness(run_times)
    assert slowness.history_of("w") == History(REMEMBERED, 500.0)
    slowness.follow([JobPut(UNKNOWN), JobPut(job_of(state="failed")), JobPut(job_of(worker="x"))])
    assert slowness.history_of("w") == History(REMEMBERED, 500.0)
    slowness.follow([JobPut(job_of())])
    assert slowness.history_of("w") == History(REMEMBERED, 601.0)
    assert asked == ["w"]


# --- shown


def test_a_pending_job_tells_why_it_waits_and_what_is_only_the_last_that_was_known() -> None:
    native = Native("4711", "PENDING", "Resources")
    job = replace(UNKNOWN, state="submitting", executor="cluster", native=native.to_json())
    assert row(job, None)[2] == "cluster 4711"
    assert row(job, None)[-1] == "PENDING (Resources)"
    unknown = replace(job, native=replace(native, unknown=True).to_json())
    assert row(unknown, None)[-1] == "PENDING (Resources), as last known"
    as_ours = replace(job, state="running", native=Native("east", "running").to_json())
    assert row(as_ours, None)[-1] == ""
    told = dict(map(tuple, how_it_went(unknown, None)))  # type: ignore[arg-type]
    assert told["executor"] == "cluster: 4711, PENDING (Resources), as last known"
    ended = replace(job_of(), executor="cluster", native=Native("4711", "RUNNING").to_json())
    assert row(ended, None)[-1] == ""
    told = dict(map(tuple, how_it_went(ended, None)))  # type: ignore[arg-type]
    assert told["executor"] == "cluster: 4711, last seen RUNNING"
    gone = replace(ended, native=Native("4711", "RUNNING", unknown=True).to_json())
    told = dict(map(tuple, how_it_went(gone, None)))  # type: ignore[arg-type]
    assert told["executor"] == "cluster: 4711, last seen RUNNING"
    assert told["started"].endswith(", after 3.5 s in the queue")
    document = as_json(ended)
    assert document["native"]["id"] == "4711"
    assert document["run_time"] == 601.0
    assert row(replace(job_of(), executor="ssh", host="east"), None)[2] == "east"


def test_the_load_of_an_executor_is_summed_up_under_its_name() -> None:
    executors = Executors(
        declared={"cluster": ExecutorSettings("cluster", "slurm", "head")}, hosts=("head", "east")
    )
    stored = [
        StoredLoad("ssh", "east", "running", None, False, 2),
        StoredLoad("cluster", "head", "running", "RUNNING", False, 3),
        StoredLoad("cluster", "head", "submitting", "PENDING (Priority)", True, 4),
        StoredLoad("cluster", "old", "submitting", "PENDING (Priority)", False, 1),
        StoredLoad("gone", "x", "submitting", None, False, 1),
    ]
    assert loads_of(stored, executors) == {
        "east": Load(2, 0),
        "cluster": Load(3, 5, {"PENDING (Priority)": 5, "RUNNING": 3}, 4),
        "gone": Load(0, 1),
    }


def test_the_store_counts_open_jobs_by_executor_and_state(store: Store) -> None:
    pending = Native("1", "PENDING", "Resources").to_json()
    opened = {"started": None, "ended": None, "exit": None}
    store.commit(
        [
            JobPut(job_of(state="submitting", executor="c", native=pending, **opened)),
            JobPut(job_of(state="submitting", executor="c", native=pending, **opened)),
            JobPut(job_of(state="running", executor="c", native={**pending, "state": "RUNNING",
                          "reason": "", "unknown": True}, **opened)),
            JobPut(job_of(state="running", slow="2026-11-22T04:00:00Z", **opened)),
            JobPut(job_of(state="waiting", **opened)),
            JobPut(job_of(slow="2026-11-22T04:00:00Z")),
        ]
    )  # fmt: skip
    with Reader(store.path) as reader:
        assert reader.loads() == [
            StoredLoad("c", "localhost", "submitting", "PENDING (Resources)", False, 2),
            StoredLoad("c", "localhost", "running", "RUNNING", True, 1),
            StoredLoad("local", "localhost", "running", None, False, 1),
        ]
        assert [job.executor for job in reader.slow_jobs()] == ["local"]


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (StoredLoad("c", "localhost", "running", "RUNNING", False, 2), "2 running"),
        (StoredLoad("c", "localhost", "running", "RUNNING", True, 2), "2 running, as last known"),
        (StoredLoad("c", "localhost", "running", "SUSPENDED", False, 1), "1 running, SUSPENDED"),
        (StoredLoad("c", "localhost", "submitting", "PENDING (Priority)", False, 1),
         "1 queued, PENDING (Priority)"),
        (StoredLoad("ssh", "east", "submitting", None, False, 1), "1 queued"),
    ],
)  # fmt: skip
def test_status_says_nothing_twice(load: StoredLoad, said: str) -> None:
    assert _load_words(load) == said


def test_a_job_that_nobody_has_taken_says_where_to_look(store: Store) -> None:
    opened = {"started": None, "ended": None, "exit": None, "submitted": None}
    job = job_of(state="submitting", executor="ssh", host="east", **opened)
    with Reader(store.path) as reader:
        why = Waiting(reader, {}).why
        assert why(job) == "no word of it from east as yet; `nowcast status` may say why"
        there = replace(job, executor="cluster")
        assert why(there) == "no word of it from cluster as yet; `nowcast status` may say why"
        assert why(replace(job, executor="local", host="localhost")) is None
