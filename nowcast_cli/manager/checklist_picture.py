"""The checklist file and the saved checklist, as they follow the journal a little later."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from nowcast_cli.manager.clock import now
from nowcast_cli.store.checklist_file import ChecklistFile
from nowcast_cli.store.database import Store


class ChecklistPicture:
    """Writes them when they are due; ``trouble`` says why that cannot be, None where it can."""

    def __init__(self, store: Store, path: Path, logger: logging.Logger) -> None:
        self._store = store
        self._logger = logger
        self._file = ChecklistFile(path, time.monotonic)
        self._file.mark()
        self.trouble: str | None = None

    def mark(self) -> None:
        """Say that there is more in the journal than in the picture."""
        self._file.mark()

    def due_in(self) -> float | None:
        """Give the seconds until it is to be written, None where it holds everything."""
        return self._file.due_in()

    def write(self, journal: int) -> None:
        """Write the checklist as it is after the message ``journal``; tried again on trouble."""
        try:
            self._file.write(self._store.save_checklist(journal), journal, now())
        except (OSError, sqlite3.OperationalError) as error:
            self._file.postpone()
            trouble = f"the checklist file cannot be written: {error}"
            if self.trouble is None:  # it is tried again five times a second
                self._logger.error("%s", trouble)
            self.trouble = trouble
        else:
            if self.trouble is not None:
                self._logger.info("the checklist file can be written again")
            self.trouble = None
