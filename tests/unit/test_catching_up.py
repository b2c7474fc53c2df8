"""What is launched now, and what of that which was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.schedule import Item, schedule_of
from nowcast_cli.scheduler.catching_up import Due, due, fire_time, next_fire_time, next_nominal

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def item(**settings: Any) -> Item:
    keys = {key.replace("_", " "): value for key, value in settings.items()}
    schedule = schedule_of({"scheduled workers": [{"w.a": {"time zone": "UTC", **keys}}]})
    assert schedule.findings == ()
    return schedule.items[0]


def launched(found: Due) -> list[str]:
    return [f"{at:%H:%M}" for at in found.launch]


def test_nothing_is_due_before_its_time() -> None:
    assert due(item(every="hour"), NOON, NOON + 59 * MINUTE) == Due((), 0, NOON)


def test_what_is_on_time_is_launched_and_moves_the_cursor() -> None:
    found = due(item(every="hour"), NOON, NOON + HOUR)
    assert found == Due((NOON + HOUR,), 0, NOON + HOUR)
    assert due(item(every="hour"), found.cursor, NOON + HOUR) == Due((), 0, NOON + HOUR)


@pytest.mark.parametrize("policy", ["none", "last", "all"])
def test_a_minute_is_not_counted_as_missed(policy: str) -> None:
    every = item(every="20 s", catch_up=policy)
    assert len(due(every, NOON, NOON + MINUTE).launch) == 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["15:00"]),
        ({"catch_up": "none"}, []),
        ({"catch_up": "last"}, ["15:00"]),
        ({"catch_up": "all"}, ["13:00", "14:00", "15:00"]),
        ({"catch_up": "all", "within": "100 min"}, ["14:00", "15:00"]),
        ({"within": "10 min"}, []),
    ],
)
def test_what_was_missed_is_made_up_for_as_the_item_says(
    settings: dict[str, Any], expected: list[str]
) -> None:
    found = due(item(every="hour", **settings), NOON, NOON + 3.5 * HOUR)
    assert launched(found) == expected
    assert found.passed_over == 3 - len(expected)
    assert found.cursor == NOON + 3 * HOUR


def test_the_last_is_not_made_up_for_when_the_next_is_there() -> None:
    assert launched(due(item(every="hour"), NOON, NOON + 3 * HOUR)) == ["15:00"]


def test_a_day_that_was_missed_is_too_old_unless_the_item_catches_up() -> None:
    morning = NOON + 24 * HOUR
    assert launched(due(item(at="05:15"), NOON, morning)) == []
    assert launched(due(item(at="05:15", catch_up="last"), NOON, morning)) == ["05:15"]


def test_not_more_than_a_thousand_are_made_up_for() -> None:
    found = due(item(every="1s", catch_up="all"), NOON - 365 * 24 * HOUR, NOON)
    assert len(found.launch) == 1000
    assert found.launch[-1] == NOON


def test_a_cursor_in_the_future_is_one_of_a_clock_that_went_wrong() -> None:
    every = item(every="hour")
    ahead = NOON + 365 * 24 * HOUR
    assert due(every, ahead, NOON) == Due((), 0, NOON)
    assert next_nominal(every, ahead, NOON) == NOON + HOUR


def test_a_clock_that_is_a_moment_back_does_not_launch_again() -> None:
    every = item(every="hour")
    assert due(every, NOON, NOON - timedelta(seconds=30)) == Due((), 0, NOON)
    assert next_nominal(every, NOON, NOON - timedelta(seconds=30)) == NOON + HOUR


def test_a_delay_by_chance_is_always_the_same_and_within_its_limit() -> None:
    every = item(every="hour", jitter="10 min")
    delays = [every.delay(NOON + hour * HOUR) for hour in range(200)]
    assert delays == [every.delay(NOON + hour * HOUR) for hour in range(200)]
    assert 0 <= min(delays) < 60
    assert 540 < max(delays) < 600
    assert len(set(delays)) == 200


def test_a_delayed_launch_is_due_at_its_delayed_time() -> None:
    every = item(every="hour", jitter="10 min")
    at = fire_time(every, NOON + HOUR)
    assert next_fire_time(every, NOON + HOUR - MINUTE) == at
    assert due(every, NOON, at - timedelta(milliseconds=1)).launch == ()
    assert due(every, NOON, at).launch == (NOON + HOUR,)


@given(
    st.sampled_from(["11 min", "hour", "7h", "day"]),
    st.sampled_from(["", "30 s"]),
    st.lists(st.integers(1, 20_000), min_size=1, max_size=30),
)
def test_each_time_is_launched_once_however_often_one_looks(
    every: str, jitter: str, pauses: list[int]
) -> None:
    settings = {"every": every, "catch up": "all", **({"jitter": jitter} if jitter else {})}
    scheduled = item(**settings)
    cursor, now, found = NOON, NOON, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        step = due(scheduled, cursor, now)
        cursor = step.cursor
        found += step.launch
    assert found == list(due(scheduled, NOON, now).launch)
