"""One thing that was found in a deployment, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# used: works as it stands; yours: the deployment's own, passed through; ignored: has no effect;
# differs: works, with a difference to know of; mend: stands in the way.
Verdict = Literal["used", "yours", "ignored", "differs", "mend"]
VERDICTS: tuple[Verdict, ...] = ("used", "yours", "ignored", "differs", "mend")


@dataclass(frozen=True)
class Finding:
    """``what`` stands in ``file`` at ``line`` (from 1, None for the whole file); and why so."""

    file: Path
    line: int | None
    what: str
    verdict: Verdict
    why: str
