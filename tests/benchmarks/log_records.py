"""What a log record costs its process: ``python tests/benchmarks/log_records.py [RECORDS]``.

CPU time and wall time in microseconds, the least of five rounds: to one log file, to two, and into
the file from which a process on another host sends its records. Then what the log aggregator takes
to bring such records into the logs, without the way between the hosts.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

from nowcast_cli.config.log_keeping import RecordsHandler
from nowcast_cli.identifiers import new_id
from nowcast_cli.logs.following import Follower
from nowcast_cli.logs.writing import LogWriter

FORMAT = logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s")
ROUNDS = 5


def watched(file: Path) -> logging.Handler:
    """Make the handler that a process of the system writes a log file with."""
    handler = WatchedFileHandler(file)
    handler.setFormatter(FORMAT)
    return handler


def emitted(handlers: list[logging.Handler], count: int) -> tuple[float, float]:
    """Log; gives CPU and wall time in microseconds a record."""
    logger = logging.getLogger("run_model")
    logger.propagate, logger.level, logger.handlers = False, logging.DEBUG, handlers
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(count):
        logger.debug("step %d of the model's long output", number)
    used = time.process_time() - cpu, time.perf_counter() - wall
    logger.handlers, logger.propagate = [], True
    return used[0] / count * 1e6, used[1] / count * 1e6


def brought(folder: Path, count: int) -> tuple[float, float]:
    """Bring records of a job elsewhere into a log file, as the aggregator does."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    root = logging.getLogger()
    root.level, root.handlers = logging.DEBUG, [watched(folder / "nowcast.log")]
    follower = Follower(
        folder / "jobs", folder / "received", folder / "offsets.json", (), [], LogWriter(), root
    )
    follower.turn(time.monotonic())
    emitted([RecordsHandler(folder / "jobs" / day / f"{new_id()}-run_model" / "records")], count)
    cpu, wall = time.process_time(), time.perf_counter()
    while follower.turn(time.monotonic()):
        pass
    used = time.process_time() - cpu, time.perf_counter() - wall
    root.handlers = []
    return used[0] / count * 1e6, used[1] / count * 1e6


def main(count: int) -> None:
    """Measure and print."""
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for kind, handlers in (
                ("to one log file", [watched(folder / "a.log")]),
                ("to two", [watched(folder / "b.log"), watched(folder / "c.log")]),
                ("into the file of records", [RecordsHandler(folder / "records")]),
            ):
                times.setdefault(kind, []).append(emitted(handlers, count))
            times.setdefault("brought into the logs", []).append(brought(folder, count))
    print(f"Python {sys.version.split()[0]}, {count} records, microseconds a record")
    for kind, found in times.items():
        cpu, wall = (min(values) for values in zip(*found, strict=True))
        print(f"{kind:30} CPU {cpu:6.1f}  wall {wall:6.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
