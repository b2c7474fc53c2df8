"""Until when workers are expected to succeed: ``expect by`` and ``within``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nowcast_cli.config.durations import NotADuration, seconds_of
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.positions import KeyPath
from nowcast_cli.config.settings import registered_workers
from nowcast_cli.config.timing import WrongTiming, time_of_day
from nowcast_cli.config.zones import local_zone, named_zone
from nowcast_cli.errors import ConfigError

_AFTER = re.compile(r"(?P<time>.+?)\s+of\s+(?P<worker>\S+)")


@dataclass(frozen=True, slots=True)
class ByTime:
    """A worker is expected to have succeeded each day by ``hour:minute:second`` of ``zone``."""

    worker: str
    time: tuple[int, int, int]
    zone: ZoneInfo
    words: str


@dataclass(frozen=True, slots=True)
class AfterWorker:
    """A worker is expected to succeed within so many seconds of each success of another."""

    worker: str
    other: str
    seconds: float
    words: str


Expectation = ByTime | AfterWorker


def expectations_of(config: Mapping[str, Any]) -> tuple[tuple[Expectation, ...], list[Finding]]:
    """Read what the message registry expects; gives that, and the mistakes."""
    findings: list[Finding] = []
    found = tuple(_expectations(registered_workers(config), findings))
    return found, findings


def _expectations(
    workers: list[tuple[Any, dict[Any, Any]]], findings: list[Finding]
) -> Iterator[Expectation]:
    known = [str(name) for name, _ in workers]
    for name, entry in workers:
        path: KeyPath = ("message registry", "workers", name)
        try:
            if entry.get("expect by") is not None:
                yield _by_time(str(name), entry["expect by"])
        except (WrongTiming, ValueError, ConfigError) as error:
            message = getattr(error, "message", None) or str(error)
            findings.append(Finding((*path, "expect by"), message))
        try:
            if entry.get("within") is not None:
                yield _after_worker(str(name), entry["within"], known)
        except ValueError as error:
            findings.append(Finding((*path, "within"), str(error)))


def _by_time(worker: str, value: Any) -> ByTime:
    clock, _, zone = value.partition(" ") if isinstance(value, str) else (value, "", "")
    time = time_of_day(clock)
    return ByTime(worker, time, named_zone(zone.strip()) if zone else local_zone(), str(value))


def _after_worker(worker: str, value: Any, known: list[str]) -> AfterWorker:
    found = _AFTER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"must be such as '2h of collect_weather', not {value!r}")
    try:
        seconds = seconds_of(found["time"])
    except NotADuration:
        raise ValueError(
            f"must begin with a length of time, as '2h of {found['worker']}' does, not {value!r}"
        ) from None
    if found["worker"] not in known:
        raise ValueError(
            f"the worker {found['worker']} is not in the message registry"
            + did_you_mean(found["worker"], known)
        )
    return AfterWorker(worker, found["worker"], seconds, value.strip())
