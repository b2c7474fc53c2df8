"""A manager's process: it leads if nobody does, and stands by where the system has a second one."""

from __future__ import annotations

from contextlib import closing

from nowcast_cli.config import Config, SystemPaths
from nowcast_cli.config.standby import wants_standby
from nowcast_cli.daemon.lease import Lease
from nowcast_cli.daemon.lock import Lock
from nowcast_cli.daemon.main import DaemonContext, Understudy, run_daemon
from nowcast_cli.manager.leading import run_manager
from nowcast_cli.manager.standby import Standby, TakeOver


def main() -> int:
    """Run the process with the arguments that it was given; returns the exit code.

    Of two such processes it does not matter which began first, or under which name their supervisor
    keeps them: one that is started again after its death finds that the other one leads.
    """
    places = _Places()
    return run_daemon(
        "manager", places.lead, understudy=Understudy("standby", _wanted, places.stand_by)
    )


class _Places:
    """The two places that the process may have, one after the other."""

    def __init__(self) -> None:
        self._taken_over: TakeOver | None = None

    def stand_by(self, context: DaemonContext) -> Lock | None:
        outcome = Standby(context).wait()
        if outcome is None:
            return None
        lock, self._taken_over = outcome
        return lock

    def lead(self, context: DaemonContext) -> int:
        with closing(Lease(context.paths.run / "lease.sock")):
            return run_manager(context, self._taken_over)


def _wanted(config: Config, paths: SystemPaths) -> bool:
    return wants_standby(config, paths.run)
