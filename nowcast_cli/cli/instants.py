"""Instants as people name them: ``2026-11-22 03:00``, ``03:00``, ``today``, ``2h`` ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from nowcast_cli.errors import UsageError

_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?")
_MIDNIGHT = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def instant(text: str, option: str, now: datetime) -> datetime:
    """Read an instant; what has no time zone is local, and a length of time is so long ago.

    ``now`` has the local time zone, and so has what is given. Raises UsageError that names
    ``option``.
    """
    words = text.strip().lower().removesuffix(" ago")
    if words == "now":
        return now
    if words in ("today", "yesterday"):
        midnight = now.replace(**_MIDNIGHT)  # type: ignore[arg-type]
        return _at_home(midnight - timedelta(days=words == "yesterday"))
    if clock := _CLOCK.fullmatch(words):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour < 24 and minute < 60 and second < 60:
            return _at_home(now.replace(hour=hour, minute=minute, second=second, microsecond=0))
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        return _ago(words, text, option, now)


def _ago(words: str, text: str, option: str, now: datetime) -> datetime:
    from nowcast_cli.config.durations import NotADuration, seconds_of

    try:
        return now - timedelta(seconds=seconds_of(words))
    except (NotADuration, OverflowError):
        raise UsageError(
            f"{option}: {text!r} is no time",
            hint="write 2026-11-22, '2026-11-22 03:00', 03:00, today, yesterday, or 2h",
        ) from None


def _at_home(moment: datetime) -> datetime:
    """Give the same reading of the clock, with the offset that the local zone has then."""
    return moment.replace(tzinfo=None).astimezone()
