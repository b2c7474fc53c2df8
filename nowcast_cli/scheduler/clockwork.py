"""APScheduler, turned by the daemon's own loop: it says which items are due.

In memory and in one thread; the rows of the manager say what was launched, so nothing is lost
with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from nowcast_cli.config.schedule import Item
from nowcast_cli.scheduler.catching_up import fire_time, next_fire_time, next_nominal


class ItemTrigger(BaseTrigger):  # type: ignore[misc]
    """When an item is due: first what was not launched since its cursor, then by its timing."""

    def __init__(self, item: Item, cursor: datetime) -> None:
        self._item = item
        self._cursor = cursor

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Give the next instant at which to look at the item; it may have passed already."""
        if previous is not None:
            return next_fire_time(self._item, max(previous, now).astimezone(UTC))
        nominal = next_nominal(self._item, self._cursor, now.astimezone(UTC))
        return None if nominal is None else fire_time(self._item, nominal)


class Clockwork(BaseScheduler):  # type: ignore[misc]
    """A scheduler without a thread: whoever owns it calls :meth:`turn`."""

    def __init__(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        super().__init__(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            # however late: what is made up for is decided elsewhere
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._due: list[str] = []
        self.start()

    def set(self, items: Iterable[tuple[Item, datetime]]) -> None:
        """Watch these items, each from its cursor on, in place of those before."""
        self.remove_all_jobs()
        for item, cursor in items:
            trigger = ItemTrigger(item, cursor)
            if trigger.get_next_fire_time(None, datetime.now(UTC)) is not None:
                self.add_job(self._due.append, trigger, args=[item.name], id=item.name)

    def turn(self) -> tuple[list[str], float | None]:
        """Give the names of items that are due, and seconds until there may be more."""
        wait = self._process_jobs()
        due, self._due[:] = list(self._due), []
        return due, wait

    def shutdown(self, wait: bool = True) -> None:
        """Let go of the items."""
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Do nothing: the loop of the daemon turns by itself."""
