"""Whether a system has a second manager, which waits to take the place of the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Left in the run folder by `nowcast start --standby`, until `nowcast stop`.
_MARK = "standby.asked"


def wants_standby(config: Mapping[str, Any], run: Path | None) -> bool:
    """Tell whether the configuration asks for one, or ``nowcast start`` was asked for one.

    ``run`` is the system's run folder; None: look at the configuration alone.
    """
    return config.get("standby") is True or (run is not None and (run / _MARK).exists())


def ask_for_standby(run: Path) -> None:
    """Leave a mark in the run folder: this system has one until it is stopped."""
    (run / _MARK).touch()


def forget_standby(run: Path) -> None:
    """Remove the mark; what the configuration says stays."""
    (run / _MARK).unlink(missing_ok=True)
