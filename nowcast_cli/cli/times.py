"""Times as people read them: local, to the second. What is stored is UTC."""

from __future__ import annotations

from datetime import datetime


def local(instant: str | None) -> str:
    """Give an ISO 8601 instant as local time, ``2026-11-22 03:04:05``; ``-`` for None."""
    if instant is None:
        return "-"
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds_between(begin: str | None, end: str | None) -> float | None:
    """Give the seconds from one ISO 8601 instant to another; None where one is not known."""
    if begin is None or end is None:
        return None
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    return max(0.0, passed.total_seconds())


def words(seconds: float | None) -> str:
    """Give a length of time: ``2.0 s``, ``3 min 12 s``, ``2 h 5 min``; ``-`` for None."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
