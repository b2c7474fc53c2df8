"""How far each followed file was read, kept over the end of the aggregator in one small file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.crash_points import reached
from nowcast_cli.logs.followed import Saved

FILE_NAME = "log_offsets.json"


@dataclass(frozen=True)
class Offsets:
    """What an aggregator leaves to the next one.

    Parameters
    ----------
    since
        When the first one began. Jobs that began before are not followed.
    globs
        What was followed. Files of a glob that is new are read from their ends; all others that
        are new were made while no aggregator ran, and are read from their begins.
    files
        Where each followed name stands.
    """

    since: datetime
    globs: tuple[str, ...] = ()
    files: Mapping[Path, Saved] = field(default_factory=dict)


def read_offsets(path: Path) -> Offsets | None:
    """Read the file; None where there is none, or it is not one of ours."""
    try:
        value = json.loads(path.read_bytes())
        return Offsets(
            datetime.fromisoformat(value["since"]),
            tuple(str(glob) for glob in value["globs"]),
            {Path(name): Saved.from_json(saved) for name, saved in value["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_offsets(path: Path, offsets: Offsets) -> None:
    """Write the file, for the owner alone. Raises OSError; the old one then stays."""
    files = {str(name): saved.to_json() for name, saved in offsets.files.items()}
    value = {"since": offsets.since.isoformat(), "globs": list(offsets.globs), "files": files}
    reached("aggregator.before_offsets")
    write_atomically(path, json.dumps(value).encode(), mode=0o600)
    reached("aggregator.saved_offsets")
