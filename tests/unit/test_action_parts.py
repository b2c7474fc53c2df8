"""The parts of action workers that need no process: frames, pace, what is printed, settings."""

import os
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.actions import wire
from nowcast_cli.actions.components import Components, Unusable, callee_of, said
from nowcast_cli.actions.pace import MOST, Pace
from nowcast_cli.actions.printed import Printed
from nowcast_cli.config.action_workers import (
    ActionWorkerSettings,
    action_worker_findings,
    action_worker_settings,
    wants_action_workers,
)
from nowcast_cli.config.config import Config
from nowcast_cli.errors import ConfigError

_frames = st.lists(st.tuples(st.sampled_from([b"O", b"R", b"P"]), st.binary(max_size=40)))


@given(_frames, st.lists(st.integers(1, 30), min_size=1))
def test_frames_are_read_whatever_parts_they_come_in(frames, sizes):
    stream = b"".join(wire.frame(kind, content) for kind, content in frames)
    reader, read, at = wire.FrameReader(), [], 0
    while at < len(stream):
        size = sizes[len(read) % len(sizes)]
        read += reader.feed(stream[at : at + size])
        at += size
    assert read == frames


@given(st.floats(allow_nan=False), st.binary(max_size=40))
def test_a_number_goes_before_a_text(number, text):
    (frame,) = wire.FrameReader().feed(wire.numbered(wire.ORDER, number, text))
    assert wire.number_and_text(frame[1]) == (number, text)


@dataclass(frozen=True)
class Held:
    component: str


def _held(*names):
    return deque(Held(name) for name in names)


def test_of_a_component_that_nobody_knows_one_is_given_at_a_time():
    pace = Pace()
    assert pace.fit(_held(), _held("a", "a")) == 1
    assert pace.fit(_held("a"), _held("a", "a")) == 0


def test_of_a_fast_one_several_are_given_and_of_a_slow_one_not():
    pace = Pace()
    pace.took("fast", 0.0001)
    pace.took("slow", 1.0)
    assert pace.fit(_held(), _held(*["fast"] * 30)) == MOST
    assert pace.fit(_held("fast"), _held(*["fast"] * 30)) == MOST - 1
    assert pace.fit(_held(*["fast"] * 6), _held("fast")) == 0
    assert pace.fit(_held(), _held("fast", "slow", "fast")) == 1
    assert pace.fit(_held("slow"), _held("fast")) == 0
    assert pace.fit(_held(), _held("slow", "fast")) == 1
    for _ in range(30):
        pace.took("slow", 0.0001)
    assert pace.fit(_held("slow"), _held("slow")) == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1))), st.integers(0, 9))
def test_somebody_with_nothing_in_hand_is_always_given_something(calls, pending):
    pace = Pace()
    for name, seconds in calls:
        pace.took(name, seconds)
    waiting = _held(*"abab" * 4)
    assert 1 <= pace.fit(_held(), waiting) <= MOST
    assert pending + pace.fit(_held(*"a" * pending), waiting) <= max(MOST, pending)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    printed = Printed(reading)
    yield printed, writing
    printed.close()
    os.close(writing)


def test_what_is_printed_comes_in_lines(pipe):
    printed, writing = pipe
    assert printed.read() == []
    os.write(writing, b"one\ntw")
    assert printed.read() == ["one"]
    os.write(writing, b"o\n\xff\n")
    assert printed.read() == ["two", "\ufffd"]


def test_too_many_lines_are_counted_and_a_long_one_is_cut(pipe):
    printed, writing = pipe
    os.write(writing, b"x\n" * 1000 + b"y" * 5000)
    assert len(printed.read()) == 200
    printed._second = 0.0
    os.write(writing, b"\nend\n")
    lines = printed.read()
    assert lines[0] == "… and 801 lines more"
    assert lines[-1] == "end"


def test_where_a_worker_hangs_is_found_in_what_it_has_printed(pipe):
    printed, writing = pipe
    os.write(writing, b'before\nCurrent thread 0x1 (most recent call first):\n  File "a.py"\n')
    printed.read()
    assert printed.dumped().splitlines()[1] == '  File "a.py"'


def test_settings_have_defaults_and_mistakes_have_sentences():
    assert action_worker_settings({}) == ActionWorkerSettings(2, 1_000_000_000)
    given = {"action workers": 4, "action memory": "200 MB"}
    assert action_worker_settings(given) == ActionWorkerSettings(4, 200_000_000)
    wrong = {"action workers": -1, "action memory": "much"}
    found = [(each.path, each.message) for each in action_worker_findings(wrong)]
    assert found[0] == (("action workers",), "must be a whole number from 0 to 64, not -1")
    assert found[1][0] == ("action memory",)
    with pytest.raises(ConfigError, match="action workers: must be a whole number"):
        action_worker_settings({"action workers": True})


def test_there_are_action_workers_where_something_is_mapped(tmp_path):
    file = tmp_path / "nowcast.yaml"
    file.write_text("zmq: {host: localhost, ports: {workers: 4343, manager: 4344}}\n"
                    "message registry: {workers: {}}\n")  # fmt: skip
    config = Config()
    config.load(file)
    assert not wants_action_workers(config)
    (tmp_path / "actions.ini").write_text("[actionmapping]\n# ?a?b = parts.add\n")
    assert not wants_action_workers(config)
    (tmp_path / "actions.ini").write_text("[actionmapping]\n?a?b = parts.add\n")
    assert wants_action_workers(config)
    assert not wants_action_workers({**config, "action workers": 0})
    assert wants_action_workers({"action workers": 1})


def test_a_component_says_which_values_it_takes():
    def component(a, b=1, *, c, context):
        return a, b, c, context

    callee = callee_of("m.f", component)
    assert callee.names == {"a", "b", "c"}
    assert callee.arguments({"a": 1, "c": 2, "other": 3}, implied=True) == {"a": 1, "c": 2}
    with pytest.raises(Unusable, match=r"m\.f takes no value 'other'"):
        callee.arguments({"a": 1, "c": 2, "other": 3}, implied=False)
    with pytest.raises(Unusable, match=r"m\.f needs a value 'c'"):
        callee.arguments({"a": 1}, implied=True)
    with pytest.raises(Unusable, match="before its /"):
        callee_of("m.g", lambda a, /: a)


def test_a_component_that_is_none_is_refused():
    components = Components()
    for name in ("os.sep", "nowhere.at.all", "os.path.nothing", "json.JSONDecoder.nothing"):
        with pytest.raises(Unusable):
            components.get(name)
    assert components.get("json.JSONDecoder.decode").name == "json.JSONDecoder.decode"


def test_where_it_was_raised_is_a_line_of_the_component_not_of_this_package():
    with pytest.raises(Unusable) as raised:
        Components().get("nowhere.at.all")
    assert __file__ in said(raised.value)
    assert "components.py" not in said(raised.value)
