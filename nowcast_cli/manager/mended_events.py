"""Events of a store that is put in the place of another: their numbers go on, whatever is missing.

A subscriber that has seen a number takes what comes with it for known. So no number is given twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from nowcast_cli.store.database import Store
from nowcast_cli.store.event_records import EventBatchPut, EventPut
from nowcast_cli.store.events import SINCE, batch_of, last_numbers
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.records import Change
from nowcast_cli.store.salvage import Salvage

# What is passed over where nobody can read how far the numbers had come.
UNKNOWN = 1_000_000


def save_events(store: Store, salvage: Salvage, commit: Callable[[Sequence[Change]], int]) -> None:
    """Take over what can be read of the events after those that the store has."""
    numbers = store.events.numbers()
    saved: list[Change] = []
    for batch in sorted(salvage.events(), key=lambda each: (each.time, each.first)):
        last = numbers.get(batch.stream)
        if last is not None and batch.first <= last:
            continue
        if last is not None and batch.first > last + 1:  # what lay between is lost
            lost = batch.first - last - 1
            saved.append(EventBatchPut(batch.stream, last + 1, batch.time, (), lost))
        saved.append(batch)
        numbers[batch.stream] = batch.last
    commit(saved)


def numbers_of(database: Path) -> Mapping[str, int] | None:
    """Give the last number of each stream of a store, None where that cannot be read."""
    try:
        with closing(open_to_read(database)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            return last_numbers(connection) if version >= SINCE else {}
    except (sqlite3.Error, ValueError, TypeError):
        return None


def number_on(
    store: Store,
    before: Mapping[str, int] | None,
    checklist: Mapping[Any, Any],
    kind: str,
    now: str,
) -> None:
    """Have all streams go on after any number that was ever given, and tell what was done.

    Parameters
    ----------
    before
        The last numbers of the store that is replaced; None where they are not known.
    checklist
        The checklist as it is now, which whoever follows its changes is told of whole.
    kind
        What was done: ``store restored`` or ``store repaired``.
    """
    numbers = store.events.numbers()
    batches = []
    for stream in sorted({*numbers, *(before or {}), "checklist", "daemons"}):
        last = numbers.get(stream, 0)
        to_pass = UNKNOWN if before is None else max(0, before.get(stream, 0) - last)
        if to_pass:
            batches.append(EventBatchPut(stream, last + 1, now, (), to_pass))
            last += to_pass
        told = {
            "checklist": EventPut("checklist", dict(checklist)),
            "daemons": EventPut(f"daemons~store~{kind.rpartition(' ')[2]}", {"daemon": "store"}),
        }.get(stream)
        if told is not None:
            batches.append(batch_of(stream, last + 1, now, [told]))
    store.commit(batches)
