"""Removing old rows of the journal while the manager goes on with its work.

A batch takes ``LONGEST_BATCH`` at most, and four times as long nothing is removed: messages wait
for one batch, and have most of the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from nowcast_cli.manager.requests import RequestError
from nowcast_cli.store.pruning import Prunable, Pruner
from nowcast_cli.store.records import RowsRemoved

LONGEST_BATCH = 0.01  # seconds
REST = 4  # times as long as a batch took
FIRST_BATCH = 50
LARGEST_BATCH = 2000  # rows, or pages that are given back
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z")


_NOTHING = {"messages": 0, "jobs": 0, "batches of events": 0}


class Housekeeping:
    """One cleaning of the journal after the other, as they are asked for.

    Parameters
    ----------
    database
        The store.
    commit
        Removes rows.
    give_back
        Gives so many unused pages back to the disk; says whether there are more.
    """

    def __init__(
        self,
        database: Path,
        commit: Callable[[RowsRemoved], None],
        give_back: Callable[[int], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._commit = commit
        self._give_back = give_back
        self._monotonic = monotonic
        self._pruner: Pruner | None = None
        self._gives_back = False
        self._rows = FIRST_BATCH
        self._next = 0.0
        self._done = dict(_NOTHING)

    def begin(self, payload: Any, latest: str) -> None:
        """Begin to clean by a request ``{upto: number, before: time, events: time}``.

        ``latest`` is the newest time that may be asked for. Raises RequestError.
        """
        if self._pruner is not None or self._gives_back:
            raise RequestError("the journal is being cleaned already", "nowcast clean")
        upto = payload.get("upto") if isinstance(payload, dict) else None
        before = payload.get("before") if isinstance(payload, dict) else None
        events = payload.get("events", before) if isinstance(payload, dict) else None
        if not _is_number(upto) or not _is_time(before) or not _is_time(events):
            raise RequestError("a cleaning names a message and a time", "nowcast clean")
        if max(before, events) > latest:
            raise RequestError("the journal of the last day is always kept", "nowcast clean")
        try:
            self._pruner = Pruner(self._database, Prunable(before, upto, 0, events))
        except (ValueError, OSError) as error:
            raise RequestError(str(error), "nowcast clean") from None
        self._done = dict(_NOTHING)

    def due_in(self) -> float | None:
        """Give the seconds until the next batch, None where nothing is to be cleaned."""
        if self._pruner is None and not self._gives_back:
            return None
        return max(0.0, self._next - self._monotonic())

    def turn(self) -> None:
        """Remove a batch, or give a few pages back, where that is due."""
        if self.due_in() != 0.0:
            return
        begun = self._monotonic()
        if self._pruner is not None:
            self._prune(self._pruner)
        else:
            self._gives_back = self._give_back(self._rows)
        took = self._monotonic() - begun
        self._next = self._monotonic() + REST * took
        fitting = int(self._rows * LONGEST_BATCH / max(took, 0.001))
        # Carefully upwards: after rows that stay come those that go, which take longer.
        self._rows = max(20, min(LARGEST_BATCH, 2 * self._rows, fitting))

    def _prune(self, pruner: Pruner) -> None:
        batch = pruner.batch(self._rows)
        if batch is None:
            pruner.close()
            self._pruner, self._gives_back = None, True
            self._rows = FIRST_BATCH
        elif batch != RowsRemoved():
            self._commit(batch)
            self._done["messages"] += len(batch.messages)
            self._done["jobs"] += len(batch.jobs)
            self._done["batches of events"] += len(batch.event_batches)

    def status(self) -> dict[str, Any]:
        """Say what was removed by the last cleaning, and whether it goes on."""
        return {**self._done, "goes on": self.due_in() is not None}

    def close(self) -> None:
        """End it, and let go of the store; the next cleaning goes on with what is left."""
        if self._pruner is not None:
            self._pruner.close()
        self._pruner, self._gives_back = None, False


def _is_number(value: object) -> TypeGuard[int]:
    """Say whether it may be the number of a message: SQLite has none that is much larger."""
    return isinstance(value, int) and abs(value) < 1 << 62


def _is_time(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and _TIME.match(text) is not None
