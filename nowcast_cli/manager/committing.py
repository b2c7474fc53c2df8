"""Putting turns on the disk; while it is full, waiting for room."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence

from nowcast_cli.crash_points import reached
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import Change

RETRY = 1.0  # s


class Committing:
    """Commits to the store, again and again until it can be written.

    ``trouble`` is a sentence while it cannot, else None.
    """

    def __init__(self, store: Store, logger: logging.Logger) -> None:
        self._store = store
        self._logger = logger
        self.trouble: str | None = None

    def commit(self, changes: Sequence[Change], wait: Callable[[float], bool]) -> bool:
        """Put changes on the disk; False when told to end before that was possible.

        ``wait`` waits for so many seconds, and says whether the manager is told to end.
        """
        while changes:
            try:
                reached("manager.before_commit")
                self._store.commit(changes)
                break
            except sqlite3.OperationalError as error:
                if self.trouble is None:
                    self._logger.critical(
                        "the store %s cannot be written: %s; messages wait until it can",
                        self._store.path,
                        error,
                    )
                self.trouble = f"the store cannot be written: {error}"
                if wait(RETRY):
                    return False
        if self.trouble is not None and changes:
            self._logger.info("the store can be written again")
            self.trouble = None
        return True
