"""Putting in place the outputs of jobs whose runner has died after it had decided to.

In a thread for each such job: files may be large, or their disk slow, and the manager answers
meanwhile. What a thread does may be cut off anywhere, and is done again by who comes next.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from nowcast_cli.process_identity import NOT_ABOUT_THE_FILE
from nowcast_cli.publish_intent import INTENT
from nowcast_cli.runner import roll_forward

_logger = logging.getLogger("manager")


class RollingForward:
    """Carries out what dead runners had decided, and says once where that is not possible."""

    def __init__(self) -> None:
        self._at_work: dict[str, _Roller] = {}
        self._unpublished: set[str] = set()

    def done(self, job_id: str, folder: Path) -> bool:
        """Have it done for a job, and say whether it is; False while it goes on, or cannot be.

        Never waits. Raises OSError when nobody can tell, for want of descriptors or memory.
        """
        roller = self._at_work.get(job_id)
        if roller is None:
            if not (folder / INTENT).exists():
                return True
            roller = self._at_work[job_id] = _Roller(folder)
            roller.start()
        if roller.is_alive():
            return False
        del self._at_work[job_id]
        if roller.trouble is not None:
            self._complain(job_id, roller.trouble)
            return False
        self.forget(job_id)
        return True

    def _complain(self, job_id: str, error: OSError) -> None:
        if error.errno in NOT_ABOUT_THE_FILE:
            raise error
        if job_id not in self._unpublished:
            _logger.error(
                "the outputs of job %s cannot be put in place, which is tried again: %s",
                job_id,
                error,
            )
        self._unpublished.add(job_id)

    def forget(self, job_id: str) -> None:
        """Know nothing more of a job."""
        self._unpublished.discard(job_id)


class _Roller(threading.Thread):
    """Rolls one job forward; ``trouble`` says afterwards why that was not possible."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name=f"outputs of {folder.name}", daemon=True)
        self._folder = folder
        self.trouble: OSError | None = None

    def run(self) -> None:
        try:
            roll_forward(str(self._folder))
        except OSError as error:
            self.trouble = error
        except ValueError as error:  # what is written there is none of ours
            self.trouble = OSError(0, str(error))
