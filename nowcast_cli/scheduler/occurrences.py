"""When an item is due by its timing. Pure: instants in, instants out, all in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from cronsim import CronSim

from nowcast_cli.config.timing import Cron, Interval, Timing

_FIRST_LOOK = timedelta(hours=1)


def occurrences(timing: Timing, after: datetime) -> Iterator[datetime]:
    """Give the instants of a timing that are later than ``after``, in order; maybe without end."""
    if isinstance(timing, Cron):
        return _cron_occurrences(timing, after)
    if isinstance(timing, Interval):
        return _interval_occurrences(timing, after)
    return iter((timing.instant,) if timing.instant > after else ())


def _cron_occurrences(timing: Cron, after: datetime) -> Iterator[datetime]:
    # A minute earlier, for the second of the minute; and one that cronsim takes from the hour
    # that the clock runs through twice may come before the instant that was asked for.
    begin = (after - timedelta(minutes=1)).astimezone(timing.zone)
    shift = timedelta(seconds=timing.second)
    last = after
    for instant in CronSim(timing.expression, begin):
        at = instant.astimezone(UTC) + shift
        if at > last:
            last = at
            yield at


def _interval_occurrences(timing: Interval, after: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=timing.seconds)
    at = timing.anchor + ((after - timing.anchor) // step + 1) * step
    while True:
        yield at
        at += step


def newest(timing: Timing, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """Give the last ``limit`` instants that are later than ``after`` and not than ``until``.

    Looks back from ``until``, so that a long time asleep costs no more than a short one.
    """
    look = _FIRST_LOOK
    while True:
        begin = after if until - after <= look else until - look
        found = list(takewhile(lambda at: at <= until, occurrences(timing, begin)))
        if begin == after or len(found) >= limit:
            return found[-limit:]
        look *= 2
