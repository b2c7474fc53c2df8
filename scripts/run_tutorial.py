"""Types the tutorial into a real shell, and writes what it printed into docs/tutorial.md.

The tutorial's ``console`` blocks are commands (``$ …``) with their output, its ``diff`` block is
applied. The page stays as it is where the output differs in nothing but times, ids and the like.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pexpect
from pexpect.replwrap import REPLWrapper

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import wait_until
from nowcast_cli.store.checklist_file import read_header
from nowcast_cli.store.reader import Reader as Store

PAGE = Path(__file__).parents[1] / "docs/tutorial.md"
BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_FOLDER = "/data"  # where the reader is said to be

ID = re.compile(r"\b[0-9a-f]{8}\b(?!-)")
PROCESS = re.compile(r"(?<=process )\d+")
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{3})?Z?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DAY"),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (ID, "ID"),
    (re.compile(r"\b(process|kill -9) +\d+"), r"\1 N"),
    (re.compile(r"\b(ports?) \d+(?: and \d+)?"), r"\1 N"),
    (re.compile(r"\b\d+\.\d+ s\b"), "N s"),
    (re.compile(r"\b\d+ MB\b"), "N MB"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
]


class Reader:
    """Somebody who follows a page, and so meets other ids than those that are printed there."""

    def __init__(self, folder: Path, settle: Callable[[Path], None]) -> None:
        self._folder = folder
        self._settle = settle
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("NOWCAST_")
        }
        path = f"{Path(sys.executable).parent}:{environment['PATH']}"
        shell = pexpect.spawn(
            "bash",
            ["--norc"],
            cwd=folder,
            env={**environment, "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"},
            echo=False,
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 120),
        )
        self._shell = REPLWrapper(shell, r"[$#]", "PS1='{0}' PS2='{1}' PROMPT_COMMAND=''")
        self._printed: dict[re.Pattern[str], list[str]] = {ID: [], PROCESS: []}
        self._met: dict[re.Pattern[str], list[str]] = {ID: [], PROCESS: []}

    def follow(self, block: re.Match[str]) -> str:
        """Do what a block says; give the block as it turned out."""
        kind, text = block[1], block[2]
        if kind == "diff":
            patch = ["git", "apply", "-"]
            subprocess.run(patch, cwd=self._here(), input=text, text=True, check=True)
            return block[0]
        typed = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        return "```console\n" + "".join(self._type(*step.split("\n", 1)) for step in typed) + "```"

    def _type(self, command: str, printed: str) -> str:
        self._settle(self._folder)
        actual = self._translated(command)
        output = self._shell.run_command(actual).replace("\r\n", "\n")
        output = output.replace(str(self._folder), SHOWN_FOLDER)
        for pattern in (ID, PROCESS):
            remember(self._printed[pattern], pattern.findall(printed))
            remember(self._met[pattern], pattern.findall(output))
        return f"$ {actual}\n{output}"

    def _translated(self, command: str) -> str:
        """Replace what the page calls a job or a process by what the reader's is called."""
        for pattern in (ID, PROCESS):
            names = dict(zip(self._printed[pattern], self._met[pattern], strict=False))
            command = " ".join(names.get(word, word) for word in command.split(" "))
        return command

    def _here(self) -> str:
        return self._shell.run_command("pwd").strip()


def remember(known: list[str], found: list[str]) -> None:
    """Add what is new, in order of appearance."""
    known.extend(name for name in dict.fromkeys(found) if name not in known)


def normalised(page: str) -> str:
    """Give a page without what differs from run to run."""
    for pattern, word in VARYING:
        page = pattern.sub(word, page)
    return re.sub(r" {2,}", "  ", page)


def follow(page: str, folder: Path, settle: Callable[[Path], None]) -> str:
    """Follow a page in ``folder``; ``settle`` waits as people do before they type on."""
    return BLOCK.sub(Reader(folder, settle).follow, page)


def settled(folder: Path) -> None:
    """Wait until no job is open and the checklist file shows what the last message did."""

    def quiet() -> bool:
        with Store(database) as store:
            last = max((m.number for m in store.messages() if m.source != "nowcast"), default=0)
            busy = store.jobs(states=("waiting", "held", "submitting", "running"))
        return not busy and (read_header(checklist) or 0) >= last

    for database in folder.glob("*/var/nowcast.db"):
        checklist = database.with_name("nowcast_checklist.yaml")
        wait_until(quiet, what="the end of what the last command began")


def main() -> None:
    """Renew the page."""
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        real = follow(page, Path(folder), settled)
    if normalised(real) != normalised(page):
        PAGE.write_text(real)
        print(f"wrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
