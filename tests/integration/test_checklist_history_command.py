"""``nowcast checklist history`` on a system with a past."""

from __future__ import annotations

from nowcast_command import nowcast
from systems import System


def test_the_history_of_a_key_is_told_with_the_system_up_and_down(system: System) -> None:
    system.finish("first", {"tide": {"high": 3}})
    system.finish("second", {"other": 1})
    system.finish("first", {"tide": {"high": 4}, "wind": "NW"})
    done = nowcast(system.folder, "checklist", "history", "first")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].endswith("  first success (message 1)")
    assert lines[1].split() == ["+", "{tide:", "{high:", "3}}"]
    assert [line.split() for line in lines[3:]] == [
        ["~", "tide/high", "3", "→", "4"],
        ["+", "wind", "NW"],
    ]
    system.stop()
    system.stop("message_broker")
    document = nowcast(system.folder, "checklist", "history", "first/tide", "--json").json
    assert document["schema"] == 1
    assert [change["message"] for change in document["changes"]] == [1, 3]
    assert document["changes"][1]["value"] == {"high": 4}
    assert document["changes"][1]["differences"] == [{"path": ["high"], "before": 3, "after": 4}]


def test_a_key_without_history_is_an_error_that_names_those_that_have_one(system: System) -> None:
    system.finish("second", 1)
    done = nowcast(system.folder, "checklist", "history", "fisrt")
    assert done.code == 4
    assert "it knows: second" in done.err
