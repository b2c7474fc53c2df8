"""Taking in a changed configuration: only one that can be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nowcast_cli.config import Config
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.errors import NowcastError


def checked_config(path: Path) -> tuple[Config | None, list[str]]:
    """Load and check a configuration; gives it, or None and its problems as lines."""
    from nowcast_cli.config.check import check  # pydantic: loaded when it is needed

    try:
        problems = [found.text for found in check(path) if found.stops_the_system]
        if problems:
            return None, problems
        config = Config()
        config.load(path)
        registry_of(config)
        remote_hosts(config, str(path))
    except NowcastError as error:
        return None, [error.what]
    return config, []


def find_module_file(name: str, deployment: Path) -> str:
    """Give the source file of a module without running any code; where it would be, if missing."""
    relative = Path(*name.split("."))
    candidates = [deployment, *(Path(entry or os.curdir) for entry in sys.path)]
    for folder in candidates:
        for file in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py"):
            if file.is_file():
                return str(file)
    return str((deployment / relative).with_suffix(".py"))


_TAKEN_AT_THE_START = (
    "zmq", "security", "python", "state directory", "jobs directory", "checklist file", "logging",
    "limits",
)  # fmt: skip


def needs_restart(old: Config, new: Config) -> list[str]:
    """Say which changes of the configuration a running system cannot take in."""
    return [
        f"`{key}` has changed: it takes effect with nowcast restart"
        for key in _TAKEN_AT_THE_START
        if old.get(key) != new.get(key)
    ]
