"""Running the command ``nowcast`` as a process of its own, as a person does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def nowcast(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """Run ``nowcast -C folder arguments`` and wait for its end."""
    process = begin_nowcast(folder, *arguments, env=env)
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def begin_nowcast(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start ``nowcast -C folder arguments`` and do not wait."""
    return subprocess.Popen(
        [sys.executable, "-m", "nowcast_cli.cli", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
