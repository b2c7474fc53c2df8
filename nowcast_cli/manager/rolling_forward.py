"""Putting in place the outputs of jobs whose runner has died after it had decided to."""

from __future__ import annotations

import logging
from pathlib import Path

from nowcast_cli.process_identity import NOT_ABOUT_THE_FILE
from nowcast_cli.runner import roll_forward

_logger = logging.getLogger("manager")


class RollingForward:
    """Carries out what dead runners had decided, and says once where that is not possible."""

    def __init__(self) -> None:
        self._unpublished: set[str] = set()

    def done(self, job_id: str, folder: Path) -> bool:
        """Have it done for a job; False when it is not possible as yet.

        Raises OSError when nobody can tell, for want of descriptors or memory.
        """
        try:
            roll_forward(str(folder))
        except OSError as error:
            if error.errno in NOT_ABOUT_THE_FILE:
                raise
            if job_id not in self._unpublished:
                _logger.error(
                    "the outputs of job %s cannot be put in place, which is tried again: %s",
                    job_id,
                    error,
                )
            self._unpublished.add(job_id)
            return False
        self.forget(job_id)
        return True

    def forget(self, job_id: str) -> None:
        """Know nothing more of a job."""
        self._unpublished.discard(job_id)
