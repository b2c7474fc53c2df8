"""How the jobs of a worker are run: ``timeout``, ``retry``, ``concurrency`` and the like. Pure.

They stand in the worker's entry of the message registry, beside its message types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.durations import NotADuration, seconds_of
from nowcast_cli.config.settings import registered_workers

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding
    from nowcast_cli.config.positions import KeyPath

JOB_KEYS = ("timeout", "retry", "concurrency", "idempotent", "priority")
LONGEST_DELAY = 30 * 86400.0

_RETRY_KEYS = ("tries", "delay", "factor", "on")
_BAD_ENDINGS = ("crash", "failure", "lost")
_MOST = 1_000_000


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
    """

    timeout: float | None = None
    retry: Retry | None = None
    concurrency: int | None = None
    idempotent: bool = False
    priority: int = 0


NO_SETTINGS = JobSettings()


def job_settings(entry: Mapping[Any, Any], path: KeyPath) -> tuple[JobSettings, list[Finding]]:
    """Read the settings in the entry of a worker, which stands at ``path``; gives the mistakes."""
    if not any(key in entry for key in JOB_KEYS):
        return NO_SETTINGS, []
    reading = _Reading(entry, path)
    idempotent = reading.switch("idempotent")
    return (
        JobSettings(
            timeout=reading.duration("timeout"),
            retry=_retry(reading, idempotent),
            concurrency=reading.whole("concurrency", 1),
            idempotent=idempotent,
            priority=reading.whole("priority", -_MOST) or 0,
        ),
        reading.findings,
    )


def job_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in the settings of the registered workers."""
    for name, entry in registered_workers(config):
        yield from job_settings(entry, ("message registry", "workers", name))[1]


def _retry(of_worker: _Reading, idempotent: bool) -> Retry | None:
    section = of_worker.entry.get("retry")
    if section is None:
        return None
    path = (*of_worker.path, "retry")
    if not isinstance(section, Mapping):
        words = "must hold keys with values, such as {tries: 3, delay: 30s}"
        of_worker.wrong("retry", f"{words}, not {section!r}")
        return None
    # The plain word `on` is true in YAML: as a key here it can only be meant as it stands.
    section = {"on" if key is True else key: value for key, value in section.items()}
    reading = _Reading(section, path, of_worker.findings)
    _unknown_keys(reading)
    if section.get("tries") is None:
        reading.wrong("tries", "is missing", "say how often the worker is run at most: tries: 3")
    delay = section.get("delay")
    return Retry(
        tries=reading.whole("tries", 1) or 1,
        delay=0.0 if delay == 0 and delay is not False else reading.duration("delay") or 0.0,
        factor=reading.factor("factor"),
        on=reading.endings("on") or frozenset({"crash", "lost"} if idempotent else {"crash"}),
    )


def _unknown_keys(reading: _Reading) -> None:
    from nowcast_cli.config.hints import did_you_mean

    for key in reading.entry:
        if key not in _RETRY_KEYS:
            words = "is not a key of this section" + did_you_mean(str(key), _RETRY_KEYS)
            known = f"its keys are: {', '.join(_RETRY_KEYS)}"
            reading.wrong(key, words, known)


class _Reading:
    """Reads values of a section; what is wrong becomes a finding, and reads as left out."""

    def __init__(
        self, entry: Mapping[Any, Any], path: KeyPath, findings: list[Finding] | None = None
    ) -> None:
        self.entry = entry
        self.path = path
        self.findings: list[Finding] = [] if findings is None else findings

    def wrong(self, key: Any, words: str, hint: str | None = None) -> None:
        from nowcast_cli.config.findings import Finding  # workers read the registry too

        self.findings.append(Finding((*self.path, key), words, hint=hint))

    def duration(self, key: str) -> float | None:
        if self.entry.get(key) is None:
            return None
        try:
            return seconds_of(self.entry[key])
        except NotADuration as error:
            self.wrong(key, str(error))
            return None

    def whole(self, key: str, least: int) -> int | None:
        value = self.entry.get(key)
        if value is None or (_is_number(value, int) and least <= value <= _MOST):
            return None if value is None else int(value)
        self.wrong(key, f"must be a whole number from {least} to {_MOST}, not {value!r}")
        return None

    def factor(self, key: str) -> float:
        value = self.entry.get(key)
        if value is None:
            return 1.0
        if _is_number(value, int | float) and 1 <= value <= _MOST:
            return float(value)
        self.wrong(key, f"must be a number from 1 to {_MOST}, not {value!r}")
        return 1.0

    def switch(self, key: str) -> bool:
        value = self.entry.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, f"must be true or false, not {value!r}")
        return value is True

    def endings(self, key: str) -> frozenset[str]:
        value = self.entry.get(key)
        given = [value] if isinstance(value, str) else value
        if given is None:
            return frozenset()
        if isinstance(given, list) and given and all(each in _BAD_ENDINGS for each in given):
            return frozenset(given)
        self.wrong(key, f"must be a list of {', '.join(_BAD_ENDINGS)}, not {value!r}")
        return frozenset()


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
