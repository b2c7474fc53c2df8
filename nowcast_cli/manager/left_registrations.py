"""Registrations whose process has died: their files go to their places, and into the index.

They are looked for when a manager begins and from time to time, by a thread: disks may be slow,
and the manager answers meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.products.placing import FOLDER, LeftOver, left_over

_EVERY = 30.0  # seconds between two looks
_SOON = 0.1  # seconds, while one goes on
_logger = logging.getLogger("manager")


class LeftRegistrations:
    """What is left over in the state directory.

    Parameters
    ----------
    register
        Carries out the request ``register product``.
    """

    def __init__(
        self,
        state: Path,
        register: Callable[[Turn, Any], Step],
        monotonic: Callable[[], float],
    ) -> None:
        self._state = state
        self._register = register
        self._monotonic = monotonic
        self._next = monotonic()
        self._look: _Look | None = None
        self._taken: list[LeftOver] = []
        self._told: set[str] = set()

    def due_in(self) -> float:
        """Give the seconds until there may be something to do."""
        return _SOON if self._look is not None else max(0.0, self._next - self._monotonic())

    def step(self, turn: Turn) -> None:
        """Register what has been found; look again in time."""
        if self._look is not None and not self._look.is_alive():
            for each in self._look.found:
                self._take(turn, each)
            if self._look.trouble is not None:
                self._complain("", self._look.trouble)
            self._look = None
        if self._look is None and self._monotonic() >= self._next:
            self._next = self._monotonic() + _EVERY
            if (self._state / FOLDER).is_dir():
                self._look = _Look(self._state)
                self._look.start()

    def act(self) -> None:
        """Forget what is committed."""
        for each in self._taken:
            each.end()
        self._taken.clear()

    def _take(self, turn: Turn, found: LeftOver) -> None:
        if found.trouble is not None:
            self._complain(found.folder.name, found.trouble)
            found.release()
            return
        if found.request is not None and found.request["files"]:
            try:
                turn.add(self._register(turn, found.request))
            except RequestError as error:
                self._complain(found.folder.name, str(error))
                found.release()
                return
            _logger.info("registered %d files that were on their way", len(found.request["files"]))
        self._taken.append(found)

    def _complain(self, name: str, trouble: str) -> None:
        """Say once that files are in their places which nobody may know of."""
        if name not in self._told:
            what = self._state / FOLDER / name
            _logger.error("what is left over in %s is not registered as yet: %s", what, trouble)
        self._told.add(name)


class _Look(threading.Thread):
    """Puts in their places the files of what is left over; ``trouble`` says where it could not."""

    def __init__(self, state: Path) -> None:
        super().__init__(name="left registrations", daemon=True)
        self._state = state
        self.found: list[LeftOver] = []
        self.trouble: str | None = None

    def run(self) -> None:
        try:
            self.found += left_over(self._state)
        except OSError as error:
            self.trouble = str(error)
