"""Workers that were expected and are not there. Pure: what is expected, what was, and now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.expectations import AfterWorker, ByTime, Expectation

_HALF_A_DAY = timedelta(hours=12)
# When a worker last succeeded, not later than an instant; both in the form of the store.
LastSuccess = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Overdue:
    """A worker that has not succeeded by ``deadline`` (UTC); ``what`` is the sentence for it."""

    worker: str
    deadline: datetime
    last_success: str | None
    what: str
    expectation: str

    @property
    def id(self) -> str:
        """The id of the message that tells of it: one for a worker and a deadline."""
        digest = hashlib.sha256(f"{self.worker} {self.expectation}".encode()).hexdigest()[:16]
        return f"overdue-{digest}-{self.deadline:%Y%m%dT%H%M%SZ}"


def overdue(
    expectations: Iterable[Expectation],
    last_success: LastSuccess,
    began: str | None,
    now: datetime,
) -> list[Overdue]:
    """Give the workers that are overdue.

    Parameters
    ----------
    began
        When the journal begins, None where it is empty: nothing is expected of a time before.
    """
    if began is None:
        return []
    return list(_overdue(expectations, last_success, began, now))


def _overdue(
    expectations: Iterable[Expectation], last_success: LastSuccess, began: str, now: datetime
) -> Iterator[Overdue]:
    for expectation in expectations:
        found = (
            _not_by_time(expectation, last_success, began, now)
            if isinstance(expectation, ByTime)
            else _not_after_worker(expectation, last_success, now)
        )
        if found is not None:
            yield found


def _not_by_time(
    expected: ByTime, last_success: LastSuccess, began: str, now: datetime
) -> Overdue | None:
    deadline, opens = _day_of(expected, now)
    if began >= _stored(deadline):
        return None
    last = last_success(expected.worker, _stored(now))
    if last is not None and last >= _stored(opens):
        return None
    at = deadline.astimezone(expected.zone)
    return Overdue(
        expected.worker,
        deadline,
        last,
        f"{expected.worker} is overdue: it was expected by {at:%H:%M on %Y-%m-%d} "
        f"({expected.zone}); {_last(last, expected)}",
        f"expect by {expected.words}",
    )


def _day_of(expected: ByTime, now: datetime) -> tuple[datetime, datetime]:
    """Give the last deadline that has passed, and since when a success counts for it.

    That is for half a day, so that one of the evening counts for the night, and one that comes
    late does not count for the next day; or since midnight, when that is longer.
    """
    clock = time(*expected.time)
    today = now.astimezone(expected.zone).date()
    deadline = datetime.combine(today, clock, expected.zone).astimezone(UTC)
    if deadline > now:
        today -= timedelta(days=1)
        deadline = datetime.combine(today, clock, expected.zone).astimezone(UTC)
    midnight = datetime.combine(today, time(), expected.zone).astimezone(UTC)
    return deadline, min(midnight, deadline - _HALF_A_DAY)


def _not_after_worker(
    expected: AfterWorker, last_success: LastSuccess, now: datetime
) -> Overdue | None:
    limit = timedelta(seconds=expected.seconds)
    other = last_success(expected.other, _stored(now - limit))
    if other is None:
        return None
    last = last_success(expected.worker, _stored(now))
    if last is not None and last >= other:
        return None
    return Overdue(
        expected.worker,
        datetime.fromisoformat(other) + limit,
        last,
        f"{expected.worker} is overdue: it was expected within {duration_words(expected.seconds)} "
        f"of {expected.other}, which succeeded at {_local(other, None)}; {_last(last, None)}",
        f"within {expected.words}",
    )


def _last(instant: str | None, expected: ByTime | None) -> str:
    if instant is None:
        return "it has never succeeded"
    return f"its last success was at {_local(instant, expected)}"


def _local(instant: str, expected: ByTime | None) -> str:
    zone = None if expected is None else expected.zone
    return f"{datetime.fromisoformat(instant).astimezone(zone):%H:%M on %Y-%m-%d}"


def _stored(instant: datetime) -> str:
    utc = instant.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
