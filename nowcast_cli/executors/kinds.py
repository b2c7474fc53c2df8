"""The kinds of executors that run jobs elsewhere: who makes one, and who tells how it is.

Whatever a kind needs is imported when the first executor of it is: most systems have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nowcast_cli.executors.remote_executor import Maker, RemoteExecutor, Surroundings, Target

if TYPE_CHECKING:
    from nowcast_cli.executors.health import Health, HealthOf


def _ssh(target: Target, around: Surroundings) -> RemoteExecutor:
    from nowcast_cli.executors.ssh import SshExecutor

    return SshExecutor(target, around.paths.run, keys=around.keys)


def _slurm(target: Target, around: Surroundings) -> RemoteExecutor:
    from nowcast_cli.executors.batch import BatchExecutor
    from nowcast_cli.executors.slurm import Slurm

    return BatchExecutor(target, around, lambda _: Slurm())


def _slurm_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import batch_health
    from nowcast_cli.executors.slurm import Slurm

    return batch_health.of_batch_system(Slurm(), target, around, deadline)


def _sge(target: Target, around: Surroundings) -> RemoteExecutor:
    from nowcast_cli.executors.batch import BatchExecutor
    from nowcast_cli.executors.grid_engine import GridEngine

    return BatchExecutor(target, around, lambda settings: GridEngine(settings.parallel_environment))


def _sge_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import batch_health
    from nowcast_cli.executors.grid_engine import GridEngine

    return batch_health.of_batch_system(GridEngine(), target, around, deadline)


def _pbs(target: Target, around: Surroundings) -> RemoteExecutor:
    from nowcast_cli.executors.batch import BatchExecutor
    from nowcast_cli.executors.pbs import Pbs

    return BatchExecutor(target, around, lambda _: Pbs())


def _pbs_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import batch_health
    from nowcast_cli.executors.pbs import Pbs

    return batch_health.of_batch_system(Pbs(), target, around, deadline)


# Who makes the executor of a kind. That of this machine has a contract of its own (``local``).
MAKERS: Mapping[str, Maker] = {"ssh": _ssh, "sge": _sge, "pbs": _pbs, "slurm": _slurm}


def _local_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import health

    return health.of_this_machine(target, around, deadline)


def _ssh_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import health

    return health.of_host(target, around, deadline)


def _agents_health(target: Target, around: Surroundings, deadline: float) -> Health:
    from nowcast_cli.executors import agent_health

    return agent_health.of_agents(target, around, deadline)


# Who asks an executor of a kind how it is; works with all daemons down.
HEALTH: Mapping[str, HealthOf] = {
    "local": _local_health,
    "ssh": _ssh_health,
    "slurm": _slurm_health,
    "sge": _sge_health,
    "pbs": _pbs_health,
    "agents": _agents_health,
}
