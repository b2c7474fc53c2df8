"""The section `scheduled workers`: what its items mean, and what is said of wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.check import check
from nowcast_cli.config.durations import NotADuration, duration_words, seconds_of
from nowcast_cli.config.positions import path_text
from nowcast_cli.config.schedule import Item, schedule_of
from nowcast_cli.config.settings import begins_flows
from nowcast_cli.config.timing import Cron, Interval, Once
from nowcast_cli.config.zones import named_zone
from nowcast_cli.flows.triggers import scheduled
from nowcast_cli.flows.yaml_flows import flows_of
from nowcast_cli.scheduler.catching_up import due, next_fire_time
from nowcast_cli.scheduler.launches import by_hand, by_the_clock

TORONTO = {"time zone": "America/Toronto"}


def items_of(*entries: dict[str, Any]) -> tuple[Item, ...]:
    schedule = schedule_of({"scheduled workers": list(entries)})
    assert [finding.message for finding in schedule.findings] == []
    return schedule.items


def the_item(**settings: Any) -> Item:
    keys = {key.replace("_", " "): value for key, value in settings.items()}
    (item,) = items_of({"workers.sleep": {**TORONTO, **keys}})
    return item


def mistakes_of(settings: Any) -> list[tuple[str, str]]:
    schedule = schedule_of({"scheduled workers": [{"workers.sleep": settings}]})
    assert schedule.items == ()
    return [(path_text(finding.path), finding.message) for finding in schedule.findings]


def test_an_item_of_nemo_nowcast_is_read() -> None:
    (item,) = items_of(
        {
            "nowcast.workers.download_weather": {
                "every": "day",
                "at": "11:40",
                "cmd line opts": "00 '2.5 km'",
            }
        }
    )
    assert item.module == "nowcast.workers.download_weather"
    assert (item.name, item.worker) == ("download_weather", "download_weather")
    assert item.arguments == ("00", "2.5 km")
    assert isinstance(item.timing, Cron)
    assert item.timing.expression == "40 11 * * *"
    assert item.words == "every day at 11:40"


@pytest.mark.parametrize(
    ("settings", "expression", "second", "words"),
    [
        ({"every": "monday", "at": "05:15:30"}, "15 5 * * 1", 30, "every monday at 05:15:30"),
        ({"every": "week", "at": "05:15"}, "15 5 * * 1", 0, "every week at 05:15"),
        ({"every": "days"}, "0 0 * * *", 0, "every day at 00:00"),
        ({"every": "hour", "at": ":15"}, "15 * * * *", 0, "every hour at :15"),
        ({"every": "hour", "at": "15:30"}, "15 * * * *", 30, "every hour at :15:30"),
        ({"every": "minute", "at": ":20"}, "* * * * *", 20, "every minute at :20"),
        ({"at": "05:15"}, "15 5 * * *", 0, "every day at 05:15"),
        ({"cron": "*/5  1 * * 7"}, "*/5 1 * * 7", 0, "cron */5 1 * * 7"),
        ({"cron": "@daily"}, "0 0 * * *", 0, "cron @daily"),
    ],
)
def test_times_of_the_clock_become_cron_expressions(
    settings: dict[str, Any], expression: str, second: int, words: str
) -> None:
    item = the_item(**settings)
    assert item.timing == Cron(expression, named_zone("America/Toronto"), second)
    assert item.words == words


def test_a_length_of_time_is_an_interval() -> None:
    item = the_item(every="6h", at="01:30")
    assert item.timing == Interval(6 * 3600, datetime(2000, 1, 1, 6, 30, tzinfo=UTC))
    assert item.words == "every 6 h, counted from 01:30"


def test_a_date_with_a_time_is_once() -> None:
    assert the_item(at="2026-12-01 05:15").timing == Once(datetime(2026, 12, 1, 10, 15, tzinfo=UTC))


def test_what_was_missed_an_hour_ago_is_made_up_for_unless_the_item_says_otherwise() -> None:
    usual = the_item(at="05:15")
    assert (usual.catch_up, usual.made_up_within, usual.within) == ("last", 3600, None)
    every = the_item(at="05:15", catch_up="all")
    assert (every.catch_up, every.made_up_within) == ("all", None)
    assert the_item(at="05:15", within="2h").made_up_within == 7200


@pytest.mark.parametrize(
    ("settings", "place", "words"),
    [
        ({"every": "day", "at": 750}, ".at", "is read as the number 750: quote it, '12:30'"),
        ({"every": "day", "at": "25:00"}, ".at", "must be a time of day such as '05:15'"),
        ({"every": "moday"}, ".every", "did you mean 'monday'?"),
        ({"every": "hour", "at": "05:15:00"}, ".at", "':15', the minute"),
        ({"every": "minute", "at": "05:15"}, ".at", "':30', the second"),
        ({"every": 0.5}, ".every", "must be whole seconds"),
        ({"cron": "0 0 31 2 *"}, ".cron", "has a day-of-month that cannot be"),
        ({"cron": "0 24 * * *"}, ".cron", "has a hour that cannot be"),
        ({"cron": "5 4 * *"}, ".cron", "must be a cron expression of five fields"),
        ({"cron": "5 4 * * *", "every": "day"}, ".every", "cannot stand beside `cron`"),
        ({"at": "2026-13-01 05:15"}, ".at", "must be a time such as"),
        ({}, "", "says no time"),
        ({"every": "day", "time zone": "Mars"}, ".time zone", "there is no time zone 'Mars'"),
        ({"every": "day", "catch up": "some"}, ".catch up", "must be none, last or all"),
        ({"every": "day", "within": "soon"}, ".within", "must be a length of time such as"),
        ({"every": "10 min", "jitter": "10 min"}, ".jitter", "must be shorter than the interval"),
        ({"every": "day", "cmd line opts": "'a"}, ".cmd line opts", "quote without its partner"),
        ({"every": "day", "name": 5}, ".name", "must be text"),
        (None, "", "must hold keys with values"),
    ],
)
def test_a_mistake_is_named_at_its_key(settings: Any, place: str, words: str) -> None:
    ((path, message),) = mistakes_of(settings)
    assert path == f"scheduled workers[0].workers.sleep{place}"
    assert words in message


def test_all_mistakes_of_an_item_are_told_at_once() -> None:
    wrong = {"every": "dya", "catch up": "x", "within": "y", "time zone": "z"}
    assert len(mistakes_of(wrong)) == 4


def test_a_mistake_in_one_item_never_touches_the_others() -> None:
    good = {"every": "day", **TORONTO}
    schedule = schedule_of(
        {"scheduled workers": [{"a": good}, {"b": {"every": 1.5}}, 5, {"c": good}, {"d e": good}]}
    )
    assert [item.name for item in schedule.items] == ["a", "c"]
    assert [path_text(finding.path) for finding in schedule.findings] == [
        "scheduled workers[1].b.every",
        "scheduled workers[2]",
        "scheduled workers[4].d e",
    ]


def test_an_unknown_key_of_an_item_is_a_warning(tmp_path: Any) -> None:
    schedule = schedule_of({"scheduled workers": [{"a": {"every": "day", "catchup": "all"}}]})
    (finding,) = schedule.findings
    assert finding.severity == "warning"
    assert "did you mean 'catch up'?" in finding.message
    assert len(schedule.items) == 1


def test_items_of_one_worker_are_told_apart_by_their_times_then_by_their_arguments() -> None:
    names = [
        item.name
        for item in items_of(
            {"w.get": {"every": "day", "at": "05:15", "cmd line opts": "00"}},
            {"w.get": {"every": "day", "at": "05:15", "cmd line opts": "06"}},
            {"w.get": {"every": "day", "at": "17:15", "cmd line opts": "12"}},
            {"w.get": {"every": "hour", "name": "hourly get"}},
            {"w.put": {"every": "day"}},
        )
    ]
    assert names == ["get-day-05:15-00", "get-day-05:15-06", "get-day-17:15", "hourly get", "put"]


def test_the_same_item_twice_is_a_mistake_of_the_second() -> None:
    twice = [{"w.get": {"every": "day"}}, {"w.get": {"every": "day"}}]
    schedule = schedule_of({"scheduled workers": twice})
    assert [item.name for item in schedule.items] == ["get-day-00:00"]
    assert path_text(schedule.findings[0].path) == "scheduled workers[1].w.get"


def test_a_mistake_has_its_line_and_does_not_stop_the_system(tmp_path: Any) -> None:
    file = tmp_path / "nowcast.yaml"
    file.write_text(
        "zmq: {ports: {workers: 5555, manager: 5556}}\n"
        "message registry:\n"
        "  workers: {sleep: {success: slept}}\n"
        "scheduled workers:\n"
        "  - workers.sleep:\n"
        "      every: day\n"
        "      at: 05:15:99\n"
    )
    errors = [problem for problem in check(file) if problem.severity == "error"]
    assert [(problem.line, problem.column) for problem in errors] == [(7, 7)]
    assert not errors[0].stops_the_system


def test_a_request_has_one_id_for_an_item_and_a_nominal_time() -> None:
    item = the_item(at="05:15")
    nominal = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    assert item.request_id(nominal) == the_item(at="06:15").request_id(nominal)
    assert item.request_id(nominal).endswith("-20261122T101500Z")
    assert item.request_id(nominal) != the_item(at="05:15", name="b").request_id(nominal)


@pytest.mark.parametrize(
    ("text", "seconds", "words"),
    [
        ("90 s", 90, "1 min 30 s"),
        ("15min", 900, "15 min"),
        ("1h 30m", 5400, "1 h 30 min"),
        ("2 days", 172800, "2 d"),
        ("1.5h", 5400, "1 h 30 min"),
        (45, 45, "45 s"),
    ],
)
def test_lengths_of_time_are_read_and_written(text: Any, seconds: float, words: str) -> None:
    assert seconds_of(text) == seconds
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    "value", ["", "h", "5 parsecs", "-5s", 0, True, None, "5 min late", ".nan"]
)
def test_what_is_no_length_of_time_is_refused(value: Any) -> None:
    with pytest.raises(NotADuration):
        seconds_of(value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
ANYTHING = st.recursive(
    SCALARS | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)
DURATIONS = ANYTHING | st.from_regex(r"[1-9]\d{0,9} ?(s|min|h|d|w)", fullmatch=True)
FIELDS = st.sampled_from(["*", "*/5", "1-5", "7", "L", "MON", "1#2", "*/0", "5-1", "2/", "31", "٣"])
CRON = ANYTHING | st.lists(FIELDS, min_size=5, max_size=5).map(" ".join)
TIMES = ANYTHING | st.sampled_from(["05:15", ":15", "2026-12-01 05:15", "0001-01-01 00:00"])
SETTINGS = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "every": DURATIONS | st.sampled_from(["day", "hour", "monday"]),
        "at": TIMES,
        "cron": CRON,
        "time zone": ANYTHING | st.sampled_from(["UTC", "../x", "America", "a\0b"]),
        "catch up": ANYTHING,
        "within": DURATIONS,
        "jitter": DURATIONS,
        "name": ANYTHING,
        "cmd line opts": ANYTHING,
    },
)


@given(ANYTHING | st.lists(st.dictionaries(SCALARS | st.just("w.a"), SETTINGS, max_size=2)))
def test_whatever_stands_there_is_read_or_told_and_raises_nothing(section: Any) -> None:
    schedule = schedule_of({"scheduled workers": section})
    assert all(finding.message for finding in schedule.findings)
    for item in schedule.items:
        at = datetime(2026, 11, 22, tzinfo=UTC)
        found = due(item, at - timedelta(days=2), at)
        assert found.cursor <= at
        assert (next_fire_time(item, at) or at + timedelta(1)) > at


def flow_items(*schedules: dict[str, Any], name: str = "forecast") -> tuple[Item, ...]:
    on = [
        {"schedule": {**TORONTO, **times}, "parameters": {"day": "{schedule.date}", "n": 3}}
        for times in schedules
    ]
    flows, findings = flows_of({name: {"on": on, "steps": {"s": {"worker": "w"}}}})
    assert findings == []
    schedule = schedule_of(
        {"scheduled workers": [{"forecast": {"every": "day"}}]}, scheduled(flows)
    )
    assert schedule.findings == ()
    return schedule.items


def test_a_flow_is_an_item_of_its_own_name_beside_a_worker_of_that_name() -> None:
    of_flow, of_worker = flow_items({"every": "day", "at": "22:00", "catch up": "all"})
    assert (of_flow.name, of_flow.flow, of_worker.name) == ("flow:forecast", "forecast", "forecast")
    assert (of_flow.catch_up, of_flow.words) == ("all", "every day at 22:00")
    assert of_flow.words_of_command == "flow forecast"
    nominal = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert of_flow.request_id(nominal) != of_worker.request_id(nominal)
    request = by_the_clock(of_flow, nominal)
    assert (request.type, request.id) == ("run flow", of_flow.request_id(nominal))
    assert request.payload["parameters"] == {"day": "2026-11-21", "n": 3}  # in its time zone
    assert request.payload["schedule"]["nominal"] == nominal.isoformat()
    assert "schedule" not in by_hand(of_flow, nominal).payload


def test_a_flow_with_several_times_has_an_item_for_each() -> None:
    names = [item.name for item in flow_items({"every": "day"}, {"every": "3h"})]
    assert names == ["flow:forecast-day-00:00", "flow:forecast-3-h", "forecast"]


@pytest.mark.parametrize(
    ("on", "begins"),
    [
        ({"on": {"schedule": {"every": "day"}}}, True),
        ({True: [{"file": "/d/*"}, {"schedule": {"every": "day"}}]}, True),
        ({"on": {"message": "w"}}, False),
        ({"on": "request"}, False),
        ({}, False),
        (5, False),
    ],
)
def test_whether_flows_begin_by_the_clock_shows_without_reading_them(on: Any, begins: bool) -> None:
    assert begins_flows({"flows": {"f": on}}, "schedule") is begins
    assert begins_flows({"flows": 5}, "schedule") is False
