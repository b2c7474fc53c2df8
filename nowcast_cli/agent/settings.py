"""What an agent is told on its command line, by a configuration, and by its key."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nowcast_cli.agent.host import name_of_host
from nowcast_cli.config.limits import DEFAULTS
from nowcast_cli.config.limits import Limits as MessageLimits
from nowcast_cli.config.limits import limits as message_limits
from nowcast_cli.config.settings import endpoints
from nowcast_cli.errors import UsageError
from nowcast_cli.messages.agent_messages import Limits, is_agent_name, is_tag
from nowcast_cli.security.key import key_file
from nowcast_cli.security.source import VARIABLE, KeySource, keys_folder, security_of

_MASTER = re.compile(r"(?P<host>[^\s:]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Master:
    """Where the message broker of the system listens to workers."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


@dataclass(frozen=True)
class AgentSettings:
    """What an agent needs to know.

    Parameters
    ----------
    name
        What it is called, as its key is.
    master
        Where it asks for work.
    state
        Its state directory; the folders of its jobs are below.
    python
        The interpreter of jobs.
    config_file
        The configuration that jobs are given; None: the place that it has at the manager.
    key
        Where its key is; None for a system without keys.
    tags, limits
        Those that it was given.
    message_limits
        What is too large to be sent.
    """

    name: str
    master: Master
    state: Path
    python: str = sys.executable
    config_file: Path | None = None
    key: KeySource | None = None
    tags: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    message_limits: MessageLimits = DEFAULTS


@dataclass(frozen=True)
class Given:
    """The options of the command; None and () for those that were not given."""

    master: str | None = None
    name: str | None = None
    key: Path | None = None
    state: Path | None = None
    tags: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


def agent_settings(
    given: Given, config: Mapping[str, Any] | None, config_file: Path | None
) -> AgentSettings:
    """Put together what an agent was told; a configuration fills in what was not.

    Raises UsageError, ConfigError, and KeyTrouble for a key that cannot be used.
    """
    for tag in given.tags:
        if not is_tag(tag):
            raise UsageError(f"{tag!r} cannot be a tag", hint="use letters, digits and . _ : = + -")
    if given.master is not None:
        master = read_master(given.master)
    else:
        assert config is not None, "an agent is given a configuration, or a master"
        found = endpoints(config)
        master = Master(found.host, found.workers)
    key = _key(given, config)
    name = _name(given.name, key)
    state = given.state or default_state(name, master, os.environ)
    return AgentSettings(
        name=name,
        master=master,
        state=state.expanduser().absolute(),
        python=str((config or {}).get("python") or sys.executable),
        config_file=config_file,
        key=key,
        tags=given.tags,
        limits=given.limits,
        message_limits=DEFAULTS if config is None else message_limits(config),
    )


def read_master(text: str) -> Master:
    """Read ``HOST:PORT``. Raises UsageError."""
    found = _MASTER.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UsageError(
            f"--master {text}: give the host and the port of the message broker",
            hint="--master HOST:PORT; they are zmq.host and zmq.ports.workers of the system",
        )
    return Master(found["host"], int(found["port"]))


def default_state(name: str, master: Master, environment: Mapping[str, str]) -> Path:
    """Give the folder of an agent's jobs: agents of other names and systems have others."""
    base = environment.get("XDG_STATE_HOME")
    parent = Path(base) if base else Path("~/.local/state")
    host = re.sub(r"[^A-Za-z0-9.-]", "-", master.host)
    return parent / "nowcast" / "agents" / f"{name}@{host}-{master.port}"


def _key(given: Given, config: Mapping[str, Any] | None) -> KeySource | None:
    path = given.key or os.environ.get(VARIABLE)
    if path:
        return KeySource(Path(path).expanduser().absolute())
    if config is None or security_of(config) != "curve":
        return None
    return KeySource(key_file(keys_folder(config), given.name or name_of_host()))


def _name(given: str | None, key: KeySource | None) -> str:
    """Give the name of the agent, which is that of its key."""
    if key is not None:
        found = key.read()
        if found.role != "agent":
            raise UsageError(
                f"{key.path} is the key of {_a(found.role)}, and not of an agent",
                hint=f"where the system is: nowcast key add {given or name_of_host()} --role agent",
            )
        if given is not None and given != found.name:
            raise UsageError(
                f"the key {key.path} is that of the agent {found.name}, not of {given}",
                hint="an agent has the name of its key: leave --name away",
            )
        return found.name
    name = given or name_of_host()
    if not is_agent_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of an agent",
            hint="--name NAME, of letters, digits, '.', '_', '-' and '@'",
        )
    return name


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'ao' else 'a'} {role}"
