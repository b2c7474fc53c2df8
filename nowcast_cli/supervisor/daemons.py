"""Which daemons a system has, in the order in which they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.action_workers import wants_action_workers
from nowcast_cli.config.settings import begins_flows, wants_aggregator, wants_scheduler
from nowcast_cli.config.standby import wants_standby


@dataclass(frozen=True)
class Daemon:
    """A daemon: started as ``python -m MODULE CONFIG``, ready when its health socket says so."""

    name: str
    module: str

    @property
    def words(self) -> str:
        """The name as people say it."""
        return self.name.replace("_", " ")


BROKER = Daemon("message_broker", "nowcast_cli.broker")
MANAGER = Daemon("manager", "nowcast_cli.manager")
STANDBY = Daemon("standby", "nowcast_cli.manager")  # whichever of the two is first leads
SCHEDULER = Daemon("scheduler", "nowcast_cli.scheduler")
FILE_WATCHER = Daemon("file_watcher", "nowcast_cli.file_watcher")
ACTION_WORKERS = Daemon("action_workers", "nowcast_cli.actions")
LOG_AGGREGATOR = Daemon("log_aggregator", "nowcast_cli.logs.aggregator")
ALL_DAEMONS = (BROKER, MANAGER, STANDBY, SCHEDULER, FILE_WATCHER, ACTION_WORKERS, LOG_AGGREGATOR)


def daemons_of(config: Mapping[str, Any], run: Path | None) -> tuple[Daemon, ...]:
    """Return the daemons that a configuration asks for; they are stopped in reverse order.

    ``run`` is the system's run folder, which knows of a standby that `nowcast start` was asked
    for; None: what the configuration says, alone.
    """
    aggregator = (LOG_AGGREGATOR,) if wants_aggregator(config) else ()
    scheduler = (SCHEDULER,) if wants_scheduler(config) else ()
    files = (FILE_WATCHER,) if begins_flows(config, "file") else ()
    actions = (ACTION_WORKERS,) if wants_action_workers(config) else ()
    standby = (STANDBY,) if wants_standby(config, run) else ()
    return (BROKER, MANAGER, *standby, *scheduler, *files, *actions, *aggregator)
