"""Lengths of time as people write them: ``90 s``, ``15 min``, ``2h``, ``1d``, ``1h 30min``."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hour", "hours"),
    86400: ("d", "day", "days"),
    604800: ("w", "week", "weeks"),
}
_SECONDS = {word: seconds for seconds, words in _UNITS.items() for word in words}
_LONGEST = 100 * 365 * 86400  # a hundred years: beyond that, arithmetic with dates ends
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


class NotADuration(ValueError):
    """What was written is no length of time; the text says what one looks like."""


def seconds_of(value: Any) -> float:
    """Give the seconds of a length of time; a bare number is one of seconds.

    Raises NotADuration for what is none, is not above 0, or longer than a hundred years.
    """
    seconds = _read(value)
    if seconds is None or not 0 < seconds <= _LONGEST:
        raise NotADuration(
            f"must be a length of time such as '90 s', '15 min', '2h' or '1d', not {value!r}"
        )
    return seconds


def _read(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = value.strip().lower() if isinstance(value, str) else ""
    total, at = 0.0, 0
    while part := _PART.match(text, at):
        if part[2] not in _SECONDS:
            return None
        total, at = total + float(part[1]) * _SECONDS[part[2]], part.end()
    return total if text and at == len(text) else None


def duration_words(seconds: float) -> str:
    """Write a length of time short: ``2 h``, ``1 h 30 min``, ``45 s``."""
    words, rest = [], round(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        if number:
            words.append(f"{number} {unit}")
    return " ".join(words[:2]) or "0 s"
