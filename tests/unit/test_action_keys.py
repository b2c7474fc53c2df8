"""Action keys: their form, their topics, and which agree with which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.flows.action_key import END, ActionKey, BadActionKey, subscription

fields = st.text("abzAZ019_-", max_size=6)
keys = st.builds(ActionKey, fields, fields, fields, fields).filter(lambda key: key != ActionKey())


@pytest.mark.parametrize(
    ("text", "sender", "context", "decorator", "action"),
    [
        ("Sender?Context@Decorator?Action", "Sender", "Context", "Decorator", "Action"),
        ("Sender?Context?Action", "Sender", "Context", "", "Action"),
        ("?Context?Action", "", "Context", "", "Action"),
        ("Sender??Action", "Sender", "", "", "Action"),
        ("a?@X?e", "a", "", "X", "e"),
        ("?@X?", "", "", "X", ""),
        ("??done", "", "", "", "done"),
        ("Sender??", "Sender", "", "", ""),
        ("_-9?A_b-0?z", "_-9", "A_b-0", "", "z"),
    ],
)
def test_a_key_has_these_fields(
    text: str, sender: str, context: str, decorator: str, action: str
) -> None:
    key = ActionKey.parse(text)
    assert key.sender == sender
    assert key.context == context
    assert key.decorator == decorator
    assert key.action == action
    assert str(key) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("done", "has no question mark and not two"),
        ("a?b", "has one question mark and not two"),
        ("a?b?c?", "has 3 question marks and not two"),
        ("a?b@x@y?c", "has a second @"),
        ("a?b@?c", "names no decorator after its @"),
        ("a@x?b?c", "'a@x' as its sender"),
        ("a?b?c@x", "'c@x' as its action"),
        ("a.b?c?d", "'a.b' as its sender"),
        ("a?b c?d", "'b c' as its context"),
        ("a?b@x/y?d", "'x/y' as its decorator"),
        ("a?b?c ", "'c ' as its action"),
        ("a?b?c\n", "as its action"),
        ("a?b?ü", "'ü' as its action"),
    ],
)
def test_what_is_no_key_is_told_why(text: str, words: str) -> None:
    with pytest.raises(BadActionKey, match=words.replace("?", r"\?")):
        ActionKey.parse(text)


@given(keys)
def test_a_key_that_is_written_and_read_is_the_same(key: ActionKey) -> None:
    assert ActionKey.parse(str(key)) == key


@given(keys, keys)
def test_a_match_does_not_depend_on_the_order(one: ActionKey, other: ActionKey) -> None:
    assert one.matches(other) == other.matches(one)


@given(keys, st.sampled_from(["sender", "context", "decorator", "action"]))
def test_an_empty_field_agrees_with_anything(key: ActionKey, left_out: str) -> None:
    kept = {name: getattr(key, name) for name in ("sender", "context", "decorator", "action")}
    assert key.matches(ActionKey(**{**kept, left_out: ""}))


def test_fields_that_differ_do_not_agree() -> None:
    key = ActionKey.parse("a?b@c?d")
    for other in ("x?b@c?d", "a?x@c?d", "a?b@x?d", "a?b@c?x"):
        assert not key.matches(ActionKey.parse(other))


def test_a_topic_keeps_its_empty_fields() -> None:
    assert ActionKey.parse("a?b@c?d").topic("flow") == "flow~c~a~b~d"
    assert END.topic("flow") == "flow~~~~done"


@given(fields.filter(bool), keys)
def test_a_subscription_takes_the_topics_of_its_flow_alone(flow: str, key: ActionKey) -> None:
    assert key.topic(flow).startswith(subscription(flow))
    assert not key.topic(flow + "2").startswith(subscription(flow))
    assert key.topic(flow).startswith(subscription(flow, key.decorator, key.sender))


def test_a_mapping_is_asked_for_the_nearest_key_first() -> None:
    assert [str(key) for key in ActionKey.parse("S?C?A").lookups()] == [
        "S?C?A", "S??A", "?C?A", "S?C?", "S??", "??A", "?C?",
    ]  # fmt: skip


def test_a_decorated_key_comes_before_its_twin_without() -> None:
    assert [str(key) for key in ActionKey.parse("S?C@D?A").lookups()][:4] == [
        "S?C@D?A", "S?C?A", "S?@D?A", "S??A",
    ]  # fmt: skip


@given(keys)
def test_no_key_is_asked_for_twice_and_none_stands_for_everything(key: ActionKey) -> None:
    asked = list(key.lookups())
    assert len(asked) == len(set(asked))
    assert ActionKey() not in asked
    assert all(key.matches(each) for each in asked)
