"""What events add to the manager's work: to a step of a flow, and to a plain message.

Turns of a hundred changes, in this process: events made of them and numbered, the row written
(without a sync, which the turn has anyway), and handed to the broker where somebody listens.

``.venv/bin/python tests/benchmarks/events.py [TURNS]``
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.events import Events
from nowcast_cli.manager.inbox import Aside
from nowcast_cli.manager.state import State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import FlowRunPut, FlowRunRecord, FlowStepPut, StepRecord
from nowcast_cli.store.records import Change, ChecklistPut, MessageReceived, MessageRecord

CHANGES = 100
AT = "2026-11-22T03:00:00.000Z"
BODY = '{"source": "first", "type": "success", "payload": {"n": 1}}'
Made = Callable[[int], list[Change]]


def steps(turn: int) -> list[Change]:
    """Half of them are done, half begin."""
    return [
        FlowStepPut(f"run{n:032}", StepRecord("crop", None, state, attempt=turn))
        for n in range(CHANGES // 2)
        for state in ("done", "running")
    ]


def messages(turn: int) -> list[Change]:
    """Each changes the checklist."""
    changes: list[Change] = []
    for n in range(CHANGES):
        number = turn * CHANGES + n + 1
        name = f"id-{number}"
        changes.append(
            MessageReceived(
                MessageRecord(number, name, AT, "first", "success", BODY, None, name, "success",
                              "decided", effect="put", checklist_key="first")
            )
        )  # fmt: skip
        changes.append(ChecklistPut("first", {"n": n}, None))
    return changes


def measured(store: Store, events: Events, made: Made, turns: int) -> tuple[float, float, float]:
    """Give the medians of what a change costs: to make, to write, and to tell, in µs."""
    taken: list[tuple[float, float, float]] = []
    for number in range(1, turns + 1):
        turn = Turn(State())
        turn.changes += made(number)
        own = len(turn.changes)
        marks = [time.perf_counter()]
        events.seal(turn)
        marks.append(time.perf_counter())
        store.commit(turn.changes[own:])
        marks.append(time.perf_counter())
        events.tell(turn.changes)
        marks.append(time.perf_counter())
        a, b, c, d = marks
        taken.append((b - a, c - b, d - c))
    return tuple(1e6 * median(part) / CHANGES for part in zip(*taken, strict=True))  # type: ignore[return-value]


def main(turns: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "nowcast.db"))
        store._connection.execute("PRAGMA synchronous = OFF")
        events = Events(store.events, EventMaker(store.flow_run, []), lambda *_: None)
        runs = Turn(State())
        runs.changes += [
            FlowRunPut(FlowRunRecord(f"run{n:032}", "forecast", "d", {}, "running", "a", AT))
            for n in range(CHANGES)
        ]
        events.seal(runs)
        events.heard(Aside("broker", b"", (b'{"subscribers": 1}',)))
        kinds: dict[str, Made] = {"a step's change": steps, "a message": messages}
        for name, made in kinds.items():
            make, write, tell = measured(store, events, made, turns)
            print(
                f"{name}: {make:.1f} µs to make, {write:.1f} to write, "
                f"{tell:.1f} to tell where anybody listens"
            )
        store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
