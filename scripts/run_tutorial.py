"""Types the tutorials into a real shell, and writes what it printed into their pages.

A ``console`` block of a tutorial is commands (``$ …``) with their output, a ``diff`` block is
applied, and a block with a caption is a file of that name. A page stays as it is where the output
differs in nothing but times, ids and the like.
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
from nowcast_cli.store.flow_records import OPEN, StepRecord
from nowcast_cli.store.reader import Reader as Store

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "tutorial.md", DOCS / "tutorial-flows.md")
BLOCK = re.compile(
    r"^```(?:(console|diff)|\{code-block\} \w+\n:caption: (\S+)\n)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
OPEN_JOBS = ("waiting", "held", "submitting", "running")
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
        kind, file, text = block.groups()
        if file:
            Path(self._here(), file).write_text(text)
            return block[0]
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
            command = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), command)  # noqa: B023
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
    """Wait until no job is open, the checklist file shows what the last message did, and runs of
    flows have ended, or wait for a person.
    """

    def quiet() -> bool:
        with Store(database) as store:
            last = max((m.number for m in store.messages() if m.source != "nowcast"), default=0)
            busy: list[object] = [*store.jobs(states=OPEN_JOBS)]
            for run in store.flow_runs(None, 100):
                steps = store.flow_run(run.id).steps.values()
                busy += [step for step in steps if step.state in OPEN and not for_a_person(step)]
        return not busy and (read_header(checklist) or 0) >= last

    for database in folder.glob("*/var/nowcast.db"):
        checklist = database.with_name("nowcast_checklist.yaml")
        wait_until(quiet, what="the end of what the last command began")


def for_a_person(step: StepRecord) -> bool:
    """Tell whether a step waits for a word from outside."""
    return step.state == "running" and step.job is None and step.performer is None


def main() -> None:
    """Renew the pages."""
    for page in PAGES:
        text = page.read_text()
        with tempfile.TemporaryDirectory() as folder:
            real = follow(text, Path(folder), settled)
        if normalised(real) != normalised(text):
            page.write_text(real)
            print(f"wrote {page}", file=sys.stderr)


if __name__ == "__main__":
    main()
