"""What of a system is started and stopped, and by whom: one command at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast_cli.config.paths import ensure
from nowcast_cli.errors import NotFound, NotRunning, NowcastError
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.observe import observe, somebody_listens, supervisor_socket
from nowcast_cli.supervisor.rpc import Supervisord

if TYPE_CHECKING:
    from nowcast_cli.config import SystemPaths
    from nowcast_cli.supervisor.services import ServiceProgram

READY_TIME = 60.0  # seconds that a daemon may take to be ready: recovery reads the whole store
LOG_LINES = 20
STOPPED = ("STOPPED", "EXITED", "FATAL")  # supervisord's words
DIED = ("BACKOFF", "FATAL", "STOPPED")
LOOK_EVERY = 0.02
_LOCK_TIME = 90.0


class DaemonError(NowcastError):
    """A daemon did not become ready; ``log`` holds the last lines that it printed."""

    def __init__(self, what: str, *, cause: str, hint: str, log: list[str]) -> None:
        super().__init__(what, cause=cause, hint=hint)
        self.log = log


@dataclass(frozen=True)
class Plant:
    """The daemons and services of one system and where they are; ``tell`` hears what is done."""

    paths: SystemPaths
    daemons: Sequence[Daemon]
    tell: Callable[[str], None]
    ready_time: float = READY_TIME
    services: Sequence[ServiceProgram] = ()

    def named(self, name: str) -> Daemon | ServiceProgram:
        """Return the daemon or service of that name.

        Raises NotFound (exit 4) with those that there are.
        """
        for service in self.services:
            if name == service.name:
                return service
        for daemon in self.daemons:
            if name.replace("-", "_") == daemon.name:
                return daemon
        names = ", ".join(daemon.name for daemon in self.daemons)
        services = ", ".join(service.name for service in self.services)
        if not services:
            raise NotFound(f"there is no daemon {name!r}", hint=f"the daemons are {names}")
        raise NotFound(
            f"there is no daemon or service {name!r}",
            hint=f"the services are {services}; the daemons are {names}",
        )


def refuse_those_of_another(plant: Plant) -> None:
    """Leave daemons alone that somebody else has started, and would start again."""
    if observe(plant.paths, plant.daemons).supervisor == "another":
        raise NowcastError(
            "the daemons of this system run, started by another supervisor or by hand",
            hint="stop them there (systemctl, circusctl, supervisorctl, Ctrl-C), or leave them "
            "to it",
        )


def running_supervisord(plant: Plant) -> Supervisord:
    """Return the supervisord of a system. Raises NotRunning where there is none."""
    if not somebody_listens(supervisor_socket(plant.paths.run)):
        raise NotRunning("this system does not run", hint="nowcast start")
    return Supervisord(supervisor_socket(plant.paths.run))


@contextmanager
def controlling(plant: Plant) -> Iterator[None]:
    """Be the one who controls a system, by a lock in its run folder. Raises NowcastError."""
    from filelock import FileLock, Timeout

    ensure(plant.paths)
    lock = FileLock(plant.paths.run / "supervisor.lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=_LOCK_TIME)
    except Timeout:
        raise NowcastError(
            "another nowcast command has been starting or stopping this system for "
            f"{_LOCK_TIME:g} s",
            cause=f"it holds {plant.paths.run / 'supervisor.lock'}",
            hint="wait for it, or end it, then try again",
        ) from None
    try:
        yield
    finally:
        lock.release()
