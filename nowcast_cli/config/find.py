"""Finds the system that a command is about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nowcast_cli.errors import NotFound

NAME = "nowcast.yaml"


def find_config(
    start: Path | None, explicit: Path | None, environment: Mapping[str, str] = os.environ
) -> Path:
    """Find the configuration file of a system.

    ``start`` is the folder of ``-C``: the command then acts as if it were typed there, and the
    environment has no say. ``explicit`` is the file of ``--config``; a folder stands for the
    nowcast.yaml in it. Then comes the variable NOWCAST_YAML, then the nearest nowcast.yaml in
    the folder or above it. Raises NotFound (exit code 4) with all that was tried; a file that
    is named but does not exist is never passed over in silence.
    """
    folder = (start or Path()).absolute()
    if explicit is not None:
        return _named(folder / explicit, f"--config {explicit}")
    if start is not None:
        if not folder.is_dir():
            raise NotFound(
                f"there is no folder {folder} (-C {start})", hint="name the folder of a deployment"
            )
        return _nearest(folder, f"-C {start}, {folder} and above")
    variable = environment.get("NOWCAST_YAML")
    if variable:
        return _named(folder / variable, f"NOWCAST_YAML={variable}")
    return _nearest(folder, f"NOWCAST_YAML (not set), {folder} and above")


def _named(file: Path, how: str) -> Path:
    if file.is_dir():
        file = file / NAME
    if not file.is_file():
        raise NotFound(
            f"there is no configuration file {file}",
            cause=f"it was named by {how}",
            hint="name the nowcast.yaml of a deployment, or make one: nowcast init DIR",
        )
    return file


def _nearest(folder: Path, tried: str) -> Path:
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            return place / NAME
    raise NotFound(
        f"no {NAME} was found, so there is no system to act on",
        cause=f"tried: {tried}",
        hint="cd to a deployment, use -C DIR, or make one: nowcast init DIR",
    )
