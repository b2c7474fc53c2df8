"""Lines and columns of keys."""

from __future__ import annotations

import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.positions import (
    BadYaml,
    Index,
    Position,
    path_text,
    read_document,
)

LETTERS = st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"])
KEYS = st.one_of(
    st.text(string.ascii_letters + " _é", min_size=1, max_size=12),
    st.integers(-9999, 9999),
    st.dates(),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.dates(),
    st.floats(allow_nan=False),
    st.text(LETTERS, max_size=20),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
TREES = st.dictionaries(KEYS, DATA, min_size=1, max_size=5)


def paths_in(data: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = ((Index(index), item) for index, item in enumerate(data))
    found = {path} if path else set()
    for key, value in items:
        found |= paths_in(value, (*path, key))
    return found


@given(TREES, st.booleans())
def test_each_key_and_item_has_a_place_in_the_file(data: dict[Any, Any], flow: bool) -> None:
    text = yaml.dump(data, Dumper=NoAliases, allow_unicode=True, default_flow_style=flow)
    document = read_document(text)
    assert document.data == data
    assert set(document.positions) == paths_in(data)


@given(TREES, st.booleans())
def test_the_place_of_a_key_is_where_its_text_begins(data: dict[Any, Any], flow: bool) -> None:
    text = yaml.dump(data, Dumper=NoAliases, allow_unicode=True, default_flow_style=flow)
    lines = text.splitlines()
    for path, place in read_document(text).positions.items():
        if not isinstance(path[-1], Index):
            there = lines[place.line - 1][place.column - 1 :]
            key = yaml.dump({path[-1]: 0}, allow_unicode=True).rpartition(":")[0]
            assert there.startswith((key, "? " + key))


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str | bytes) -> None:
    error = refusal(text)
    if error is not None:
        assert error.message
        assert error.position is None or error.position >= Position(1, 1)


def refusal(text: str | bytes) -> BadYaml | None:
    try:
        read_document(text)
    except BadYaml as error:
        return error
    return None


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_a_missing_key_is_placed_at_its_nearest_parent() -> None:
    document = read_document("a:\n  b:\n    c: 1\n")
    assert document.position(("a", "b", "x", "y")) == Position(2, 3)
    assert document.position(("x",)) == Position(1, 1)


def test_an_integer_key_is_told_from_an_item_of_a_list() -> None:
    document = read_document("{0: a}")
    assert (0,) in document.positions
    assert (Index(0),) not in document.positions


def test_own_keys_overrule_the_places_of_merged_ones() -> None:
    text = "base: &base\n  a: 1\n  b: 2\nderived:\n  <<: *base\n  b: 3\n"
    document = read_document(text)
    assert document.data["derived"] == {"a": 1, "b": 3}
    assert document.position(("derived", "a")) == Position(2, 3)
    assert document.position(("derived", "b")) == Position(6, 3)


def test_an_unclosed_list_is_told_with_the_line_where_it_begins() -> None:
    with pytest.raises(BadYaml, match="that begins on line 2") as caught:
        read_document("a: 1\nb: [1,\n\nc: 2")
    assert caught.value.position == Position(5, 1) or caught.value.position == Position(4, 2)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("zmq", "ports", "workers"), "zmq.ports.workers"),
        (("logging", "handlers", Index(0), "class"), "logging.handlers[0].class"),
        (("archive", 2014), "archive.2014"),
        (("workers", False), "workers.false"),
        ((), ""),
    ],
)
def test_a_path_is_written_as_people_do(path: tuple[Any, ...], text: str) -> None:
    assert path_text(path) == text
