"""Make a folder a git repository with a first commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import which

# Set while git runs a hook: they would send our commands to the repository of that hook.
_POINTERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def commit_files(folder: Path, files: Iterable[Path], message: str) -> str | None:
    """Make ``folder`` a repository, if it is none, and commit ``files`` (below it).

    Returns
    -------
    str or None
        What kept it from being done, as a sentence; None when the files are committed.
    """
    if which("git") is None:
        return "git is not installed, so the folder is not a git repository"
    steps: list[Sequence[str]] = [
        [*_identity(folder), "add", "--", *map(str, files)],
        [*_identity(folder), "commit", "--quiet", "--no-verify", "--message", message],
    ]
    if not (folder / ".git").exists():
        steps.insert(0, ["-c", "init.defaultBranch=main", "init", "--quiet"])
    for step in steps:
        ended = _git(folder, step)
        if ended.returncode != 0:
            return _refusal(ended)
    return None


def _identity(folder: Path) -> list[str]:
    """Give options that name an author where the user has not said who they are."""
    options = ["-c", "commit.gpgsign=false"]
    for key, value in (("user.name", "nowcast init"), ("user.email", "nowcast@localhost")):
        if _git(folder, ["config", key]).returncode != 0:
            options += ["-c", f"{key}={value}"]
    return options


def _git(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _POINTERS}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _refusal(ended: subprocess.CompletedProcess[str]) -> str:
    said = (ended.stderr or ended.stdout).strip().splitlines()
    return f"git could not make a commit of the files: {said[0] if said else 'it did not say why'}"
