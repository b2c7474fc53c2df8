"""How many calls of an action a second the action host and its workers do.

``.venv/bin/python tests/benchmarks/action_calls.py [CALLS [WORKERS [IN_FLIGHT]]]``. The host and
its workers are the real ones; this process is broker and manager, and does little: its orders are
made before the clock runs, and its results are counted and not read.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from action_hosts import ActionHostWorld, order, write_deployment
from nowcast_cli.messages.performing import (
    ALIVE,
    Acknowledged,
    order_text,
)

COMPONENTS = """
def nothing(**values):
    return values

def with_context(context, **values):
    return values
"""
SIZE = 300  # bytes of an order's values, about


def main(calls: int = 50_000, workers: int = 2, in_flight: int = 128) -> None:
    folder = Path(tempfile.mkdtemp())
    mapping = {"?Test?nothing": "parts.nothing", "?Test?with_context": "parts.with_context"}
    file = write_deployment(folder, COMPONENTS, mapping, **{"action workers": workers})
    world = ActionHostWorld(file).start()
    try:
        for component in ("nothing", "with_context"):
            _run(world, component, calls // 10, in_flight)
            before = _cpu(world)
            seconds = _run(world, component, calls, in_flight)
            used = {
                name: round((_cpu(world)[name] - before[name]) / calls * 1e6) for name in before
            }
            print(f"{component}: {calls / seconds:,.0f} calls/s; µs of CPU a call: {used}")
        times = sorted(_one_by_one(world, 2000))
        median, late = statistics.median(times), times[int(len(times) * 0.99)]
        print(f"one at a time: {median * 1e6:.0f} µs at the median, {late * 1e6:.0f} µs at p99")
        world.stop()
    finally:
        world.close()


def _run(world: ActionHostWorld, component: str, calls: int, in_flight: int) -> float:
    texts = _orders(component, calls)
    began, sent, done = time.perf_counter(), 0, 0
    while done < calls:
        room = in_flight - (sent - done)
        if room >= in_flight // 4 and sent < calls:
            batch = list(islice(texts, room))
            world.router.send_multipart([world.identity, b"orders", *batch])
            sent += len(batch)
        done += _take(world)
    return time.perf_counter() - began


def _orders(component: str, calls: int) -> Iterator[bytes]:
    values = {"text": "x" * (SIZE - 180), "number": 3.25, "list": [1, 2, 3]}
    made = [
        order_text(order(f"{component}-{number}", component, **values)) for number in range(calls)
    ]
    return iter(made)


def _take(world: ActionHostWorld) -> int:
    identity, kind, *texts = world.router.recv_multipart()
    if kind == ALIVE:
        world.router.send_multipart([identity, ALIVE])
        return 0
    if kind != b"done":
        return 0
    ids = tuple(text[7 : text.index(b'"', 7)].decode() for text in texts)  # {"id":"…
    world.say(Acknowledged(ids))
    return len(ids)


def _one_by_one(world: ActionHostWorld, calls: int) -> Iterator[float]:
    for text in _orders("nothing", calls):
        began = time.perf_counter()
        world.router.send_multipart([world.identity, b"orders", text])
        while not _take(world):
            pass
        yield time.perf_counter() - began


def _cpu(world: ActionHostWorld) -> dict[str, float]:
    """Give the seconds of CPU time that the host and its workers together have used."""
    assert world.process is not None
    host = world.process.pid
    found = {"host": _ticks(host), "workers": 0.0}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == host:
            found["workers"] += _ticks(int(folder.name))
    return found


def _ticks(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
