"""One job, in its folder.

Standard library only, with its two neighbours ``atomic_files`` and ``process_identity``: the
three files are shipped together to other hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli import process_identity
from nowcast_cli.process_identity import ProcessIdentity


@dataclass(frozen=True)
class Claim:
    """The one process that runs a job's code, as the job's ``pid`` file tells it.

    ``runner`` is the process that waits for it, where there is one. ``claimed_at`` is UTC in
    ISO 8601.
    """

    process: ProcessIdentity
    runner: ProcessIdentity | None
    claimed_at: str

    def to_json(self) -> dict[str, Any]:
        """The content of the ``pid`` file."""
        runner = None if self.runner is None else process_identity.to_json(self.runner)
        return {
            "process": process_identity.to_json(self.process),
            "runner": runner,
            "claimed_at": self.claimed_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Claim:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        runner = value["runner"]
        return cls(
            process_identity.from_json(value["process"]),
            None if runner is None else process_identity.from_json(runner),
            str(value["claimed_at"]),
        )


@dataclass(frozen=True)
class Exit:
    """How the process of a job ended, as the job's ``exit`` file tells it.

    Either ``code`` or ``signal`` is set. ``reason`` says in a sentence why the job's code did
    not begin. ``peak_memory`` is in bytes, ``cpu_seconds`` user and system time together.
    """

    code: int | None
    signal: int | None
    finished_at: str
    reason: str | None
    peak_memory: int
    cpu_seconds: float

    def to_json(self) -> dict[str, Any]:
        """The content of the ``exit`` file."""
        return {
            "code": self.code,
            "signal": self.signal,
            "finished_at": self.finished_at,
            "reason": self.reason,
            "peak_memory": self.peak_memory,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Exit:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        return cls(
            code=None if value["code"] is None else int(value["code"]),
            signal=None if value["signal"] is None else int(value["signal"]),
            finished_at=str(value["finished_at"]),
            reason=None if value["reason"] is None else str(value["reason"]),
            peak_memory=int(value["peak_memory"]),
            cpu_seconds=float(value["cpu_seconds"]),
        )
