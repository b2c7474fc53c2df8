"""What is asked of the store costs the same in a journal of any length: counted, not timed."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.store.database import Store
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobPut, JobRecord, MessageReceived, MessageRecord

WORKERS = [f"w{number}" for number in range(8)]
SIZES = (1_000, 4_000)  # messages
A_JOB = 4  # messages of each
# Through a whole table, or an index of all its rows; those of some rows are short.
GOES_THROUGH = re.compile(
    r"SCAN (message|job|barrier)\b(?!.* (job_open|job_silent|barrier_active|message_special))"
)
SINCE = "2026-11-22T00:00:00.000Z"


def identifier(number: int) -> str:
    chance = number * 2654435761 % (1 << 32)
    return f"{number:08x}-0000-7000-8000-0000{chance:08x}"


def rows(messages: int) -> Iterator[MessageReceived | JobPut]:
    """Messages of jobs that have ended; the last two jobs run, and one message is stuck."""
    for number in range(1, messages + 1):
        index, position = divmod(number - 1, A_JOB)
        worker, job = WORKERS[index % len(WORKERS)], identifier(index)
        ends = position == A_JOB - 1
        at = f"2026-{1 + 10 * index // messages:02}-01T00:00:00.000Z"
        yield MessageReceived(
            MessageRecord(
                number, identifier(SIZES[1] + number), at, worker, "any", "{payload: 1}", job,
                identifier(index - index % 5), "success" if ends else None,
                "stuck" if number == messages // 2 else "decided", effect="put",
                checklist_key=f"{worker}\n...\n",
            )
        )  # fmt: skip
        if ends:
            state = {0: "failed", 5: "crashed"}.get(index % 10, "succeeded")
            runs = number > messages - 2 * A_JOB
            yield JobPut(
                JobRecord(
                    job, worker, f"workers.{worker}", (), "localhost", "local",
                    "running" if runs else state, 1, None, number,
                    identifier(index - index % 5), None, at, at, None if runs else at, 1,
                    None if runs else {}, None, None if runs or state == "crashed" else number,
                )
            )  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[Path]:
    paths = []
    for size in SIZES:
        paths.append(tmp_path_factory.mktemp("store") / "nowcast.db")
        store = Store(paths[-1])
        store.commit(list(rows(size)))
        store.save_checklist(size)
        store.close()
    return paths


QUESTIONS: dict[str, Callable[[Reader], Any]] = {
    "the last jobs": lambda reader: reader.jobs(limit=20),
    "the last jobs of a worker": lambda reader: reader.jobs(worker="w3", limit=20),
    "the last jobs of a state": lambda reader: reader.jobs(states={"failed"}, limit=20),
    "jobs that run": lambda reader: reader.jobs(states={"submitting", "running"}, limit=None),
    "jobs of a chain": lambda reader: reader.jobs(chain=identifier(5), limit=None),
    "jobs that follow a message": lambda reader: reader.jobs(cause=40, limit=None),
    "a job": lambda reader: reader.job(identifier(100)),
    "a job by its begin": lambda reader: reader.job(identifier(100)[:8]),
    "a job by its short id": lambda reader: reader.job(identifier(100)[-8:]),
    "jobs that ended silently": lambda reader: reader.ended_without_message(SINCE),
    "the last messages": lambda reader: reader.messages(limit=20),
    "the last messages of a worker": lambda reader: reader.messages(source="w3", limit=20),
    "the last messages of nobody": lambda reader: reader.messages(source="w99", limit=20),
    "stuck messages": lambda reader: reader.messages(states=["stuck"], limit=None),
    "late messages": lambda reader: reader.messages(states=["late"], limit=20),
    "decided messages": lambda reader: reader.messages(states=["decided"], limit=20),
    "decided ones of a worker": lambda reader: reader.messages(
        source="w3", states=["decided"], limit=20
    ),
    "stuck ones of a chain": lambda reader: reader.messages(
        chain=identifier(5), states=["stuck"], limit=None
    ),
    "a message": lambda reader: reader.message("17"),
    "a message by its id": lambda reader: reader.message_by_exact_id(identifier(1_000_000)),
    "a message by its begin": lambda reader: reader.message(f"{SIZES[1] + 1000:08x}"),
    "the last number": lambda reader: reader.last_number(),
    "the first message": lambda reader: reader.first_received(),
    "news": lambda reader: reader.news(900, 950, ["w3"]),
    "the last success": lambda reader: reader.last_success("w3"),
    "the last success of nobody": lambda reader: reader.last_success("w99"),
    "keys of the checklist": lambda reader: reader.checklist_keys(),
    "the last effects at a key": lambda reader: list(
        islice(reader.checklist_effects(["w3\n...\n"]), 20)
    ),
    "barriers": lambda reader: reader.barriers(),
    "counts": lambda reader: reader.counts(SINCE),
    "whether a chain is over": lambda reader: reader.chain_is_over(identifier(5)),
    "jobs that were launched": lambda reader: reader.launched("w3"),
}
FOR_A_MANAGER: dict[str, Callable[[Store], Any]] = {
    "effects since saved": lambda store: store.effects_since_saved(),
    "the last number": lambda store: store.last_number(),
    "a message by its id": lambda store: store.message_by_id(identifier(1_000_000)),
    "undecided messages": lambda store: store.undecided_messages(),
    "open jobs": lambda store: store.open_jobs(),
    "a job": lambda store: store.job(identifier(100)),
    "barriers": lambda store: (store.active_barriers(), store.last_barrier_number()),
}


def steps_of(connection: sqlite3.Connection, ask: Callable[[], Any]) -> int:
    """Count the steps of SQLite's virtual machine."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 1)
    ask()
    connection.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_costs_more_in_a_longer_journal(stores, question):
    steps = []
    for path in stores:
        with Reader(path) as reader:
            ask = QUESTIONS[question]
            steps.append(steps_of(reader._connection, lambda r=reader, a=ask: a(r)))
    assert steps[1] <= 1.2 * steps[0] + 50, f"{steps} steps in stores of {SIZES} messages"


@pytest.mark.parametrize("question", FOR_A_MANAGER)
def test_a_manager_that_starts_reads_what_is_open_alone(stores, question):
    steps = []
    for path in stores:
        store = Store(path)
        ask = FOR_A_MANAGER[question]
        steps.append(steps_of(store._connection, lambda s=store, a=ask: a(s)))
        store.close()
    assert steps[1] <= 1.2 * steps[0] + 50, f"{steps} steps in stores of {SIZES} messages"


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_goes_through_a_table_or_sorts_it(stores, question):
    with Reader(stores[0]) as reader:
        asked: list[str] = []
        reader._connection.set_trace_callback(asked.append)
        steps_of(reader._connection, lambda: QUESTIONS[question](reader))
        reader._connection.set_trace_callback(None)
        assert asked
        for statement in asked:
            plan = [row[3] for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            through = [line for line in plan if GOES_THROUGH.match(line)]
            # In the order of the key, which ends at the limit, nothing is gone through.
            in_order = "LIMIT" in statement and not any("TEMP B-TREE" in line for line in plan)
            assert not through or in_order, f"{statement}\n{plan}"
