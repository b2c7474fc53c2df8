"""When items are due: over changes of the clock, and by the packaged rules of the zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.timing import Cron, Interval, Once, Timing
from nowcast_cli.config.zones import named_zone
from nowcast_cli.scheduler.occurrences import newest, occurrences

TORONTO = named_zone("America/Toronto")  # forward on 2027-03-14, back on 2027-11-07, at 02:00
SPRING = datetime(2027, 3, 14, 4, 0, tzinfo=UTC)  # the midnight before
AUTUMN = datetime(2027, 11, 7, 3, 0, tzinfo=UTC)


def local_times(timing: Timing, after: datetime, count: int) -> list[str]:
    found = islice(occurrences(timing, after), count)
    return [at.astimezone(TORONTO).strftime("%d %H:%M:%S") for at in found]


def test_a_time_that_the_clock_skips_comes_right_after_it() -> None:
    timing = Cron("30 2 * * *", TORONTO)
    assert local_times(timing, SPRING, 2) == ["14 03:00:00", "15 02:30:00"]


def test_a_time_that_the_clock_runs_through_twice_comes_once() -> None:
    timing = Cron("30 1 * * *", TORONTO)
    assert local_times(timing, AUTUMN, 2) == ["07 01:30:00", "08 01:30:00"]


@pytest.mark.parametrize("minutes_later", range(0, 120, 10))
def test_a_time_that_has_come_does_not_come_again_in_the_second_run(minutes_later: int) -> None:
    first = next(occurrences(Cron("30 1 * * *", TORONTO), AUTUMN))
    after = first + timedelta(minutes=minutes_later)
    assert local_times(Cron("30 1 * * *", TORONTO), after, 1) == ["08 01:30:00"]


def test_every_hour_comes_in_both_runs_and_never_in_the_gap() -> None:
    autumn = local_times(Cron("0 * * * *", TORONTO), AUTUMN, 4)
    assert autumn == ["07 00:00:00", "07 01:00:00", "07 01:00:00", "07 02:00:00"]
    spring = local_times(Cron("0 * * * *", TORONTO), SPRING + timedelta(hours=1), 3)
    assert spring == ["14 01:00:00", "14 03:00:00", "14 04:00:00"]


def test_an_interval_counts_elapsed_time() -> None:
    timing = Interval(6 * 3600, datetime(2000, 1, 1, 5, 0, tzinfo=UTC))  # midnight in winter
    assert local_times(timing, SPRING, 4) == [
        "14 00:00:00", "14 07:00:00", "14 13:00:00", "14 19:00:00",
    ]  # fmt: skip


def test_the_second_of_the_minute_is_kept() -> None:
    assert local_times(Cron("15 5 * * *", TORONTO, 30), SPRING, 1) == ["14 05:15:30"]
    at = next(occurrences(Cron("15 5 * * *", TORONTO, 30), SPRING))
    assert next(occurrences(Cron("15 5 * * *", TORONTO, 30), at - timedelta(seconds=1))) == at
    assert next(occurrences(Cron("15 5 * * *", TORONTO, 30), at)) > at


def test_sunday_is_0_and_7_and_monday_is_1() -> None:
    for expression, day in (("0 5 * * 0", 0), ("0 5 * * 7", 0), ("0 5 * * 1", 1)):
        at = next(occurrences(Cron(expression, TORONTO), SPRING)).astimezone(TORONTO)
        assert at.isoweekday() % 7 == day


def test_once_comes_once() -> None:
    assert list(occurrences(Once(AUTUMN), SPRING)) == [AUTUMN]
    assert list(occurrences(Once(AUTUMN), AUTUMN)) == []


def test_vancouver_keeps_summer_time_as_the_packaged_rules_say() -> None:
    at = next(
        occurrences(
            Cron("0 8 * * *", named_zone("America/Vancouver")), datetime(2027, 1, 1, tzinfo=UTC)
        )
    )
    assert at.hour == 15


EXPRESSIONS = (
    "30 2 * * *",
    "30 1 * * *",
    "*/15 * * * *",
    "15 */2 * * *",
    "0 5 * * 1",
    "5 1,2 * * *",
)


@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from([SPRING, AUTUMN]),
    st.integers(-86400, 2 * 86400),
    st.integers(0, 3 * 86400),
    st.sampled_from([0, 59]),
)
def test_where_one_looks_from_makes_no_difference(
    expression: str, day: datetime, begin: int, length: int, second: int
) -> None:
    timing = Cron(expression, TORONTO, second)
    early = day - timedelta(days=2)
    after = day + timedelta(seconds=begin)
    until = after + timedelta(seconds=length)
    all_of_them = []
    for at in occurrences(timing, early):
        if at > until:
            break
        all_of_them.append(at)
    expected = [at for at in all_of_them if at > after]
    assert newest(timing, after, until, 10_000) == expected
    assert newest(timing, after, until, 2) == expected[-2:]
    assert all_of_them == sorted(set(all_of_them))


def test_a_long_time_asleep_costs_no_more_than_a_short_one() -> None:
    every_second = Interval(1, datetime(2000, 1, 1, tzinfo=UTC))
    found = newest(every_second, SPRING - timedelta(days=3650), SPRING, 1000)
    assert (len(found), found[-1]) == (1000, SPRING)
