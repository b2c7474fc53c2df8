"""How a batch system is: its queues, as the system itself tells."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from nowcast_cli.executors.batch_commands import BatchCommands
from nowcast_cli.executors.batch_system import BatchSystem, Outage, Unreachable
from nowcast_cli.executors.health import Health
from nowcast_cli.executors.remote_executor import Surroundings, Target
from nowcast_cli.executors.ssh_command import advice


def of_batch_system(
    system: BatchSystem, target: Target, around: Surroundings, deadline: float
) -> Health:
    """Ask it for its queues, on its head node where it has one."""
    command = system.health()
    where = "" if target.host is None else f" on {target.host.name}"
    with TemporaryDirectory(prefix="nowcast-") as elsewhere:
        run = around.paths.run if around.paths.run.is_dir() else Path(elsewhere)
        with closing(BatchCommands(target.host, run, 0.8 * deadline)) as commands:
            try:
                words = system.well(commands.run(command))
            except Outage as outage:
                hint = f"try {shlex.join(command)}{where}"
                if isinstance(outage, Unreachable) and target.host is not None:
                    hint = advice(target.host, str(outage))
                return Health(system.name + where, str(outage), hint)
    return Health(f"{system.name}{where}; {words}")
