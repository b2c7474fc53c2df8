"""Which performers have been there since the manager began: what `nowcast status` tells of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nowcast_cli.messages.performing import Hello

_logger = logging.getLogger("manager")


@dataclass(frozen=True, slots=True)
class Seen:
    """A performer as it was last heard of; ``since`` is when this incarnation said hello first."""

    state: Literal["ready", "silent"]
    pid: int
    incarnation: str
    since: str


class Attendance:
    """Performers by name; one that has left with a bye is not of them.

    Parameters
    ----------
    now
        Gives the time as it is stored.
    """

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now
        self._seen: dict[str, Seen] = {}
        self._replaced: dict[str, bool] = {}  # incarnations, and whether that was told

    def is_replaced(self, said: Hello, here: Hello) -> bool:
        """Say whether a hello is of a process in whose place another one, that is here, has come.

        Else two processes of one name would take each other's place for ever.
        """
        if said.incarnation == here.incarnation:
            return False
        if said.incarnation not in self._replaced:
            self._replaced[here.incarnation] = False
            return False
        if not self._replaced[said.incarnation]:
            self._replaced[said.incarnation] = True
            _logger.warning(
                "process %d calls itself %s, as process %d does, which began later: it is given "
                "nothing while that one is there", said.pid, said.name, here.pid,
            )  # fmt: skip
        return True

    def hello(self, said: Hello) -> None:
        """Take in a hello."""
        before = self._seen.get(said.name)
        is_known = before is not None and before.incarnation == said.incarnation
        since = before.since if before is not None and is_known else self._now()
        self._seen[said.name] = Seen("ready", said.pid, said.incarnation, since)

    def silent(self, name: str) -> None:
        """Take in that nothing was heard of a performer for its lease."""
        if name in self._seen:
            self._seen[name] = replace(self._seen[name], state="silent")

    def bye(self, name: str) -> None:
        """Take in that a performer has left."""
        self._seen.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """Give the names of those that are there, or should be."""
        return tuple(self._seen)

    def told(self, name: str) -> dict[str, Any]:
        """Say what is known of a performer, for JSON."""
        seen = self._seen.get(name)
        if seen is None:
            return {"state": "absent", "pid": None, "incarnation": None, "since": None}
        return {
            "state": seen.state,
            "pid": seen.pid,
            "incarnation": seen.incarnation,
            "since": seen.since,
        }
