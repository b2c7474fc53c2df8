"""The checklist file and the saved checklist, as they follow the journal a little later."""

from __future__ import annotations

import logging
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from nowcast_cli.manager.clock import now
from nowcast_cli.store.checklist_file import ChecklistFile
from nowcast_cli.store.database import Store

_LOOK = 0.01  # s between looks whether a file is written


class ChecklistPicture:
    """Writes them when they are due; ``trouble`` says why that cannot be, None where it can.

    The file is written by a thread: a megabyte takes a disk 10 ms and more, in which the manager
    takes messages in.
    """

    def __init__(self, store: Store, path: Path, logger: logging.Logger) -> None:
        self._store = store
        self._logger = logger
        self._file = ChecklistFile(path, time.monotonic)
        self._file.mark()
        self._hand = ThreadPoolExecutor(1, "checklist file")
        self._writing: Future[None] | None = None
        self.trouble: str | None = None

    def mark(self) -> None:
        """Say that there is more in the journal than in the picture."""
        self._file.mark()

    def due_in(self) -> float | None:
        """Give the seconds until :meth:`write` has something to do, None where it has nothing."""
        if self._writing is not None:
            return 0.0 if self._writing.done() else _LOOK
        return self._file.due_in()

    def write(self, journal: int) -> None:
        """Begin to write the checklist as it is after the message ``journal``, when that is due.

        What cannot be written is tried again. Raises Deposed where another process leads by now.
        """
        if self._writing is not None:
            self._take_result(self._writing)
        if self._file.due_in() != 0.0:
            return
        try:
            document = self._store.save_checklist(journal)
        except sqlite3.OperationalError as error:
            self._file.postpone()
            self._tell(error)
        else:
            self._file.begin()
            self._writing = self._hand.submit(self._file.finish, document, journal, now())

    def close(self, journal: int) -> None:
        """Write what is not written yet, as after the message ``journal``, and wait for it."""
        try:
            if self._writing is not None:
                self._take_result(self._writing)
            if self._file.due_in() is not None:
                self._file.write(self._store.save_checklist(journal), journal, now())
        except (OSError, sqlite3.OperationalError) as error:
            self._tell(error)
        finally:
            self._hand.shutdown()

    def _take_result(self, writing: Future[None]) -> None:
        self._writing = None
        try:
            writing.result()
        except OSError as error:
            self._tell(error)
        else:
            if self.trouble is not None:
                self._logger.info("the checklist file can be written again")
            self.trouble = None

    def _tell(self, error: Exception) -> None:
        trouble = f"the checklist file cannot be written: {error}"
        if self.trouble is None:  # it is tried again five times a second
            self._logger.error("%s", trouble)
        self.trouble = trouble
