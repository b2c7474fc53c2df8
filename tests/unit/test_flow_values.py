"""What fills the placeholders of a flow: parameters, conditions, and the two forms of a flow."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.conditions import BadCondition, condition_references, holds
from nowcast_cli.flows.definition import Action, Flow, Parameter, Step, Work
from nowcast_cli.flows.filling import filled_in_flow
from nowcast_cli.flows.graph import as_dot, as_mermaid, as_text
from nowcast_cli.flows.parameters import BadParameter, value_of, values_of
from nowcast_cli.flows.placeholders import BadPlaceholder, filled_in, references
from nowcast_cli.flows.writing import NotInLines, as_lines, as_yaml
from nowcast_cli.flows.yaml_flows import flows_of

TODAY = date(2026, 11, 22)


# --- placeholders


def test_references_are_found_in_their_order_in_all_texts() -> None:
    value = {"a": ["{date} {crop.rows}", 3], "b": "{{no}} {x-y.z_1}"}
    assert list(references(value)) == ["date", "crop.rows", "x-y.z_1"]


@pytest.mark.parametrize("text", ["{", "a}", "{a b}", "{}", "{a.}", "{{x}"])
def test_braces_without_a_reference_are_refused(text: str) -> None:
    with pytest.raises(BadPlaceholder):
        list(references(text))


def test_one_placeholder_alone_gives_the_very_value() -> None:
    values: dict[str, Any] = {"n": 3, "files": ["a", "b"]}
    assert filled_in("{files}", values.__getitem__) == ["a", "b"]
    assert filled_in({"x": ["{n}", "n is {n}"]}, values.__getitem__) == {"x": [3, "n is 3"]}
    assert filled_in("{{n}} {n}", values.__getitem__) == "{n} 3"


@given(st.text())
def test_a_text_without_braces_stays_as_it_is(text: str) -> None:
    plain = text.replace("{", "").replace("}", "")
    assert filled_in(plain, lambda name: name) == plain


# --- conditions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rows > 0", True),
        ("rows > 0 and season == 'summer'", False),
        ("not (rows > 0) or season in ['winter', 'fall']", True),
        ("0 < rows < 3", False),
        ("crop.rows == -1", True),
        ("season", True),
        ("rows == None", False),
        ("'a' not in season", True),
        ("rows", True),
    ],
)
def test_a_condition_is_decided(text: str, expected: bool) -> None:
    values = {"rows": 7, "season": "winter", "crop.rows": -1}
    assert holds(text, values.__getitem__) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "a b", "f(x)", "x[0]", "x + 1", "lambda: 1", "__import__('os')", "x if y else z",
        "x := 1", "b'x'", "'a'.upper", "x is y", "1000**1000", "a" * 2000, "(" * 300,
    ],
)  # fmt: skip
def test_what_could_run_anything_is_no_condition(text: str) -> None:
    with pytest.raises(BadCondition):
        condition_references(text)


def test_the_references_of_a_condition_are_named_once() -> None:
    assert condition_references("a > 1 and b.c == a or 'x' == d") == ["a", "b.c", "d"]


def test_values_that_cannot_be_compared_are_told_in_a_sentence() -> None:
    with pytest.raises(BadCondition, match="'a > 1' cannot be decided: '>' not supported"):
        holds("a > 1", {"a": "text"}.__getitem__)


# --- parameters


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        ("text", "x", "x"),
        ("text", 3, "3"),
        ("whole", "21", 21),
        ("number", "2.5", 2.5),
        ("number", 2, 2.0),
        ("switch", "yes", True),
        ("switch", False, False),
        ("date", "today", "2026-11-22"),
        ("date", "yesterday", "2026-11-21"),
        ("date", "2026-02-28", "2026-02-28"),
        ("date", date(2026, 1, 2), "2026-01-02"),
        ("path", "/a/b", "/a/b"),
        ("list", "a, b,", ["a", "b"]),
        ("list", [1, 2], [1, 2]),
    ],
)
def test_a_value_becomes_one_of_its_type(kind: Any, given_value: Any, expected: Any) -> None:
    made = value_of(Parameter("x", kind), given_value, TODAY)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("whole", "2.5"), ("whole", True), ("number", "x"), ("switch", 1), ("date", "22.11.2026"),
        ("date", "2026-02-30"), ("text", None), ("text", ["x"]), ("list", 3), ("number", None),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_in_a_sentence(kind: Any, bad: Any) -> None:
    with pytest.raises(BadParameter, match=r"^x must be "):
        value_of(Parameter("x", kind), bad, TODAY)


FLOW = Flow(
    "f",
    (Step("a", Work("crop", ("--date", "{date}", "{b.c}"), None, {"D": "{date}"})),),
    (Parameter("date", "date", "today", required=False), Parameter("n", "whole")),
)


def test_values_are_those_given_and_the_defaults() -> None:
    assert values_of(FLOW, {"n": "3"}, TODAY) == {"date": "2026-11-22", "n": 3}
    with pytest.raises(BadParameter, match="flow f needs a value for n"):
        values_of(FLOW, {}, TODAY)
    with pytest.raises(BadParameter, match=r"flow f has no parameter 'm' \(it has: date, n\)"):
        values_of(FLOW, {"n": 1, "m": 2}, TODAY)


def test_a_default_without_a_type_says_it() -> None:
    given = {"a": {"default": 1}, "b": {"default": "today"}, "c": {"default": "x"}, "d": {}}
    (flow,), findings = flows_of({"f": {"parameters": given, "steps": {"s": {"worker": "w"}}}})
    assert findings == []
    assert [each.type for each in flow.parameters] == ["whole", "date", "text", "text"]


def test_parameters_are_filled_in_and_values_of_steps_stay() -> None:
    (step,) = filled_in_flow(FLOW, {"date": "2026-11-22", "n": 3}).steps
    assert step.does == Work("crop", ("--date", "2026-11-22", "{b.c}"), None, {"D": "2026-11-22"})


# --- the two forms

words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True)
keys = st.builds(ActionKey, words, words, st.sampled_from(["", "ASYNC"]), words)


@given(st.lists(keys, min_size=1, max_size=6, unique=True), words)
def test_lines_that_become_yaml_and_lines_again_are_the_same(
    actions: list[ActionKey], name: str
) -> None:
    steps: list[Step] = []
    for key in actions:
        after = (steps[-1].name,) if steps else ()
        steps.append(Step(str(key), Action(key), after))
    flow = Flow(name, tuple(steps))
    (again,), findings = flows_of(yaml.safe_load(as_yaml(flow))["flows"])
    assert not findings
    assert as_lines(again) == as_lines(flow)
    assert as_lines(flow).splitlines() == [f"[{name}]", *map(str, actions), "??done"]


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (Flow("f", (Step("a", Work("crop")),)), "step a is no action"),
        (
            Flow("f", (Step("a", Action(ActionKey.parse("?a?b")), timeout=5.0),)),
            "step a has `timeout`",
        ),
        (
            Flow("f", tuple(Step(n, Action(ActionKey.parse(f"?a?{n}"))) for n in "ab")),
            "step b does not come after the step above it alone",
        ),
        (FLOW, "flow f has `parameters`"),
    ],
)
def test_what_the_lines_cannot_say_is_named(flow: Flow, said: str) -> None:
    with pytest.raises(NotInLines, match=said):
        as_lines(flow)


# --- drawings

FORK = Flow(
    "f",
    (
        Step("a", Work("crop"), for_each="{x}"),
        Step("b", Work("b"), ("a",), on_failure="d"),
        Step("c", Work("c"), ("a", "b")),
        Step("d", Action(ActionKey.parse("?M?send"))),
    ),
)


def test_a_text_drawing_puts_each_step_below_the_last_that_it_comes_after() -> None:
    assert as_text(FORK) == [
        "a (crop) for each",
        "└ b",
        "  └ c  after a, b",
        "  └ d (?M?send)  if b fails",
    ]


def test_a_circle_is_drawn_with_an_end() -> None:
    circle = Flow("f", (Step("a", Work("a"), ("b",)), Step("b", Work("b"), ("a",))))
    assert len(as_text(circle)) <= len(circle.steps) ** 2


def test_other_drawings_name_all_steps_and_edges() -> None:
    assert as_mermaid(FORK)[1:] == [
        '  s1["a: crop"]', '  s2["b"]', '  s3["c"]', '  s4["d: ?M?send"]',
        "  s1 --> s2", "  s2 -.->|fails| s4", "  s1 --> s3", "  s2 --> s3",
    ]  # fmt: skip
    dot = as_dot(FORK)
    assert dot[0] == 'digraph "f" {'
    assert '  s2 -> s4 [style=dashed, label="fails"];' in dot


def test_a_flow_that_is_kept_as_plain_values_is_the_same(  # whatever its steps are called
) -> None:
    import json

    from nowcast_cli.flows.described import described
    from nowcast_cli.flows.yaml_flows import flow_described

    lines = Flow("g", (Step("?a?b", Action(ActionKey.parse("?a?b"), {"x": [1]})),))
    empty = Flow("h", (Step("a", Work("crop"), for_each=[]),))
    for flow in (FORK, FLOW, lines, empty):
        kept = json.loads(json.dumps(described(flow)))
        assert flow_described(flow.name, kept).digest == flow.digest
