"""What the files ``pid`` and ``exit`` of a job tell: who runs it, and how it ended.

Standard library only: this file is shipped to other hosts together with the runner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli import process_identity
from nowcast_cli.process_identity import ProcessIdentity, began_at, boot_id, uptime


@dataclass(frozen=True)
class Claim:
    """The one process that runs a job's code, as the job's ``pid`` file tells it.

    ``runner`` is the process that waits for it, where there is one. ``claimed_at`` is UTC in
    ISO 8601; ``uptime`` tells the same instant in seconds since the boot of ``process``, None in
    claims of before it was written.
    """

    process: ProcessIdentity
    runner: ProcessIdentity | None
    claimed_at: str
    uptime: float | None = None

    def age(self) -> float | None:
        """The seconds since the job began, by the clock of its boot; None when that was another.

        Its process may have been there for hours before: it is forked ahead of its job.
        """
        if self.process.boot != boot_id():
            return None
        began = began_at(self.process) if self.uptime is None else self.uptime
        return max(0.0, uptime() - began)

    def to_json(self) -> dict[str, Any]:
        """The content of the ``pid`` file."""
        runner = None if self.runner is None else process_identity.to_json(self.runner)
        return {
            "process": process_identity.to_json(self.process),
            "runner": runner,
            "claimed_at": self.claimed_at,
            "uptime": self.uptime,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Claim:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        runner = value["runner"]
        return cls(
            process_identity.from_json(value["process"]),
            None if runner is None else process_identity.from_json(runner),
            str(value["claimed_at"]),
            None if (seconds := value.get("uptime")) is None else float(seconds),
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
