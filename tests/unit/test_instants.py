"""Instants as people name them at the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nowcast_cli.cli.instants import instant
from nowcast_cli.errors import UsageError

NOW = datetime(2026, 11, 22, 12, 34, 56).astimezone()


def local(*parts: int) -> datetime:
    return datetime(*parts).astimezone()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", local(2026, 11, 22)),
        ("2026-11-22 03:00", local(2026, 11, 22, 3)),
        ("2026-11-22T03:00:01Z", datetime(2026, 11, 22, 3, 0, 1, tzinfo=UTC)),
        ("today", local(2026, 11, 22)),
        ("yesterday", local(2026, 11, 21)),
        ("03:00", local(2026, 11, 22, 3)),
        ("now", NOW),
        ("2h", NOW - timedelta(hours=2)),
        ("90 min ago", NOW - timedelta(minutes=90)),
        ("1d 2h", NOW - timedelta(hours=26)),
    ],
)
def test_an_instant_is_read_as_it_is_meant(text: str, expected: datetime) -> None:
    assert instant(text, "--since", NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "2 moons", "99999999d"])
def test_what_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(UsageError, match="--since") as refused:
        instant(text, "--since", NOW)
    assert "today" in str(refused.value.hint)
