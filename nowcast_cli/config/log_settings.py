"""What is followed by the log aggregator, and how long files are kept: ``logs``, ``retention``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nowcast_cli.config.durations import NotADuration, seconds_of
from nowcast_cli.config.findings import Finding
from nowcast_cli.errors import ConfigError

Watch = Literal["auto", "inotify", "poll"]

KEPT = {"jobs": "30d", "scratch": "7d", "logs": "90d", "journal": "365d", "events": "30d"}
SHORTEST_JOURNAL = 86400.0  # seconds: repeats of messages, and jobs, are known by it
_HOW_TO_WATCH = ("auto", "inotify", "poll")


@dataclass(frozen=True)
class LogSettings:
    """What the aggregator follows: absolute globs; and how it learns of changes."""

    follow: tuple[str, ...]
    watch: Watch


@dataclass(frozen=True)
class Retention:
    """For how many seconds each is kept: folders of jobs, their scratch folders, rotated logs,
    the messages and jobs of the store, and its events.
    """

    jobs: float
    scratch: float
    logs: float
    journal: float
    events: float


def log_settings(config: Mapping[str, Any], deployment: Path) -> LogSettings:
    """Read ``logs``. Raises ConfigError; relative globs begin at the folder ``deployment``."""
    section = config.get("logs") or {}
    _refuse(_logs_findings(section))
    follow = (str(deployment / Path(glob).expanduser()) for glob in section.get("follow") or ())
    return LogSettings(tuple(follow), section.get("watch") or "auto")


def retention(config: Mapping[str, Any]) -> Retention:
    """Read ``retention: {jobs: 30d, scratch: 7d, logs: 90d, journal: 365d, events: 30d}``.

    Raises ConfigError.
    """
    section = config.get("retention") or {}
    _refuse(_retention_findings(section))
    given = {key: value for key, value in section.items() if value is not None}
    return Retention(**{key: seconds_of(given.get(key, kept)) for key, kept in KEPT.items()})


def log_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find mistakes in the values of both sections that their form does not show."""
    if isinstance(config.get("logs"), Mapping):
        yield from _globs(config["logs"])
    if isinstance(config.get("retention"), Mapping):
        yield from _lengths(config["retention"])


def _logs_findings(section: Any) -> Iterator[Finding]:
    if not isinstance(section, Mapping):
        yield Finding(("logs",), f"must hold keys with values, not {section!r}")
        return
    follow = section.get("follow") or []
    if not isinstance(follow, list) or not all(isinstance(glob, str) for glob in follow):
        yield Finding(("logs", "follow"), f"must be a list of globs, not {follow!r}")
        return
    if section.get("watch") not in (None, *_HOW_TO_WATCH):
        words = f"must be auto, inotify or poll, not {section['watch']!r}"
        yield Finding(("logs", "watch"), words)
    yield from _globs(section)


def _globs(section: Mapping[str, Any]) -> Iterator[Finding]:
    from nowcast_cli.config.positions import Index

    follow = section.get("follow")
    for index, glob in enumerate(follow if isinstance(follow, list) else ()):
        if isinstance(glob, str) and not glob.strip("/"):
            yield Finding(
                ("logs", "follow", Index(index)),
                f"must name files, not {glob!r}",
                hint="write a path with wildcards, such as /data/runs/*/ocean.output",
            )


def _retention_findings(section: Any) -> Iterator[Finding]:
    if not isinstance(section, Mapping):
        yield Finding(("retention",), f"must hold keys with values, not {section!r}")
        return
    for key in section:
        if key not in KEPT:
            words = "is not a key of this section"
            yield Finding(("retention", key), words, hint=f"its keys are: {', '.join(KEPT)}")
    yield from _lengths(section)


def _lengths(section: Mapping[str, Any]) -> Iterator[Finding]:
    for key in KEPT:
        if section.get(key) is None:
            continue
        try:
            if isinstance(section[key], int | float):
                raise NotADuration(f"must say its unit, such as '30d', not {section[key]!r}")
            if seconds_of(section[key]) < SHORTEST_JOURNAL and key in ("journal", "events"):
                raise NotADuration(f"must be a day at least, not {section[key]!r}")
        except NotADuration as error:
            yield Finding(("retention", key), str(error))


def _refuse(findings: Iterator[Finding]) -> None:
    for finding in findings:
        where = ".".join(str(step) for step in finding.path)
        raise ConfigError(
            f"{where}: {finding.message}", hint=finding.hint or "nowcast validate says where"
        )
