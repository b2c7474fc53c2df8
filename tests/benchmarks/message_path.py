"""Round trips a second through broker and manager, beside what the same broker could do at most.

REQ clients in this process, the real broker, and in the manager's place first an echo, then one
that commits each batch to SQLite with one synced transaction and nothing else: the ceilings. Then
the real manager, with checklists of three sizes. A round trip of the manager counts when the
decision that follows from it is committed.

``.venv/bin/python tests/benchmarks/message_path.py [SECONDS]``, for each single measurement.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import yaml
import zmq
from deployment import (
    Deployment,
    cpu_seconds,
    daemon,
    deployment,
    median_fsync_ms,
    running_system,
)

from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message

WORKERS = [f"w{number}" for number in range(10)]
NEXT_WORKERS = "\n".join(
    f"def after_{name}(msg, config, checklist):\n"
    f"    return {{'success': [], 'failure': [], 'crash': []}}[msg.type]\n"
    for name in WORKERS
)
ACK = b'{"source": "manager", "type": "ack", "payload": null}'
CLIENTS = (1, 8)
SIZES = {"1 KB": 1_000, "50 KB": 50_000, "1 MB": 1_000_000}
NOTE = "x" * 190


@dataclass(frozen=True)
class Measured:
    """What a run of clients saw: round trips a second, and times in milliseconds.

    ``cpu`` is that of broker and manager together, a message.
    """

    per_second: float
    p50: float
    p99: float
    cpu: float

    def __str__(self) -> str:
        times = f"p50 {self.p50:6.2f} ms   p99 {self.p99:6.2f} ms   CPU {self.cpu:.2f} ms a message"
        return f"{self.per_second:8.0f}/s   {times}"


def body(number: int) -> bytes:
    """Give a message of about 300 bytes, as a worker's library sends it."""
    payload = {"note": NOTE, "number": number}
    message = Message(WORKERS[number % 10], "success", payload, id=new_id(), outcome="success")
    return message.encode()


def drive(port: int, clients: int, seconds: float) -> tuple[int, float, list[float]]:
    """Let clients ask as fast as they are answered; gives answers, seconds, and times of each."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    poller, asked, taken, number = zmq.Poller(), {}, [], 0
    for _ in range(clients):
        request = context.socket(zmq.REQ)
        request.linger = 0
        request.connect(f"tcp://127.0.0.1:{port}")
        poller.register(request, zmq.POLLIN)
        number += 1
        asked[request] = time.perf_counter()
        request.send(body(number))
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for request, _ in poller.poll(10_000):
            request.recv()
            taken.append(time.perf_counter() - asked[request])
            number += 1
            message = body(number)
            asked[request] = time.perf_counter()
            request.send(message)
    lasted = time.perf_counter() - began
    for request in asked:
        request.close()
    return len(taken), lasted, taken


def measure(port: int, clients: int, seconds: float, pids: list[int]) -> Measured:
    """Warm up for a moment, then measure; ``pids`` are of broker and manager."""
    drive(port, clients, 0.5)
    cpu = sum(map(cpu_seconds, pids))
    answers, lasted, taken = drive(port, clients, seconds)
    cpu = sum(map(cpu_seconds, pids)) - cpu
    taken.sort()
    p99 = taken[int(0.99 * (len(taken) - 1))]
    return Measured(answers / lasted, 1e3 * median(taken), 1e3 * p99, 1e3 * cpu / answers)


def stand_in(port: int, database: Path | None) -> None:
    """Answer all that comes; with a ``database``, commit each batch before."""
    manager = zmq.Context().socket(zmq.DEALER)
    manager.connect(f"tcp://127.0.0.1:{port}")
    store = None
    if database is not None:
        store = sqlite3.connect(database, isolation_level=None)
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
        store.execute("CREATE TABLE message (number INTEGER PRIMARY KEY, body TEXT)")
    while True:
        batch = [manager.recv_multipart()]
        while len(batch) < 100:
            try:
                batch.append(manager.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
        if store is not None:
            store.execute("BEGIN IMMEDIATE")
            store.executemany(
                "INSERT INTO message (body) VALUES (?)", [(frames[-1],) for frames in batch]
            )
            store.execute("COMMIT")
        for frames in batch:
            manager.send_multipart([*frames[:-1], ACK])


def ceiling(made: Deployment, seconds: float, database: Path | None) -> dict[int, Measured]:
    """Measure the broker with a stand-in for the manager, by number of clients."""
    with daemon(made, "nowcast_cli.broker", "message_broker") as broker:
        process = multiprocessing.Process(
            target=stand_in, args=(made.manager_port, database), daemon=True
        )
        process.start()
        assert process.pid is not None
        pids = [broker.pid, process.pid]
        try:
            return {each: measure(made.workers_port, each, seconds, pids) for each in CLIENTS}
        finally:
            process.kill()
            process.join()


def fill_checklist(made: Deployment, size: int) -> None:
    """Leave a checklist file of ``size`` bytes, all below one key that messages change too."""
    entry = "x" * 980
    value = {f"k{number}": entry for number in range(size // 1000)}
    checklist = made.paths.checklist_file
    checklist.parent.mkdir(parents=True, exist_ok=True)
    checklist.write_text(yaml.dump({"W0": value}, Dumper=yaml.CSafeDumper))


def decided(made: Deployment) -> int:
    """Count the messages whose decision is committed."""
    with sqlite3.connect(f"file:{made.paths.database}?mode=ro", uri=True) as store:
        return int(
            store.execute("SELECT count(*) FROM message WHERE state = 'decided'").fetchone()[0]
        )


def real(size: int, seconds: float, say: Callable[[str], None]) -> dict[int, Measured]:
    """Measure the real manager by number of clients; a second, what is decided counts."""
    seen = {}
    for clients in CLIENTS:
        with deployment(WORKERS, NEXT_WORKERS) as made:
            fill_checklist(made, size)
            with running_system(made) as (broker, manager):
                drive(made.workers_port, clients, 0.5)
                before, began = decided(made), time.perf_counter()
                answered = measure(made.workers_port, clients, seconds, [broker.pid, manager.pid])
                rate = (decided(made) - before) / (time.perf_counter() - began)
                seen[clients] = replace(answered, per_second=rate)
                say(f"{clients} clients  {seen[clients]}")
    return seen


def main(seconds: float) -> None:
    """Measure and print everything."""
    with deployment(WORKERS, NEXT_WORKERS) as made:
        print(f"\nRound trips through broker and manager, {seconds:g} s each")
        print(f"median fsync of 4 KiB on this disk: {median_fsync_ms(made.folder):.3f} ms")
        echo = ceiling(made, min(seconds, 10), None)
        synced = ceiling(made, seconds, made.folder / "ceiling.db")
    for clients in CLIENTS:
        print(f"  ceiling, echo:                  {clients} clients  {echo[clients]}")
        print(f"  ceiling, one synced commit:     {clients} clients  {synced[clients]}")
    seen = {}
    for name, size in SIZES.items():
        seen[name] = real(
            size, seconds, lambda line, n=name: print(f"  checklist of {n:>5}: {line}")
        )
    for clients in CLIENTS:
        best = synced[clients]
        parts = (
            f"{name} {each[clients].per_second / best.per_second:.2f} "
            f"({each[clients].cpu / best.cpu:.1f} times its CPU)"
            for name, each in seen.items()
        )
        print(f"  part of the synced ceiling, {clients} clients: {', '.join(parts)}")
    flat = seen["1 MB"][8].per_second / seen["1 KB"][8].per_second
    print(f"  1 MB beside 1 KB at 8 clients: {flat:.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
