"""Outputs of dead runners are put in place without the manager waiting for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.manager import rolling_forward
from nowcast_cli.manager.rolling_forward import RollingForward
from nowcast_cli.publish_intent import INTENT


def test_a_job_without_an_intent_is_done_at_once(tmp_path: Path) -> None:
    assert RollingForward().done("a", tmp_path)


def test_nobody_waits_for_what_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, calls = threading.Event(), []

    def slow(folder: str) -> bool:
        calls.append(folder)
        return may_end.wait(30)

    monkeypatch.setattr(rolling_forward, "roll_forward", slow)
    (tmp_path / INTENT).touch()
    rolling = RollingForward()
    assert not rolling.done("a", tmp_path)
    assert not rolling.done("a", tmp_path), "it goes on"
    may_end.set()
    wait_until(lambda: rolling.done("a", tmp_path), what="the end")
    assert calls == [str(tmp_path)], "one thread at a time"


def test_what_is_not_possible_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [OSError(28, "No space left on device"), OSError(28, "No space left on device")]

    def full(folder: str) -> bool:
        if troubles:
            raise troubles.pop()
        (Path(folder) / INTENT).unlink()
        return True

    monkeypatch.setattr(rolling_forward, "roll_forward", full)
    (tmp_path / INTENT).touch()
    rolling = RollingForward()
    wait_until(lambda: rolling.done("a", tmp_path), what="room")
    said = [record for record in caplog.records if "cannot be put in place" in record.message]
    assert len(said) == 1


def test_no_descriptors_left_is_nothing_that_is_said_of_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(folder: str) -> bool:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(rolling_forward, "roll_forward", starved)
    (tmp_path / INTENT).touch()
    rolling = RollingForward()

    def told() -> bool:
        try:
            return rolling.done("a", tmp_path)
        except OSError:
            return True

    wait_until(told, what="it to be told")
