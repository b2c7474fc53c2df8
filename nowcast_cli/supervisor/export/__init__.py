"""Files with which another supervisor than ours keeps the daemons of a system up.

One small module a supervisor, each with ``files_for(plan)``. They are tables of names and text;
nothing is started or asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.supervisor.daemons import Daemon


@dataclass(frozen=True)
class Plan:
    """What is to be kept up.

    ``name`` is the system's, fit for names of files; ``python`` the interpreter of the daemons.
    ``environment`` is what they need beside that of the other supervisor.
    """

    name: str
    python: str
    config_file: Path
    run: Path
    logs: Path
    daemons: Sequence[Daemon]
    environment: Mapping[str, str]

    def log_of(self, daemon: Daemon) -> Path:
        """The file of what a daemon prints."""
        return self.logs / f"{daemon.name}.out"


def refuse(text: str, marks: Sequence[str], supervisor: str) -> str:
    """Give ``text`` back. Raises NowcastError when it has a mark that cannot be written."""
    for mark in marks:
        if mark in text:
            raise NowcastError(
                f"{supervisor} cannot be told the path {text!r}",
                cause=f"in its files {mark!r} has a meaning of its own",
                hint="move the deployment to a path of plain characters",
            )
    return text
