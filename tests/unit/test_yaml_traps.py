"""Values that YAML reads as something else than a person sees."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.positions import Position, read_document
from nowcast_cli.config.yaml_traps import surprising_reading, yaml_traps


def messages(text: str) -> list[str]:
    return [trap.message for trap in yaml_traps(read_document(text))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: no", "no is read as false"),
        ("a: Yes", "Yes is read as true"),
        ("a: [x, off]", "off is read as false"),
        ("on: x", "the key on is read as true"),
        ("a: 12:30:45", "12:30:45 is read as 45045"),
        ("a: 5:15", "5:15 is read as 315"),
        ("a: 1:30.5", "1:30.5 is read as 90.5"),
        ("a: 010", "010 is read as 8"),
        ("a: 0664", "0664 is read as 436"),
    ],
)
def test_a_surprising_value_is_told_with_what_it_becomes(text: str, message: str) -> None:
    assert messages(text) == [message]


@pytest.mark.parametrize(
    "text",
    [
        "a: 'no'",
        'a: "12:30"',
        "a: true",
        "a: False",
        "a: 0",
        "a: 10",
        "a: 08",
        "a: 05:75",
        "a: 1.5",
        "a: 2014-09-12",
        "a: 2014-09-12 10:30:00",
        "a: nowhere",
        "a: |\n  no\n",
        "a: 0x10",
        "a: localhost:5555",
    ],
)
def test_what_is_read_as_it_looks_is_not_doubted(text: str) -> None:
    assert messages(text) == []


@given(st.from_regex(r"[-+]?[0-9][0-9_]{0,3}(:[0-9]{1,2}){0,3}(\.[0-9]{0,3})?", fullmatch=True))
def test_the_reading_that_is_told_is_what_yaml_makes_of_it(text: str) -> None:
    loader = yaml.CSafeLoader(text)
    node = loader.get_single_node()
    assert isinstance(node, yaml.ScalarNode)
    try:
        value = loader.construct_document(node)
    except ValueError:
        return
    reading = surprising_reading(node)
    if reading is not None:
        assert float(reading) == pytest.approx(float(value))
    elif isinstance(value, int):
        assert int(text.replace("_", "")) == value


def test_a_key_that_stands_twice_is_told_at_the_second_place() -> None:
    (trap,) = yaml_traps(read_document("a:\n  b: 1\n  c: 2\n  b: 3\n"))
    assert trap.path == ("a", "b")
    assert trap.position == Position(4, 3)
    assert trap.message == "stands twice (first on line 2), and only the last one counts"


def test_the_keys_below_a_key_that_stands_twice_are_not_told_again() -> None:
    assert len(messages("a: {b: 1}\na: {b: 2}")) == 1


def test_three_times_are_two_too_many() -> None:
    assert len(messages("a: 1\na: 2\na: 3")) == 2


def test_merged_and_aliased_keys_do_not_stand_twice() -> None:
    text = """
    base: &base {a: 1, b: 2}
    derived: {<<: *base, b: 3}
    again: *base
    inline: {<<: {a: 1}, a: 2}
    """
    assert messages(text) == []


def test_a_surprise_that_an_alias_repeats_is_told_once() -> None:
    assert len(messages("a: &x {b: no}\nc: *x\nd: *x")) == 1
