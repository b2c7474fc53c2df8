"""What a check is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nowcast_cli.config import Config, SystemPaths

Level = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """Something that a person should know: a sentence, and what to do about it.

    *error*: the system cannot work, or not for long. *warning*: a part of it does not, or will not
    some day. *note*: good to know, nothing is wrong.
    """

    level: Level
    what: str
    remedy: str | None = None


@dataclass(frozen=True)
class Subject:
    """The system that is looked at, and the environment of who looks."""

    config: Config
    paths: SystemPaths
    environment: Mapping[str, str]

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.paths.config_file


def error(what: str, remedy: str) -> Finding:
    """Give a finding of the level *error*."""
    return Finding("error", what, remedy)


def warning(what: str, remedy: str) -> Finding:
    """Give a finding of the level *warning*."""
    return Finding("warning", what, remedy)


def note(what: str, remedy: str | None = None) -> Finding:
    """Give a finding of the level *note*."""
    return Finding("note", what, remedy)
