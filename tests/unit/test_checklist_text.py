"""The checklist's fragments always make a document that reads as the checklist."""

import datetime

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.store.checklist_text import LARGE, ChecklistText

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.dates(),
    st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
)
# Without booleans: Python takes True and 1 for the same key, YAML does not.
keys = st.one_of(st.integers(), st.text(max_size=150), st.dates())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
long_texts = st.text(min_size=1, max_size=3).map(lambda text: text * 1500)
large = st.dictionaries(keys, long_texts, min_size=4, max_size=6)


def read(text: ChecklistText) -> object:
    return yaml.load(text.document(), Loader=yaml.CSafeLoader)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(keys, st.one_of(values, large)), max_size=6))
def test_the_document_reads_as_what_was_put(puts):
    text, checklist = ChecklistText(), {}
    for key, value in puts:
        checklist[key] = value
        text.put(key, checklist[key], None)
    assert read(text) == checklist


@settings(max_examples=100, deadline=None)
@given(keys, large, st.dictionaries(keys, values, min_size=1, max_size=3))
def test_a_merge_into_a_large_key_puts_only_the_sub_keys_that_changed(key, start, payload):
    text = ChecklistText()
    text.put(key, start, None)
    text.unsaved()
    text.saved()
    merged = {**start, **payload}
    text.put(key, merged, tuple(payload))
    changes = text.unsaved()
    assert read(text) == {key: merged}
    if changes.put[0].subkey:
        assert len(changes.put) == len(payload)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("ab"), st.one_of(values, large)),
            st.sampled_from(["save", "clear"]),
        ),
        max_size=8,
    )
)
def test_what_was_saved_makes_the_same_document_again(history):
    text, rows = ChecklistText(), {}
    for event in (*history, "save"):
        if event == "save":
            changes = text.unsaved()
            if changes.cleared:
                rows.clear()
            rows = {at: row for at, row in rows.items() if at[0] not in changes.dropped_keys}
            rows.update({(row.key, row.subkey): row for row in changes.put})
            text.saved()
        elif event == "clear":
            text.clear()
        else:
            text.put(*event, None)
    assert ChecklistText(rows.values()).document() == text.document()


def test_fragments_that_were_stored_make_the_same_document_again():
    text = ChecklistText()
    text.put("big", dict.fromkeys(range(100), "x" * 100), None)
    text.put(3, ["a"], None)
    assert ChecklistText(text.unsaved().put).document() == text.document()


def test_a_large_key_that_is_replaced_by_a_small_value_leaves_nothing_behind():
    text = ChecklistText()
    text.put("forecast", dict.fromkeys(range(3), "x" * LARGE), None)
    text.unsaved()
    text.saved()
    text.put("forecast", {"done": True}, None)
    assert len(text.unsaved().dropped_keys) == 1
    assert read(text) == {"forecast": {"done": True}}


def test_one_object_in_two_places_is_written_twice_and_without_anchors():
    moment = datetime.datetime(2026, 11, 22, 3, 0, tzinfo=datetime.UTC)
    text = ChecklistText()
    text.put("a", [moment, moment], None)
    text.put("b", {"first": moment, "again": [moment]}, None)
    assert "&" not in text.document()
    assert read(text) == {"a": [moment, moment], "b": {"first": moment, "again": [moment]}}


def test_an_integer_key_and_a_string_key_of_the_same_digits_are_two_keys():
    text = ChecklistText()
    text.put(1, "number", None)
    text.put("1", "text", None)
    assert read(text) == {1: "number", "1": "text"}


def test_an_empty_checklist_is_an_empty_mapping():
    assert read(ChecklistText()) == {}


@pytest.mark.parametrize("subkey", ["y" * 200, "two\nlines", "? odd", "#", ""])
def test_awkward_sub_keys_of_a_large_key_are_read_back(subkey):
    text = ChecklistText()
    value = {"plain": "x" * LARGE, subkey: [1, {"deep": "z"}]}
    text.put("key", value, None)
    assert read(text) == {"key": value}
