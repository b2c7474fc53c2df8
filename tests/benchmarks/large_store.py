"""A store like that of a busy system after a year, and what it costs to start and to look at.

100,000 jobs of 30 workers in chains of 20 jobs, and 5 million messages: of each job the messages in
between, and its last one. Made in the build folder and kept there; that takes minutes and 4 GB.

``.venv/bin/python tests/benchmarks/large_store.py [MESSAGES]``.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from at_rest import NOWCAST, TAB
from deployment import SCRATCH, Deployment, daemon, deployment, resident_megabytes

from nowcast_cli.messages.message import Message
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    Change,
    ChecklistPut,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
)

JOBS = 100_000
MESSAGES = 5_000_000
WORKERS = [f"w{number:02}" for number in range(30)]
CHAIN = 20
A_TRANSACTION = 20_000
YEAR = timedelta(days=365)
ENDED = [("succeeded", "success")] * 17 + [("failed", "failure")] * 2 + [("crashed", "crash")]
NEXT_WORKERS = "\n".join(
    f"def after_{name}(msg, config, checklist):\n    return []\n" for name in WORKERS
)
COMMANDS = {
    "status": ["status"],
    "job list": ["job", "list"],
    "job list of a worker": ["job", "list", "--worker", "w03"],
    "job list of a state": ["job", "list", "--state", "crashed"],
    "job stats": ["job", "stats", "w03"],
    "message list": ["message", "list"],
    "message list of a worker": ["message", "list", "--source", "w03"],
    "stuck messages": ["message", "list", "--state", "stuck"],
    "checklist history": ["checklist", "history", "W03"],
    "logs": ["logs"],
}


def identifier(at: datetime, number: int) -> str:
    """Give an id of that time (a UUID version 7), different for each number."""
    stamp = f"{int(at.timestamp() * 1000):012x}"
    chance = f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}"
    return f"{stamp[:8]}-{stamp[8:]}-7{number % 4096:03x}-8{chance[:3]}-{chance[3:15]}"


def text_of(at: datetime) -> str:
    """Give a time in the form of the store."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def changes(jobs: int, messages: int, last: datetime) -> Iterator[Change]:
    """Give the rows of a year that ends at ``last``, in the order in which they came to be."""
    each = messages // jobs
    number, chain = 0, ""
    for index in range(jobs):
        began = last - YEAR * (jobs - index) / jobs
        worker = WORKERS[index % len(WORKERS)]
        state, outcome = ENDED[index * 7919 % len(ENDED)]
        job = identifier(began, index)
        chain = job if index % CHAIN == 0 else chain
        for position in range(each):
            number += 1
            at = began + YEAR / messages * position
            final = position == each - 1
            kind = outcome if final else "progress"
            payload = {"note": "x" * 160, f"run {position}": text_of(began)[:10]}
            message = Message(
                worker, kind, payload, id=identifier(at, jobs + number), job=job,
                outcome=outcome if final else None,  # type: ignore[arg-type]
            )  # fmt: skip
            yield MessageReceived(
                MessageRecord(
                    number, str(message.id), text_of(at), worker, kind, message.encode().decode(),
                    job, chain, message.outcome, "decided", decided=text_of(at), effect="put",
                    checklist_key=f"{worker.upper()}\n...\n",
                )
            )  # fmt: skip
        yield JobPut(
            JobRecord(
                job, worker, f"workers.{worker}", (), "localhost", "local",
                state,  # type: ignore[arg-type]
                1, None, None if job == chain else number - each, chain, None, text_of(began),
                text_of(began), text_of(began + timedelta(seconds=60)), 4711,
                {"code": 0, "signal": None}, None, number,
            )
        )  # fmt: skip


def fill(database: Path, jobs: int, messages: int, last: datetime) -> None:
    """Write the rows with the store's own hand."""
    store = Store(database)
    batch: list[Change] = []
    for change in changes(jobs, messages, last):
        batch.append(change)
        if len(batch) == A_TRANSACTION:
            store.commit(batch)
            batch.clear()
    store.commit([*batch, *(ChecklistPut(name.upper(), {"note": "x"}, None) for name in WORKERS)])
    store.save_checklist(store.last_number())
    store.close()


def kept_store(jobs: int, messages: int) -> Path:
    """Give a file with such a store; made where it is not there yet."""
    database = SCRATCH / f"large-{messages}.db"
    if not database.exists():
        SCRATCH.mkdir(parents=True, exist_ok=True)
        unfinished = database.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        print(f"\nMaking a store of {jobs:,} jobs and {messages:,} messages", flush=True)
        fill(unfinished, jobs, messages, datetime.now(UTC))
        unfinished.rename(database)
    return database


@contextlib.contextmanager
def deployed(store: Path) -> Iterator[Deployment]:
    """Make a deployment that has the store, which goes back to its place."""
    with deployment(WORKERS, NEXT_WORKERS) as made:
        paths = made.paths
        paths.database.parent.mkdir(parents=True, exist_ok=True)
        store.rename(paths.database)
        try:
            yield made
        finally:
            paths.database.rename(store)


def taken(command: list[str], folder: Path, times: int = 7, **more: str) -> tuple[float, float]:
    """Give the median times of a command in milliseconds: passed, and of a processor."""
    passed, used = [], []
    for _ in range(times):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [NOWCAST, *command], cwd=folder, env=os.environ | more, capture_output=True,
            check=False,
        )  # fmt: skip
        passed.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1e3 * median(passed), 1e3 * median(used)


def main(messages: int = MESSAGES) -> None:
    """Measure and print everything."""
    store = kept_store(min(JOBS, messages // 50), messages)
    size = store.stat().st_size / 1e9
    print(
        f"\nA store of {messages:,} messages and {min(JOBS, messages // 50):,} jobs, {size:.1f} GB"
    )
    with deployed(store) as made:
        starts = []
        with daemon(made, "nowcast_cli.broker", "message_broker"):
            for _ in range(5):
                began = time.perf_counter()
                with daemon(made, "nowcast_cli.manager", "manager") as manager:
                    starts.append(time.perf_counter() - began)
                    memory = resident_megabytes(manager.pid)
        print(f"  the manager is ready after {min(starts):.2f} to {max(starts):.2f} s")
        print(f"  its memory: {memory:.1f} MB resident")
        for name, command in COMMANDS.items():
            passed, used = taken(command, made.folder)
            print(f"  {name:26} {passed:7.1f} ms   {used:6.1f} ms of a processor")
        words = {"COMP_WORDS": "nowcast job show ", "COMP_CWORD": "3"}
        passed, used = taken([], made.folder, **(TAB | words))
        print(f"  {'TAB for a job':26} {passed:7.1f} ms   {used:6.1f} ms of a processor")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES)
