"""When a scheduled item is due: what stands in the file as one of three kinds of timing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from nowcast_cli.config.durations import NotADuration, duration_words, seconds_of
from nowcast_cli.config.hints import did_you_mean

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_PERIODS = ("second", "minute", "hour", "day", "week")
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_TIME = re.compile(r"(\d{1,2}):([0-5]?\d)(?::([0-5]?\d))?")
_MINUTE_OF_HOUR = re.compile(r"(\d{0,2}):([0-5]?\d)")


class WrongTiming(Exception):
    """A timing cannot be used: the key that is wrong, why, and the remedy."""

    def __init__(self, key: str | None, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Cron:
    """By the clock on the wall: a cron expression of five fields, and a second of the minute."""

    expression: str
    zone: ZoneInfo
    second: int = 0

    def __str__(self) -> str:
        return f"cron {self.expression} +{self.second} {self.zone}"


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds, counted on from ``anchor``, whatever the clock on the wall does."""

    seconds: int
    anchor: datetime

    def __str__(self) -> str:
        return f"interval {self.seconds} from {self.anchor.isoformat()}"


@dataclass(frozen=True, slots=True)
class Once:
    """At one instant."""

    instant: datetime

    def __str__(self) -> str:
        return f"once {self.instant.isoformat()}"


Timing = Cron | Interval | Once


def read_timing(settings: Mapping[str, Any], zone: ZoneInfo) -> tuple[Timing, str]:
    """Read ``cron``, ``every`` and ``at``; gives the timing, and the words for it.

    Raises WrongTiming with the key that is wrong; key None where the item as a whole is.
    """
    cron, every, at = (settings.get(key) for key in ("cron", "every", "at"))
    if cron is not None:
        for other in ("every", "at"):
            if settings.get(other) is not None:
                raise WrongTiming(other, "cannot stand beside `cron`, which says it all")
        return _cron(cron, zone)
    if every is not None:
        return _every(every, at, zone)
    if at is None:
        raise WrongTiming(
            None, "says no time: write `every`, `at` or `cron`", "every: day, at: '05:15'"
        )
    return _at_alone(at, zone)


def _cron(value: Any, zone: ZoneInfo) -> tuple[Timing, str]:
    from cronsim import CronSim, CronSimError

    text = " ".join(value.split()) if isinstance(value, str) else ""
    expression = _MACROS.get(text.lower(), text)
    if len(expression.split()) != 5:
        raise WrongTiming(
            "cron",
            f"must be a cron expression of five fields, not {value!r}",
            "minute, hour, day of the month, month, day of the week: '30 5 * * 1'",
        )
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        word = str(error).removeprefix("Bad ")
        raise WrongTiming("cron", f"{text!r} has a {word} that cannot be") from None
    except StopIteration:
        raise WrongTiming("cron", f"{text!r} never comes") from None
    return Cron(expression, zone), f"cron {text}"


def _every(every: Any, at: Any, zone: ZoneInfo) -> tuple[Timing, str]:
    word = every.strip().lower() if isinstance(every, str) else ""
    singular = word.removesuffix("s") if word.removesuffix("s") in _PERIODS else word
    if singular in _WEEKDAYS or singular in ("day", "week"):
        hour, minute, second = (0, 0, 0) if at is None else time_of_day(at)
        day = {"day": "*", "week": "1"}.get(singular) or str(_WEEKDAYS.index(singular))
        timing: Timing = Cron(f"{minute} {hour} * * {day}", zone, second)
        return timing, f"every {singular} at {_clock(hour, minute, second)}"
    if singular in ("hour", "minute"):
        return _within_the_hour(singular, at, zone)
    return _interval(every if singular != "second" else 1, at, zone)


def _within_the_hour(period: str, at: Any, zone: ZoneInfo) -> tuple[Timing, str]:
    first, last = 0, 0
    if at is not None:
        found = _MINUTE_OF_HOUR.fullmatch(at) if isinstance(at, str) else None
        if found is None or int(found[1] or 0) > 59 or (period == "minute" and found[1]):
            example = "':15', the minute" if period == "hour" else "':30', the second"
            raise WrongTiming("at", f"with `every: {period}`, must be such as {example}")
        first, last = int(found[1] or 0), int(found[2])
    if period == "minute":
        return Cron("* * * * *", zone, last), f"every minute at :{last:02}"
    minute, second = (first, last) if at and not at.startswith(":") else (last, 0)
    return Cron(f"{minute} * * * *", zone, second), f"every hour at {_clock(None, minute, second)}"


def _interval(every: Any, at: Any, zone: ZoneInfo) -> tuple[Timing, str]:
    try:
        seconds = seconds_of(every)
    except NotADuration:
        known = (*_PERIODS, *_WEEKDAYS)
        raise WrongTiming(
            "every",
            f"must be day, hour, monday, … or a length of time such as '3h', not {every!r}"
            + (did_you_mean(every, known) if isinstance(every, str) else ""),
            "put it in quotes" if isinstance(every, date) else None,
        ) from None
    if seconds != int(seconds):
        raise WrongTiming("every", f"must be whole seconds, not {every!r}")
    hour, minute, second = (0, 0, 0) if at is None else time_of_day(at)
    # a Saturday in winter: intervals of days and weeks are counted on from it
    anchor = datetime(2000, 1, 1, hour, minute, second, tzinfo=zone).astimezone(UTC)
    begins = "" if at is None else f", counted from {_clock(hour, minute, second)}"
    return Interval(int(seconds), anchor), f"every {duration_words(seconds)}{begins}"


def _at_alone(at: Any, zone: ZoneInfo) -> tuple[Timing, str]:
    if isinstance(at, str) and "-" in at:
        try:
            at = datetime.fromisoformat(at.strip())
        except ValueError:
            raise WrongTiming(
                "at", f"must be a time such as '05:15' or '2026-12-01 05:15', not {at!r}"
            ) from None
    if isinstance(at, datetime):
        instant = at if at.tzinfo else at.replace(tzinfo=zone)
        if not 1900 < instant.year < 2200:
            raise WrongTiming("at", f"is in a year that is too far away: {at}")
        return Once(instant.astimezone(UTC)), f"once, at {at:%Y-%m-%d %H:%M:%S}"
    hour, minute, second = time_of_day(at)
    return (
        Cron(f"{minute} {hour} * * *", zone, second),
        f"every day at {_clock(hour, minute, second)}",
    )


def time_of_day(value: Any) -> tuple[int, int, int]:
    """Read ``HH:MM`` or ``HH:MM:SS``. Raises WrongTiming, which blames the key ``at``."""
    if isinstance(value, int) and not isinstance(value, bool):
        hours, minutes = divmod(value, 60)
        raise WrongTiming(
            "at", f"is read as the number {value}: quote it, '{hours:02}:{minutes:02}'"
        )
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23:
        raise WrongTiming("at", f"must be a time of day such as '05:15', not {_shown(value)}")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def _shown(value: Any) -> str:
    if isinstance(value, date | time):
        return f"the date {value}"
    return repr(value)


def _clock(hour: int | None, minute: int, second: int) -> str:
    head = "" if hour is None else f"{hour:02}"
    return f"{head}:{minute:02}" + (f":{second:02}" if second else "")
