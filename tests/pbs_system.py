"""A PBS of stand-in commands, for tests: ``pbs`` (see ``pbs_commands``)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMANDS = ("qsub", "qstat", "qselect", "qdel")
PROGRAM = Path(__file__).with_name("pbs_commands.py")

WRAPPER = """\
#!/bin/sh
echo "{name} $*" >>{root}/calls
exec {python} {program} {name} {root} "$@"
"""


class Pbs:
    """The queue ``workq`` with 4 processors; its commands are in :attr:`commands`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands = root / "commands"
        for folder in (self.commands, root / "jobs", root / "spool"):
            folder.mkdir(parents=True)
        (root / "calls").touch()
        for name in COMMANDS:
            text = WRAPPER.format(name=name, root=root, python=sys.executable, program=PROGRAM)
            (self.commands / name).write_text(text)
            (self.commands / name).chmod(0o755)

    def set(self, what: str, on: bool = True) -> None:
        """Have the server be ``down``, ``hangs`` or ``no-history``, or not be so any more."""
        if on:
            (self.root / what).touch()
        else:
            (self.root / what).unlink(missing_ok=True)

    def run(self, name: str, *arguments: str) -> str:
        """Run a command and give what it prints; it has to succeed."""
        done = subprocess.run(
            [self.commands / name, *arguments],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def calls(self, name: str) -> list[str]:
        """Give the arguments of each call of a command."""
        lines = (self.root / "calls").read_text().splitlines()
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]

    def attributes(self, native_id: str) -> dict[str, str]:
        """Give what ``qstat -x -f`` tells of a job."""
        text = self.run("qstat", "-x", "-f", native_id).replace("\n\t", "")
        pairs = (line.strip().partition(" = ") for line in text.splitlines())
        return {key: value for key, mark, value in pairs if mark}

    def stop(self) -> None:
        """End what runs jobs, and the jobs."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if os.fsencode(self.root) in command and process.name != str(os.getpid()):
                    os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pbs]:
    """Give a PBS without jobs, whose commands are found by their names."""
    system = Pbs(tmp_path / "pbs")
    monkeypatch.setenv("PATH", f"{system.commands}:{os.environ['PATH']}")
    yield system
    system.stop()
