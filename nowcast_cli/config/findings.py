"""A mistake in the data of a configuration, before it is given its line and column."""

from __future__ import annotations

from dataclasses import dataclass

from nowcast_cli.config.positions import KeyPath
from nowcast_cli.config.problem import Severity


@dataclass(frozen=True)
class Finding:
    """What is wrong at a path of keys."""

    path: KeyPath
    message: str
    severity: Severity = "error"
    hint: str | None = None
