"""The hosts on which workers may be run besides this machine: ``run: enabled hosts``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.config.settings import THIS_MACHINE
from nowcast_cli.errors import ConfigError

__all__ = ["STATE_DIRECTORY", "THIS_MACHINE", "RemoteHost", "remote_hosts"]

STATE_DIRECTORY = "~/.cache/nowcast"


@dataclass(frozen=True)
class RemoteHost:
    """How workers are run on another host.

    ``name`` is what ssh is given, so it may be an alias of ``~/.ssh/config``. All paths are
    those of the host, with ``~`` and ``$VARIABLES`` for its shell to fill in. ``shared_storage``
    says that it sees the files of this machine by the same paths.
    """

    name: str
    envvars: str | None
    python: str
    config_file: str
    state_directory: str
    ssh_options: tuple[tuple[str, str], ...]
    shared_storage: bool = True


def remote_hosts(config: Mapping[str, Any], config_file: str) -> dict[str, RemoteHost]:
    """Read ``run: enabled hosts``, without this machine; raises ConfigError for a wrong form.

    A host that names no ``config file`` or ``python`` has them where this machine has them, as
    on a cluster with shared storage.
    """
    run = config.get("run")
    hosts = run.get("enabled hosts") if isinstance(run, Mapping) else None
    if hosts is None:
        return {}
    if not isinstance(hosts, Mapping):
        raise ConfigError(f"run.enabled hosts: must hold hosts by name, not {hosts!r}", hint=_HINT)
    return {
        str(name): _host(str(name), section, str(config["python"]), config_file)
        for name, section in hosts.items()
        if name not in THIS_MACHINE
    }


def _host(name: str, section: Any, python: str, config_file: str) -> RemoteHost:
    section = {} if section is None else section
    options = section.get("ssh options") or {} if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or not isinstance(options, Mapping):
        raise ConfigError(f"run.enabled hosts.{name}: must hold keys with values", hint=_HINT)
    envvars = section.get("envvars")
    return RemoteHost(
        name=name,
        envvars=None if envvars is None else str(envvars),
        python=str(section.get("python") or python),
        config_file=str(section.get("config file") or config_file),
        state_directory=str(section.get("state directory") or STATE_DIRECTORY),
        shared_storage=_shared(name, section.get("shared storage")),
        ssh_options=tuple((str(key), _option(value)) for key, value in options.items()),
    )


def _shared(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return value is not False
    raise ConfigError(
        f"run.enabled hosts.{name}.shared storage: must be true or false, not {value!r}", hint=_HINT
    )


def _option(value: Any) -> str:
    if isinstance(value, bool):  # YAML reads yes and no so, where ssh wants the words
        return "yes" if value else "no"
    return str(value)


_HINT = "nowcast validate says where it stands"
