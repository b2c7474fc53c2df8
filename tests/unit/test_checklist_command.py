"""What `nowcast checklist` finds in a checklist, and how it waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.cli import checklist as command
from nowcast_cli.cli.app import main
from nowcast_cli.cli.checklist_values import equals, look_up

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "nowcast.yaml").write_text("checklist file: checklist.yaml\n")
    return lambda text: write_atomically(tmp_path / "checklist.yaml", text.encode())


def later(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let it happen once the command has looked in vain, and sleeps."""
    sleep, pending = time.sleep, [happens]

    def sleep_then(seconds: float) -> None:
        if pending:
            pending.pop()()
        sleep(seconds)

    monkeypatch.setattr(command.time, "sleep", sleep_then)


def test_keys_are_found_by_what_a_person_types() -> None:
    import yaml

    checklist = yaml.safe_load("NEMO run: {2026-11-22: {1: done}}\na/b: {c: 1}\n")
    assert look_up(checklist, "NEMO run/2026-11-22/1") == "done"
    assert look_up(checklist, "a/b/c") == 1
    for missing in ("a", "a/b/d", "a/b/c/d", "NEMO run/2026-11-23"):
        with pytest.raises(KeyError):
            look_up(checklist, missing)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (True, "true"), ("no", "no"), (False, "no"), ([1, 2], "[1, 2]"), ("a: b", "a: b")],
)
def test_a_value_is_met_by_its_text_or_as_yaml(value: object, text: str) -> None:
    assert equals(value, text)


def test_text_that_is_no_yaml_meets_nothing_else() -> None:
    assert not equals(3, "[")
    assert not equals("3", "4")


def test_dates_and_endless_numbers_become_json(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("day: 2026-11-22\n2026-11-23: .nan\nbytes: !!binary aGk=\nset: !!set {b, a}\n")
    assert main(["-C", str(tmp_path), "checklist", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checklist"] == {
        "day": "2026-11-22",
        "2026-11-23": "nan",
        "bytes": "b'hi'",
        "set": ["a", "b"],
    }


def test_a_wait_ends_when_the_value_comes(
    tmp_path: Path,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("tide: {height: 3}\n")
    later(monkeypatch, lambda: write("tide: {height: 4}\n"))
    assert main(["-C", str(tmp_path), "checklist", "wait", "tide/height=4", "--timeout", "20"]) == 0
    assert capsys.readouterr().out == "tide/height: 4\n"


def test_a_wait_may_begin_before_there_is_a_checklist(
    tmp_path: Path,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    later(monkeypatch, lambda: write("ready:\n"))
    assert main(["-C", str(tmp_path), "checklist", "wait", "ready", "--timeout", "20"]) == 0
    assert capsys.readouterr().out == "ready: null\n"


def test_a_key_may_hold_an_equals_sign(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a=b: 1\n")
    assert main(["-C", str(tmp_path), "checklist", "wait", "a=b", "--timeout", "0"]) == 0
    assert capsys.readouterr().out == "a=b: 1\n"


def test_a_damaged_checklist_is_named_with_the_remedy(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a: [\n")
    assert main(["-C", str(tmp_path), "checklist", "show"]) == 1
    assert "checklist.yaml" in (said := capsys.readouterr().err)
    assert "hint: " in said
