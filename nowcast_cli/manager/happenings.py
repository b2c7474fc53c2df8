"""What happens to jobs, as their folders and processes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nowcast_cli.executors.native import Native
from nowcast_cli.messages.message import Message


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job's own process has begun."""

    job_id: str
    pid: int
    at: str


@dataclass(frozen=True, slots=True)
class Told:
    """A message lay in a job's outbox; the file goes once it is taken in.

    ``path`` is None for the message of a command, which its exit code tells.
    """

    message: Message
    path: Path | None


@dataclass(frozen=True, slots=True)
class Overran:
    """A job's process has run for longer than the timeout of its worker, in seconds."""

    job_id: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A job's process has ended, by what the runner wrote (JSON), and why, as a sentence.

    ``by_system`` is what the system beneath its executor calls its end where it had a part in it.
    """

    job_id: str
    exit: Mapping[str, Any]
    reason: str
    by_system: Literal["crashed", "timed out"] | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A job's process has gone, and nobody wrote how it ended."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stayed:
    """Processes of a job that was ended are there still: which, in words."""

    job_id: str
    words: str


@dataclass(frozen=True, slots=True)
class Slow:
    """A job runs for far longer than any of its worker: for ``seconds``.

    Its last ``runs`` jobs that succeeded took at most ``slowest`` seconds.
    """

    job_id: str
    seconds: float
    runs: int
    slowest: float


@dataclass(frozen=True, slots=True)
class NativeChanged:
    """The system beneath an executor has taken a job, or has another state for it."""

    job_id: str
    native: Native


Happening = Slow | NativeChanged | Claimed | Told | Overran | Ended | Lost | Stayed
