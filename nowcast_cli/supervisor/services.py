"""The services of a system, as programs that a supervisor keeps up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.services import ServiceSettings, services_of

if TYPE_CHECKING:
    from nowcast_cli.config import SystemPaths

# These words stand for the interpreter that runs the workers, as they do in a deployment whose
# virtual environment is active; a service may be started where it is not.
_PYTHON = ("python", "python3")


@dataclass(frozen=True)
class ServiceProgram:
    """A service: ``words`` run in ``folder``, with ``environment`` beside that of the daemons.

    It is ready when it has said hello to the manager, for which it has ``ready_within`` seconds.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    autostart: bool
    ready_within: float

    @property
    def words_for_people(self) -> str:
        """What it is called in a sentence."""
        return f"service {self.name}"


def service_programs(config: Mapping[str, Any], paths: SystemPaths) -> tuple[ServiceProgram, ...]:
    """Give the services that a configuration declares, in its order."""
    python = str(config.get("python") or "python3")
    return tuple(_program(service, python, paths) for service in services_of(config).values())


def _program(service: ServiceSettings, python: str, paths: SystemPaths) -> ServiceProgram:
    first, *rest = service.command
    folder = paths.deployment / Path(service.directory or "").expanduser()
    if first in _PYTHON:
        first = python
    elif "/" in first:  # as systemd wants it
        first = str(folder / Path(first).expanduser())
    return ServiceProgram(
        service.name,
        (first, *rest),
        folder,
        {
            "NOWCAST_SERVICE": service.name,
            # where a program that is not in Python finds the manager
            "NOWCAST_ACTIONS": f"ipc://{paths.actions_socket}",
            **service.environment,
        },
        service.autostart,
        service.ready_within,
    )
