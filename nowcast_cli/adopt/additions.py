"""What a deployment lacks, and how it is written: lines added, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from nowcast_cli.adopt.deployment import Deployment, text_of
from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config.positions import Document
from nowcast_cli.errors import NowcastError
from nowcast_cli.store.network_folders import network_file_system_of

_STATE = "var"
_COMMENT = "# What nowcast writes: its store, job folders, logs. On a local disk; not in git."


@dataclass(frozen=True)
class Addition:
    """``text`` is to stand in ``file`` after line ``after`` (0 for a new file); and why."""

    file: Path
    after: int
    text: str
    why: str


def additions(deployment: Deployment, document: Document) -> Iterator[Addition]:
    """Give what is missing: ``state directory``, and a line in .gitignore that keeps it out."""
    data = document.data if isinstance(document.data, dict) else {}
    state = data.get("state directory")
    if state is None:
        state = _state_directory(deployment)
        why = "the store, the job folders and the sockets lie there, apart from your files"
        lines = len(text_of(deployment.config_file).splitlines())
        after = _line_after_checklist_file(document, lines)
        text = f"\n{_COMMENT}\nstate directory: {state}\n"
        yield Addition(deployment.config_file, after, text, why)
    yield from _ignored_by_git(deployment, str(state))


def write(addition: Addition) -> None:
    """Add the lines. Raises NowcastError when the file cannot be written, or would change else."""
    file = addition.file
    before = file.read_text() if file.exists() else ""
    lines = before.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    after = "".join([*lines[: addition.after], addition.text, *lines[addition.after :]])
    if file.suffix in (".yaml", ".yml"):
        _see_that_nothing_else_changes(file, before, after)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    try:
        write_atomically(file, after.encode(), mode)
    except OSError as error:
        raise NowcastError(f"{file} cannot be written", cause=error.strerror) from None


def _state_directory(deployment: Deployment) -> str:
    folder = deployment.config_file.parent
    if network_file_system_of(folder) is None:
        return _STATE
    return str(Path("~/.local/state/nowcast") / deployment.folder.resolve().name)


def _line_after_checklist_file(document: Document, lines: int) -> int:
    """Give the last line of the first key's value, which is where `checklist file` mostly is."""
    top = [entry for entry in document.entries if len(entry.path) == 1 and entry.key is not None]
    for entry in top:
        if entry.path == ("checklist file",):
            return entry.value.end_mark.line + 1
    return lines


def _ignored_by_git(deployment: Deployment, state: str) -> Iterator[Addition]:
    repository = next(
        (
            folder
            for folder in (deployment.folder.resolve(), *deployment.folder.resolve().parents)
            if (folder / ".git").exists()
        ),
        None,
    )
    place = (deployment.config_file.parent / Path(state).expanduser()).resolve()
    if repository is None or "$" in state or not place.is_relative_to(repository):
        return
    line = f"/{place.relative_to(repository)}/"
    file = repository / ".gitignore"
    present = text_of(file).splitlines()
    if not {line, line.rstrip("/"), line.lstrip("/"), line.strip("/")} & set(present):
        why = "keeps the state out of git"
        yield Addition(file, len(present), f"{line}\n", why)


def _see_that_nothing_else_changes(file: Path, before: str, after: str) -> None:
    old, new = (yaml.load(text, Loader=yaml.CSafeLoader) for text in (before, after))
    new.pop("state directory", None)
    if old != new:
        raise NowcastError(
            f"{file} was left as it is: the line could not be added without changing others",
            hint="add `state directory: var` yourself",
        )
