"""The rules of products: completeness, lateness, retention, times; and turns of any length."""

import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.config.products import Expected, Retention
from nowcast_cli.products.completeness import all_missing, is_complete, missing_words, without
from nowcast_cli.products.drafting import Draft
from nowcast_cli.products.lateness import Due, deadline_of, due_between, next_due
from nowcast_cli.products.registering import Registering
from nowcast_cli.products.request import registration_of
from nowcast_cli.products.retention import expiring, kept_because
from nowcast_cli.products.times import NotATime, read_time
from nowcast_cli.store.database import Store
from nowcast_cli.store.product_records import DataRecord, InstanceRecord

REFERENCE = "2026-11-22T00:00:00Z"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


# --- completeness


def data(variables: str, first: int, last: int, member: str | None = None) -> DataRecord:
    times = [f"2026-11-22T{hour:02}:00:00Z" for hour in (first, last)]
    return DataRecord("d", "i", "n", tuple(variables), times[0], times[1], member, "", "")


@pytest.mark.parametrize(
    ("expects", "found", "words"),
    [
        (None, [], "a file"),
        ({"count": 3}, [], "3 of 3 files"),
        ({"hours": [0, 1, 2]}, [], "hours 0..2"),
        ({"hours": [0, 1, 2, 6]}, [data("u", 1, 1)], "hours 0,2,6"),
        ({"variables": ["u", "v"]}, [data("u", 0, 0)], "v"),
        ({"variables": ["u", "v"], "hours": [0, 1]}, [data("uv", 0, 0)],
         "u at hour 1, v at hour 1"),
        ({"members": [0, 1]}, [data("u", 0, 0, "0")], "of member 1"),
        ({"variables": ["u"], "members": [0, 1], "hours": [3]}, [data("u", 0, 6, "0")],
         "u of member 1 at hour 3"),
        ({"variables": list("abcdefgh")}, [], "a, b, c, d, e, and 3 more"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(expects, found, words):
    missing = without(all_missing(expects), REFERENCE, found)
    assert missing_words(expects, missing, 0) == words


HOURS = st.lists(st.integers(0, 23), min_size=1, unique=True).map(sorted)


@given(HOURS, st.lists(st.tuples(st.sampled_from("uv"), st.integers(0, 23), st.integers(0, 9))))
def test_what_is_missing_does_not_depend_on_how_files_come(hours, files):
    expects = {"variables": ["u", "v"], "hours": hours}
    found = [data(name, first, min(23, first + length)) for name, first, length in files]
    at_once = one_by_one = all_missing(expects)
    at_once = without(at_once, REFERENCE, found)
    for each in found:
        one_by_one = without(one_by_one, REFERENCE, [each])

    assert at_once == one_by_one
    covered = {(name, hour) for name, first, length in files for hour in hours
               if first <= hour <= min(23, first + length)}  # fmt: skip
    assert is_complete(expects, at_once, len(found)) == (len(covered) == 2 * len(hours))


# --- lateness


def test_after_the_reference_time():
    expected = Expected(((0, 0), (12, 0)), after=4 * 3600)
    day = datetime(2026, 11, 22, tzinfo=UTC)
    assert list(due_between(expected, day, day + timedelta(days=1))) == [
        Due(day.replace(hour=4), day),
        Due(day.replace(hour=16), day.replace(hour=12)),
    ]
    assert next_due(expected, day.replace(hour=4)).deadline == day.replace(hour=16)
    assert deadline_of(expected, day) == day.replace(hour=4)
    assert deadline_of(expected, day.replace(hour=6)) is None


def test_by_a_time_of_the_day_here():
    zone = ZoneInfo("Etc/GMT+8")  # no law changes it: 5:30 there is 13:30 UTC
    expected = Expected(((12, 0),), by=(5, 30, 0), zone=zone)
    due = next_due(expected, datetime(2026, 11, 22, tzinfo=UTC))
    assert due == Due(
        datetime(2026, 11, 22, 13, 30, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)
    )
    early = Expected(((18, 0),), by=(5, 30, 0), zone=zone)
    assert next_due(early, due.deadline - timedelta(hours=1)).reference.day == 21


def test_more_than_a_day_after():
    expected = Expected(((0, 0),), after=5 * 86400)
    now = datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert next_due(expected, now).reference == datetime(2026, 11, 18, tzinfo=UTC)
    assert deadline_of(expected, datetime(2026, 11, 18, tzinfo=UTC)) == datetime(
        2026, 11, 23, tzinfo=UTC
    )


@given(st.floats(1, 20 * 86400), st.sets(st.integers(0, 23), min_size=1), st.integers(0, 10**6))
def test_each_reference_time_is_due_once(after, hours, begin):
    expected = Expected(tuple((hour, 0) for hour in sorted(hours)), after=after)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=begin)
    found: list[Due] = []
    moment = start
    while moment < start + timedelta(days=3):
        due = next_due(expected, moment)
        assert list(due_between(expected, moment, due.deadline)) == [due]
        found.append(due)
        moment = due.deadline
    assert len({due.reference for due in found}) == len(found)
    assert len(found) >= 3 * len(hours)


# --- retention


def instance(hours: int, version: int = 1, **more: Any) -> InstanceRecord:
    reference = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {"files": 1, "size": 10, "complete": "x"} | more
    return InstanceRecord(f"{hours}.{version}", "p", reference, version, "", "", **values)


@pytest.mark.parametrize(
    ("retention", "gone", "why"),
    [
        (Retention(cycles=2), ["18.1", "12.1", "12.2"], "beyond the latest 2 reference times"),
        (Retention(age=13 * 3600), ["18.1"], "older than 13 h"),
        (Retention(space=35), ["18.1", "12.1"], "all together are 50 B, more than 35 B"),
        (Retention(), [], ""),
    ],
)
def test_what_expires(retention, gone, why):
    instances = [instance(0), instance(6), instance(12), instance(12, 2), instance(18)]
    found = expiring(instances, retention, NOW)
    assert [each.instance.id for each in found] == gone
    assert not found or found[0].why == why
    assert all(each.kept is None for each in found)


def test_what_stays_whatever_is_declared():
    pinned, complete = instance(24, pinned="x"), instance(12)
    begun = instance(0, complete=None)
    found = expiring([pinned, complete, begun], Retention(age=1), NOW)
    assert {each.instance.id: each.kept for each in found} == {
        "24.1": "it is pinned",
        "12.1": "it is the latest complete one",
    }
    assert kept_because(begun, []) == "it is the last one that there is"


PIECES = st.tuples(st.integers(0, 99), st.booleans(), st.booleans(), st.integers(0, 3))


@given(
    st.lists(PIECES, max_size=12, unique_by=lambda piece: piece[0]),
    st.builds(
        Retention,
        st.none() | st.integers(1, 5),
        st.none() | st.floats(1, 3e5),
        st.none() | st.integers(1, 60),
    ),
)
def test_something_is_left_always(pieces, retention):
    instances = [
        instance(hours, complete="x" if whole else None, pinned="x" if pinned else None,
                 files=files, size=10 * files)
        for hours, whole, pinned, files in pieces
    ]  # fmt: skip
    gone = {e.instance.id for e in expiring(instances, retention, NOW) if e.kept is None}
    left = [each for each in instances if each.id not in gone]
    assert not [each for each in instances if each.pinned and each.id in gone]
    complete = [each for each in instances if each.complete]
    if complete:
        assert max(complete, key=lambda each: each.reference) in left
    if any(each.files for each in instances):
        assert any(each.files for each in left)


# --- times


@pytest.mark.parametrize(
    "text",
    ["2026112200", "202611220000", "2026-11-22 00", "2026-11-22T00:00Z", "2026-11-22",
     "2026-11-22T01:00:00+01:00", "2026-11-22T00:00:00.000Z", "20261122"],
)  # fmt: skip
def test_times_are_read_as_people_write_them(text):
    assert read_time(text) == REFERENCE


@pytest.mark.parametrize("text", ["", "soon", "2026113200", "2026-11-22T25:00", 2026112200, None])
def test_what_is_no_time_is_said(text):
    with pytest.raises(NotATime, match="must be a time"):
        read_time(text)


# --- registrations, in turns of any length

FILE = st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans(), st.integers(0, 3))
REQUESTS = st.lists(st.lists(FILE, min_size=1, max_size=3), max_size=8)


def index_after(
    requests: list[list[Any]], expects: Any, ends_turn: Callable[[int], bool]
) -> list[Any]:
    """Give what the index holds after requests, some of which are of one turn."""
    ids = count()
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder, "n.db"))) as store:
        draft = Draft(store.products)
        changes: list[Any] = []
        for number, files in enumerate(requests):
            said = {
                f"file:///{folder_}/{name}": {
                    "url": f"file:///{folder_}/{name}", "size": 1, "sha256": f"{content:064x}",
                    "partial": partial, "reference_time": REFERENCE,
                }
                for name, folder_, partial, content in files
            }  # fmt: skip
            registration = registration_of({"product": "p", "files": list(said.values())})
            Registering(
                draft,
                registration,
                expects,
                lambda _: None,
                f"t{number}",
                lambda: f"{next(ids):08}",
            ).take()
            changes += draft.taken()
            if ends_turn(number):
                store.commit(changes)
                changes = []
                draft.clear()
        store.commit(changes)
        index = store.products
        instances = index.versions("p", REFERENCE)
        for each in instances:
            files = index.files(each.id)
            there = {found.data.id for found in files if not found.file.partial}
            assert (each.files, each.size) == (len(there), len(files)), each
            assert (each.deleted is None) == bool(files), each
            if each.deleted is None:
                assert (each.complete is not None) == is_complete(
                    each.expects, each.missing, each.files
                )
        return [(each, index.files(each.id, deleted=True)) for each in instances]


@settings(max_examples=20, deadline=None)
@given(REQUESTS, st.none() | st.just({"count": 2}), st.sets(st.integers(0, 8)))
def test_how_requests_fall_into_turns_makes_no_difference(requests, expects, ends):
    one_each = index_after(requests, expects, lambda _: True)
    assert index_after(requests, expects, lambda number: number in ends) == one_each
