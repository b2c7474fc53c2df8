"""Running all checks, each for itself: one that fails in an unforeseen way stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nowcast_cli.config import Config, system_paths
from nowcast_cli.doctor import (
    configuration,
    daemons,
    executors,
    hosts,
    installation,
    journal,
    keys,
    machine,
    notifications,
    state_folder,
)
from nowcast_cli.doctor.finding import Finding, Level, Subject, note, warning
from nowcast_cli.errors import NowcastError

Check: TypeAlias = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    installation.version_of_nowcast,
    installation.packages,
    installation.nemo_nowcast_beside,
    installation.interpreter_of_workers,
    configuration.code,
    configuration.environment,
    configuration.log_files,
    configuration.git,
    state_folder.disk_space,
    state_folder.inodes,
    state_folder.file_system,
    state_folder.permissions,
    keys.keys,
    machine.clock,
    machine.time_zones,
    machine.open_files,
    machine.inotify,
    hosts.other_hosts,
    executors.executors,
    daemons.ports,
    daemons.daemons,
    daemons.services,
    daemons.leftovers,
    notifications.notifications,
    journal.store,
    journal.stuck_messages,
    journal.jobs,
)


@dataclass(frozen=True)
class Examined:
    """A check that was made: its name, what it means when it fails, and what it found."""

    name: str
    meaning: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level | None:
        """The worst of the findings; None where there is none."""
        levels = {finding.level for finding in self.findings}
        order: tuple[Level, ...] = ("error", "warning", "note")
        return next((level for level in order if level in levels), None)


def examine(file: Path, environment: Mapping[str, str]) -> Iterator[Examined]:
    """Make all checks of the system whose configuration file is ``file``, one after another."""
    first = _made(configuration.configuration, lambda: configuration.configuration(file))
    try:
        config = Config()
        config.load(file)
        subject = Subject(config, system_paths(config), environment)
    except NowcastError:
        left = note("nothing else was looked at, since the configuration cannot be read")
        yield Examined(first.name, first.meaning, (*first.findings, left))
        return
    yield first
    for check in CHECKS:
        yield _made(check, lambda check=check: check(subject))  # type: ignore[misc]


def exit_code(examined: list[Examined]) -> int:
    """Give 1 where there is an error, 5 where there is a warning, else 0."""
    levels = {each.level for each in examined}
    return 1 if "error" in levels else 5 if "warning" in levels else 0


def _made(check: Callable[..., object], make: Callable[[], Iterator[Finding]]) -> Examined:
    findings: list[Finding] = []
    try:
        findings.extend(make())
    except Exception as problem:  # a doctor that falls ill says so, and goes on
        what = problem.what if isinstance(problem, NowcastError) else repr(problem)
        findings.append(
            warning(f"this could not be looked at: {what}", "mend that, then try again")
        )
    meaning = " ".join((check.__doc__ or "").split())
    return Examined(check.__name__.replace("_", " "), meaning, tuple(findings))
