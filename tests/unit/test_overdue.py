"""Who is overdue: what is expected against what the journal holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from nowcast_cli.config.expectations import expectations_of
from nowcast_cli.config.positions import path_text
from nowcast_cli.scheduler.overdue import Overdue, overdue

LONG_AGO = "2026-01-01T00:00:00.000Z"
# Toronto is five hours behind: 09:30 there is 14:30
BY_MORNING = {"collect": {"expect by": "09:30 America/Toronto"}}
AFTER = {"collect": {"success": "x"}, "make": {"within": "2h of collect"}}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}:00+00:00").astimezone(UTC)


def look(
    workers: Mapping[str, Any],
    now: str,
    successes: Mapping[str, list[str]] | None = None,
    began: str | None = LONG_AGO,
) -> list[Overdue]:
    expectations, findings = expectations_of({"message registry": {"workers": dict(workers)}})
    assert findings == []
    stored = {
        worker: [f"2026-11-{text}:00.000Z" for text in times]
        for worker, times in (successes or {}).items()
    }

    def last_success(worker: str, before: str) -> str | None:
        return max((at for at in stored.get(worker, []) if at <= before), default=None)

    return overdue(expectations, last_success, began, instant(now))


def test_nobody_is_overdue_before_the_time() -> None:
    assert look(BY_MORNING, "22T14:29", {"collect": ["21T14:00"]}) == []


def test_a_worker_without_a_success_is_overdue_from_the_time_on() -> None:
    (late,) = look(BY_MORNING, "22T14:30", {"collect": ["21T14:00"]})
    assert (late.worker, late.deadline) == ("collect", instant("22T14:30"))
    assert late.what.startswith("collect is overdue: it was expected by 09:30 on 2026-11-22")
    assert "its last success was at 09:00 on 2026-11-21" in late.what


def test_it_is_the_same_deadline_until_the_next_one() -> None:
    first, second = (look(BY_MORNING, now)[0] for now in ("22T15:00", "23T14:00"))
    assert first.id == second.id
    assert look(BY_MORNING, "23T15:00")[0].id != first.id
    assert "it has never succeeded" in first.what


@pytest.mark.parametrize("success", ["22T02:31", "22T10:00", "22T14:29", "22T20:00"])
def test_a_success_of_the_half_day_before_or_after_the_time_ends_it(success: str) -> None:
    assert look(BY_MORNING, "23T02:00", {"collect": [success]}) == []


def test_one_that_came_late_yesterday_does_not_count_for_today() -> None:
    assert len(look(BY_MORNING, "22T14:30", {"collect": ["21T15:30"]})) == 1


def test_for_the_evening_a_success_counts_since_midnight() -> None:
    evening = {"collect": {"expect by": "20:00 UTC"}}
    assert look(evening, "22T20:00", {"collect": ["22T00:10"]}) == []
    assert len(look(evening, "22T20:00", {"collect": ["21T23:50"]})) == 1


def test_nothing_is_expected_of_the_time_before_the_system_was() -> None:
    assert look(BY_MORNING, "22T15:00", began="2026-11-22T14:31:00.000Z") == []
    assert look(BY_MORNING, "22T15:00", began=None) == []
    assert len(look(BY_MORNING, "22T15:00", began="2026-11-22T14:29:00.000Z")) == 1


def test_a_worker_is_expected_after_each_success_of_another() -> None:
    assert look(AFTER, "22T12:00") == []
    assert look(AFTER, "22T11:59", {"collect": ["22T10:00"]}) == []
    (late,) = look(AFTER, "22T12:00", {"collect": ["22T10:00"], "make": ["22T09:00"]})
    assert (late.worker, late.deadline) == ("make", instant("22T12:00"))
    assert "within 2 h of collect" in late.what
    assert look(AFTER, "22T12:00", {"collect": ["22T10:00"], "make": ["22T10:30"]}) == []


def test_a_newer_success_of_the_other_does_not_hide_that_one_is_missing() -> None:
    assert len(look(AFTER, "22T12:00", {"collect": ["22T10:00", "22T11:30"]})) == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"expect by": 570}, "is read as the number 570: quote it, '09:30'"),
        ({"expect by": "nine"}, "must be a time of day"),
        ({"expect by": "09:30 Mars"}, "there is no time zone 'Mars'"),
        ({"within": "2h"}, "must be such as '2h of collect_weather'"),
        ({"within": "soon of collect"}, "must begin with a length of time"),
        ({"within": "2h of colect"}, "did you mean 'collect'?"),
    ],
)
def test_a_mistake_is_named_at_its_key(entry: dict[str, Any], words: str) -> None:
    workers = {"collect": {}, "make": entry}
    found, (finding,) = expectations_of({"message registry": {"workers": workers}})
    assert found == ()
    assert path_text(finding.path) == f"message registry.workers.make.{next(iter(entry))}"
    assert words in finding.message
