"""The places of a system that runs, found without its configuration, which may be broken by now."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config.paths import SystemPaths

SUPERVISORD = "nowcast_cli.supervisor.supervisord"
_FILE = "paths.json"
_OF_A_CHILD = b"SUPERVISOR_SERVER_URL=unix://"


def remember(paths: SystemPaths) -> None:
    """Keep the places of a system that is about to start, in its ``run`` folder."""
    places = {name: str(path) for name, path in asdict(paths).items()}
    write_atomically(paths.run / _FILE, json.dumps(places, indent=1).encode())


def paths_of_running(config_file: Path) -> SystemPaths | None:
    """Return the places of the system that was started with this file; None if none runs.

    Its supervisord is recognized, and so is what that has started.
    """
    for run in _run_folders(os.path.realpath(config_file)):
        with suppress(OSError, ValueError, TypeError):
            places = json.loads((run / _FILE).read_bytes())
            return SystemPaths(**{name: Path(place) for name, place in places.items()})
    return None


def _run_folders(config_file: str) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            if not any(_names(variable, config_file) for variable in variables):
                continue
            if SUPERVISORD.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                yield (process / "cwd").readlink()
        except OSError:  # it has ended, or is another user's
            continue
        for variable in variables:
            if variable.startswith(_OF_A_CHILD):
                yield Path(os.fsdecode(variable.removeprefix(_OF_A_CHILD))).parent


def _names(variable: bytes, config_file: str) -> bool:
    name, _, value = variable.partition(b"=")
    return name == b"NOWCAST_YAML" and os.path.realpath(os.fsdecode(value)) == config_file
