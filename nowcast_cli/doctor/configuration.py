"""What the configuration says, and what of it is missing around it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from nowcast_cli.config.config import handlers_of
from nowcast_cli.config.problem import Problem
from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning

if TYPE_CHECKING:
    from nowcast_cli.notify.channels import Channel

_SHOWN = 5


def configuration(file: Path) -> Iterator[Finding]:
    """Failure means that daemons will not start with this file, or not do what it seems to say."""
    from nowcast_cli.config.check import check

    yield from _of_problems(check(file))


def code(subject: Subject) -> Iterator[Finding]:
    """Failure means that messages get stuck, as `next_workers` or a worker cannot be imported."""
    from nowcast_cli.config.code_check import check_code

    yield from _of_problems(check_code(subject.config))


def environment(subject: Subject) -> Iterator[Finding]:
    """Failure means that a part of the system is silent: nobody gets its notifications."""
    from nowcast_cli.notify.channels import channels_of

    channels, unusable = channels_of(subject.config, subject.environment)
    for place in unusable:
        yield warning(f"{place.name}: {place.reason}", place.hint)
    yield from _apprise([channel for channel in channels if channel.form == "apprise"])
    if subject.environment.get("SENTRY_DSN") and find_spec("sentry_sdk") is None:
        yield warning(
            "SENTRY_DSN is set, but the package sentry-sdk is not installed",
            "pip install sentry-sdk, or unset SENTRY_DSN",
        )


def _apprise(channels: Sequence[Channel]) -> Iterator[Finding]:
    if channels and find_spec("apprise") is None:
        yield error(
            "`notify` needs the package apprise, which is not installed: nobody is told",
            "pip install 'nowcast-cli[notify]', then nowcast restart",
        )
        return
    from nowcast_cli.notify.sending import is_an_address

    for channel in channels:
        if not is_an_address(channel.url):
            yield warning(
                f"notify.{channel.name}: apprise can use no such address, so nobody is told there",
                "write it in one of the forms of `apprise --details`, then nowcast restart",
            )


def log_files(subject: Subject) -> Iterator[Finding]:
    """Failure means that a daemon or worker ends at once, since it cannot open its log."""
    names = {
        Path(handler["filename"])
        for _, handler in handlers_of(subject.config.get("logging"))
        if isinstance(handler.get("filename"), str)
    }
    for file in sorted(names):
        place = next(path for path in (file, *file.parents) if path.exists())
        if file.is_dir():
            yield error(f"the log file {file} is a folder", "give the handler another filename")
        elif not os.access(place, os.W_OK):
            yield error(
                f"the log file {file} cannot be written: {place} is not writable",
                f"chown or chmod {place}, or give the handler another filename",
            )


def git(subject: Subject) -> Iterator[Finding]:
    """Failure means that the state of the system gets into the history of its repository."""
    folder, state = subject.paths.deployment, subject.paths.state.resolve()
    if which("git") is None or _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        yield note(f"{folder} is not a git repository", "git init, to have a history of changes")
        return
    top = Path(_git(folder, "rev-parse", "--show-toplevel") or folder)
    if not state.is_relative_to(top) or state == top:
        return
    tracked = _git(folder, "ls-files", "--", str(subject.paths.database), f"{state}/jobs")
    if tracked:
        yield warning(
            f"git tracks files of the system's state, such as {tracked.splitlines()[0]}",
            f"git rm -r --cached {state}, and write its name into .gitignore",
        )
    elif not _git(folder, "check-ignore", str(state / "nowcast.db")):
        yield warning(
            f"git does not ignore {state}, the state of the system",
            f"echo /{state.relative_to(top)}/ >> {top / '.gitignore'}",
        )


def _of_problems(problems: Iterable[Problem]) -> Iterator[Finding]:
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    for problem in ordered[:_SHOWN]:
        yield Finding(problem.severity, problem.text, problem.hint or "nowcast validate")
    if len(ordered) > _SHOWN:
        rest = ordered[_SHOWN:]
        yield Finding(rest[0].severity, f"and {len(rest)} more", "nowcast validate")


def _git(folder: Path, *arguments: str) -> str:
    """Give what git prints, nothing where it fails."""
    names = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in names},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout.strip()
