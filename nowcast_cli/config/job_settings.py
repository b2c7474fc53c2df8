"""How the jobs of a worker are run: ``timeout``, ``retry``, ``concurrency`` and the like. Pure.

They stand in the worker's entry of the message registry, beside its message types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.ensembles import (
    ENSEMBLE_KEYS,
    NO_ENSEMBLE,
    EnsembleSettings,
    ensemble_settings,
)
from nowcast_cli.config.reading import MOST, Reading
from nowcast_cli.config.requirements import NO_REQUIREMENTS, Requirements, requirements_in
from nowcast_cli.config.resources import NO_RESOURCES, Resources, resources_in
from nowcast_cli.config.settings import registered_workers

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding
    from nowcast_cli.config.positions import KeyPath

JOB_KEYS = (
    "timeout", "retry", "concurrency", "idempotent", "priority", "executor", "resources",
    "directives", "requires", *ENSEMBLE_KEYS,
)  # fmt: skip
LONGEST_DELAY = 30 * 86400.0

_RETRY_KEYS = ("tries", "delay", "factor", "on")
_BAD_ENDINGS = ("crash", "failure", "lost")


@dataclass(frozen=True, slots=True)
class Retry:
    """``tries`` attempts at most, after these bad endings; ``delay`` (s) grows by ``factor``."""

    tries: int
    delay: float
    factor: float
    on: frozenset[str]

    def delay_after(self, tried: int) -> float:
        """Give the seconds between the attempt of that number and the next one."""
        try:
            return min(self.delay * self.factor ** (tried - 1), LONGEST_DELAY)
        except OverflowError:
            return LONGEST_DELAY if self.delay else 0.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What holds for the jobs of one worker; ``timeout`` is in seconds, None is no limit.

    Of several workers whose jobs wait for a place, that of the highest ``priority`` goes first.
    ``executor`` is the name of the one that runs them, None for the default of the system;
    ``directives`` are lines for the head of their job script. ``ensemble`` says whether a launch
    makes one job or several. ``requires`` is what an agent must have that it runs on.
    """

    timeout: float | None = None
    retry: Retry | None = None
    concurrency: int | None = None
    idempotent: bool = False
    priority: int = 0
    executor: str | None = None
    resources: Resources = NO_RESOURCES
    directives: tuple[str, ...] = ()
    ensemble: EnsembleSettings = NO_ENSEMBLE
    requires: Requirements = NO_REQUIREMENTS


NO_SETTINGS = JobSettings()


def job_settings(entry: Mapping[Any, Any], path: KeyPath) -> tuple[JobSettings, list[Finding]]:
    """Read the settings in the entry of a worker, which stands at ``path``; gives the mistakes."""
    if not any(key in entry for key in JOB_KEYS):
        return NO_SETTINGS, []
    reading = Reading(entry, path)
    idempotent = reading.switch("idempotent")
    return (
        JobSettings(
            timeout=reading.duration("timeout"),
            retry=_retry(reading, idempotent),
            concurrency=reading.whole("concurrency", 1),
            idempotent=idempotent,
            priority=reading.whole("priority", -MOST) or 0,
            executor=reading.word("executor"),
            resources=resources_in(reading),
            directives=reading.directives(),
            ensemble=ensemble_settings(entry, reading.wrong),
            requires=requirements_in(reading),
        ),
        reading.findings,
    )


def job_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in the settings of the registered workers."""
    for name, entry in registered_workers(config):
        yield from job_settings(entry, ("message registry", "workers", name))[1]


def _retry(of_worker: Reading, idempotent: bool) -> Retry | None:
    reading = of_worker.below("retry", "{tries: 3, delay: 30s}")
    if reading is None:
        return None
    # The plain word `on` is true in YAML: as a key here it can only be meant as it stands.
    reading.entry = {"on" if key is True else key: value for key, value in reading.entry.items()}
    reading.refuse_unknown_keys(_RETRY_KEYS)
    if reading.entry.get("tries") is None:
        reading.wrong("tries", "is missing", "say how often the worker is run at most: tries: 3")
    delay = reading.entry.get("delay")
    return Retry(
        tries=reading.whole("tries", 1) or 1,
        delay=0.0 if delay == 0 and delay is not False else reading.duration("delay") or 0.0,
        factor=reading.factor("factor"),
        on=_endings(reading, "on") or frozenset({"crash", "lost"} if idempotent else {"crash"}),
    )


def _endings(reading: Reading, key: str) -> frozenset[str]:
    value = reading.entry.get(key)
    given = [value] if isinstance(value, str) else value
    if given is None:
        return frozenset()
    if isinstance(given, list) and given and all(each in _BAD_ENDINGS for each in given):
        return frozenset(given)
    reading.wrong(key, f"must be a list of {', '.join(_BAD_ENDINGS)}, not {value!r}")
    return frozenset()
