"""Waiting for a job, with a manager that is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.cli import watching
from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.watching import Watch
from nowcast_cli.config import Config, system_paths
from nowcast_cli.errors import NotRunning
from nowcast_cli.logs.records import Record


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    (tmp_path / "nowcast.yaml").write_text("state directory: var\n")
    config = Config()
    config.load(tmp_path / "nowcast.yaml")
    return Watch(System(config, system_paths(config)), Output())


def test_a_manager_that_stays_away_ends_the_wait_with_exit_code_3(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_PATIENCE", 0.2)
    monkeypatch.setattr(watching, "_BETWEEN_QUESTIONS", 0.05)
    with pytest.raises(NotRunning, match="no longer answers") as raised:
        watch.until(lambda: None)
    assert raised.value.exit_code == 3
    assert "nowcast start" in str(raised.value.hint)


def test_what_a_job_prints_is_shown_once_although_the_logs_hold_it_too(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, log = Path("job"), Path("nowcast.log")
    watch._worker, watch._stdout, watch._stderr = "step", folder / "stdout", folder / "stderr"

    def of(file: Path, *lines: str) -> list[Record]:
        return [
            Record("2026-11-22 03:04:05,678", None, name or file.stem, text, file, bool(name))
            for text in lines
            for name in ["step" if text.startswith("2026") else ""]
        ]

    logged = [f"2026-11-22 03:04:05,678 INFO [step] {word}" for word in ("a", "b", "own", "a")]
    watch._print([*of(log, logged[0]), *of(folder / "stdout", "a"), *of(folder / "stderr", "b")])
    watch._print(of(log, *logged[1:]))
    printed = capsys.readouterr()
    assert printed.out == "a\n"
    # A line of its own that reads like one that was printed before is another line.
    assert printed.err.splitlines() == ["b", logged[2], logged[3]]


def test_a_wait_with_an_end_gives_none_when_it_is_over(watch: Watch) -> None:
    assert watch.within(0.05, lambda: None) is None
    assert watch.within(5, lambda: False) is False
