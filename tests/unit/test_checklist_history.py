"""What a key of the checklist was, from message to message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from nowcast_cli.cli.checklist_history import (
    ABSENT,
    NEAR,
    differences,
    history,
    keys_above,
    row_of,
)
from nowcast_cli.cli.output import Painted
from nowcast_cli.store.records import MessageRecord


def put(number: int, key: Any, payload: Any) -> MessageRecord:
    body = yaml.safe_dump({"source": "w", "type": "success", "payload": payload})
    return MessageRecord(
        number, f"id{number}", f"2026-11-22T03:04:{number:02}.000Z", "w", "success", body, None,
        f"id{number}", "success", "decided", effect="put", checklist_key=yaml.safe_dump(key),
    )  # fmt: skip


def clear(number: int) -> MessageRecord:
    return MessageRecord(
        number, f"id{number}", f"2026-11-22T03:04:{number:02}.000Z", "nowcast", "clear checklist",
        None, None, f"id{number}", None, "answered", effect="clear",
    )  # fmt: skip


def top_yaml(text: str) -> str:
    return yaml.safe_dump(int(text) if text.isdecimal() else text)


def steps(effects: list[MessageRecord], key: str, limit: int = 50) -> list[tuple[int, Any, Any]]:
    top = key.partition("/")[0]
    of_key = [each for each in effects if each.checklist_key in (None, top_yaml(top))]
    versions = history(reversed(of_key), key, limit)
    return [(version.message.number, version.before, version.after) for version in versions]


def test_mappings_are_merged_and_other_values_replace() -> None:
    effects = [put(1, "a", {"x": 1}), put(2, "b", 7), put(3, "a", {"y": 2}), put(4, "a", [1])]
    assert steps(effects, "a") == [
        (1, ABSENT, {"x": 1}),
        (3, {"x": 1}, {"x": 1, "y": 2}),
        (4, {"x": 1, "y": 2}, [1]),
    ]


def test_a_journal_that_was_cleaned_goes_on_from_its_base() -> None:
    effects = [put(2, "a", {"kept": "the last success"}), put(5, "a", {"y": 3})]
    base = {"a": {"x": 1, "y": 2}}
    [version] = history(reversed(effects), "a", 50, lambda: (4, base))
    assert (version.before, version.after) == ({"x": 1, "y": 2}, {"x": 1, "y": 3})
    assert base == {"a": {"x": 1, "y": 2}}


def test_a_message_that_changes_nothing_is_no_change() -> None:
    assert [number for number, *_ in steps([put(1, "a", 1), put(2, "a", 1)], "a")] == [1]


def test_clearing_the_checklist_ends_a_value() -> None:
    assert steps([clear(1), put(2, "a", None), clear(3), clear(4)], "a") == [
        (2, ABSENT, None),
        (3, None, ABSENT),
    ]


def test_a_value_below_a_key_has_a_history_of_its_own() -> None:
    effects = [put(1, "a", {"b": {"c": 1}}), put(2, "a", {"d": 2}), put(3, "a", {"b": {"c": 2}})]
    assert steps(effects, "a/b/c") == [(1, ABSENT, 1), (3, 1, 2)]


def test_keys_that_are_no_text_are_found_as_they_are_shown() -> None:
    assert steps([put(1, 12, "noon")], "12") == [(1, ABSENT, "noon")]


def test_the_newest_changes_are_kept_and_compared_with_the_one_before() -> None:
    effects = [put(number, "a", number) for number in range(1, 10)]
    assert steps(effects, "a", limit=2) == [(8, 7, 8), (9, 8, 9)]


def test_the_top_keys_above_a_value_are_told_from_the_others() -> None:
    known = [top_yaml(text) for text in ("a", "5", "a/b")]
    assert keys_above(known, "nothing") == ([], ["a", "5", "a/b"])
    assert keys_above(known, "5")[0] == [top_yaml("5")]
    assert keys_above(known, "a/b/c")[0] == [top_yaml("a"), top_yaml("a/b")]


def test_a_long_history_is_read_as_far_back_as_is_needed() -> None:
    taken = []

    def newest_first() -> Iterator[MessageRecord]:
        for number in range(20 * NEAR, 0, -1):
            taken.append(number)
            yield put(number, "a", {"changes": number // 3})

    versions = history(newest_first(), "a/changes", 5)
    assert [version.after for version in versions] == [20 * NEAR // 3 - n for n in (4, 3, 2, 1, 0)]
    assert len(taken) == NEAR


def test_a_value_that_seldom_changes_is_looked_for_to_the_beginning() -> None:
    effects = [put(number, "a", 1 if number < 5 else 2) for number in range(1, 3 * NEAR)]
    assert steps(effects, "a") == [(1, ABSENT, 1), (5, 1, 2)]


def test_differences_go_as_deep_as_there_are_mappings() -> None:
    before = {"same": 1, "deep": {"x": 1, "y": [1]}, "gone": None}
    after = {"same": 1, "deep": {"x": 2, "y": [1]}, "new": True}
    rows = [row_of(each) for each in differences(before, after)]
    texts = [[c.text if isinstance(c, Painted) else c for c in row] for row in rows]
    assert texts == [
        ["~", "deep/x", "1 → 2"],
        ["-", "gone", "null"],
        ["+", "new", "true"],
    ]
