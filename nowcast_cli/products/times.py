"""Reference times as the index has them: ISO 8601 UTC, to the second, or as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SHORT = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T ]?(\d\d)(?::?(\d\d))?Z?")


class NotATime(ValueError):
    """What was written is no time; the text says what one looks like."""


def stored_time(moment: datetime) -> str:
    """Give a time as the index has it; one without a zone is in UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str) -> datetime:
    """Give the time that the index holds, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def read_time(value: object) -> str:
    """Read a time as people and programs write it; gives it as the index has it.

    ``2026-11-22T00:00:00Z``, ``2026-11-22 00:00``, ``2026112200``; in UTC where no zone is said.
    Raises NotATime.
    """
    text = value.strip() if isinstance(value, str) else ""
    short = _SHORT.fullmatch(text)
    try:
        if short is not None:
            return stored_time(datetime(*(int(part or 0) for part in short.groups())))  # type: ignore[arg-type] # noqa: DTZ001
        return stored_time(datetime.fromisoformat(text))
    except ValueError:
        raise NotATime(
            f"must be a time such as 2026-11-22T00:00:00Z or 2026112200, not {value!r}"
        ) from None
