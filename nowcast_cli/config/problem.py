"""One mistake in a configuration, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what it is, what mends it.

    ``line`` and ``column`` count from 1; both are None where the file as a whole is meant.
    ``path`` leads through the keys (``zmq.ports.workers``) and is empty for the whole file.
    """

    file: Path
    line: int | None
    column: int | None
    path: str
    message: str
    severity: Severity = "error"
    hint: str | None = None

    @property
    def stops_the_system(self) -> bool:
        """Whether no system can run with it; a scheduled item that is wrong stops only itself."""
        return self.severity == "error" and not self.path.startswith("scheduled workers[")

    @property
    def text(self) -> str:
        """The problem as ``file:line:column: path: message``, without the hint."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)
