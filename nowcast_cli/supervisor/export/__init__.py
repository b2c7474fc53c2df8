"""Files with which another supervisor than ours keeps the daemons and services of a system up.

One small module a supervisor, each with ``files_for(plan)``. They are tables of names and text;
nothing is started or asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.services import ServiceProgram


@dataclass(frozen=True)
class Program:
    """A daemon or a service: ``command`` is run in ``folder`` and prints to ``log``."""

    name: str
    description: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    autostart: bool = True
    is_service: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be kept up.

    ``name`` is the system's, fit for names of files; ``python`` the interpreter of the daemons.
    ``environment`` is what all need beside that of the other supervisor.
    """

    name: str
    python: str
    config_file: Path
    run: Path
    logs: Path
    daemons: Sequence[Daemon]
    environment: Mapping[str, str]
    services: Sequence[ServiceProgram] = ()

    def programs(self) -> tuple[Program, ...]:
        """Give what is kept up, in the order in which it starts: the services come last."""
        daemons = (
            Program(
                daemon.name,
                daemon.words,
                (self.python, "-m", daemon.module, str(self.config_file)),
                self.config_file.parent,
                self.environment,
                self.logs / f"{daemon.name}.out",
            )
            for daemon in self.daemons
        )
        services = (
            Program(
                service.name,
                service.words_for_people,
                service.words,
                service.folder,
                {**self.environment, **service.environment},
                self.logs / f"{service.name}.out",
                service.autostart,
                is_service=True,
            )
            for service in self.services
        )
        return (*daemons, *services)


def refuse(text: str, marks: Sequence[str], supervisor: str) -> str:
    """Give ``text`` back. Raises NowcastError when it has a mark that cannot be written."""
    for mark in marks:
        if mark in text:
            raise NowcastError(
                f"{supervisor} cannot be told the path {text!r}",
                cause=f"in its files {mark!r} has a meaning of its own",
                hint="move the deployment to a path of plain characters",
            )
    return text
