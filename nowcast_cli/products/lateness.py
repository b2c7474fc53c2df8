"""When instances were to be complete: by the clock, and by what is declared. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from nowcast_cli.config.products import Expected

_DAY = timedelta(days=1)
MOST = 200  # days that are looked at: what a system missed that stood still for long is told once


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """An instance of that reference time was, or is, to be complete by ``deadline``; both UTC."""

    deadline: datetime
    reference: datetime


def due_between(expected: Expected, after: datetime, upto: datetime) -> Iterator[Due]:
    """Give what was to be complete after one time, and up to another, in order."""
    found = sorted(
        due
        for day in _days(expected, max(after, upto - MOST * _DAY), upto)
        for due in _of_day(expected, day)
    )
    yield from (due for due in found if after < due.deadline <= upto)


def next_due(expected: Expected, after: datetime) -> Due:
    """Give what is to be complete next after a time."""
    return next(due_between(expected, after, after + 3 * _DAY))


def deadline_of(expected: Expected, reference: datetime) -> datetime | None:
    """Give by when the instance of a reference time is due, None where nobody waits for it."""
    slack = timedelta(seconds=expected.after or 0) + 2 * _DAY
    days = _days(expected, reference - _DAY, reference + slack)
    found = (due for day in days for due in _of_day(expected, day))
    return next((due.deadline for due in found if due.reference == reference), None)


def _days(expected: Expected, after: datetime, upto: datetime) -> Iterator[date]:
    """Give the days whose reference times, or deadlines, may be due in between."""
    day = (after - timedelta(seconds=expected.after or 0) - _DAY).date()
    while day <= (upto + _DAY).date():
        yield day
        day += _DAY


def _of_day(expected: Expected, day: date) -> Iterator[Due]:
    if expected.by is None:
        for hour, minute in expected.cycles:
            reference = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
            yield Due(reference + timedelta(seconds=expected.after or 0), reference)
        return
    clock = datetime(day.year, day.month, day.day, *expected.by, tzinfo=expected.zone)
    deadline = clock.astimezone(UTC)
    ((hour, minute),) = expected.cycles
    reference = deadline.replace(hour=hour, minute=minute, second=0)
    yield Due(deadline, reference if reference <= deadline else reference - _DAY)
