"""The sections ``logs`` and ``retention`` of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config.check import check
from nowcast_cli.config.log_settings import log_settings, retention
from nowcast_cli.config.settings import wants_aggregator
from nowcast_cli.errors import ConfigError

BASE = """\
zmq: {ports: {workers: 5555, manager: 5556}}
message registry: {workers: {}}
"""
DAY = 86400.0


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "nowcast.yaml"
    file.write_text(BASE + text)
    found = [problem for problem in check(file) if problem.path.startswith(("logs", "retention"))]
    return [problem.text.removeprefix(str(folder) + "/") for problem in found]


def test_the_aggregator_is_asked_for_by_either_section() -> None:
    assert wants_aggregator({"logs": None})
    assert wants_aggregator({"logging": {"aggregator": {}, "publisher": {}}})
    assert not wants_aggregator({"logging": {"handlers": {}}})
    assert not wants_aggregator({})


def test_globs_begin_at_the_deployment_unless_they_are_absolute() -> None:
    settings = log_settings(
        {"logs": {"follow": ["run/*/ocean.output", "/feeds/*.log"]}}, Path("/d")
    )
    assert settings.follow == ("/d/run/*/ocean.output", "/feeds/*.log")
    assert settings.watch == "auto"
    assert log_settings({"logs": None}, Path("/d")).follow == ()


def test_what_is_not_said_is_kept_for_the_default() -> None:
    kept = retention({"retention": {"jobs": "2w"}})
    assert (kept.jobs, kept.scratch, kept.logs) == (14 * DAY, 7 * DAY, 90 * DAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retention:\n  jobs: 30 moons\n", "nowcast.yaml:4:3: retention.jobs: must be a length"),
        ("retention:\n  logs: 90\n", "nowcast.yaml:4:3: retention.logs: must say its unit"),
        ("retention:\n  job: 3d\n", "nowcast.yaml:4:3: retention.job: is not a key of this"),
        ("logs:\n  watch: pol\n", "nowcast.yaml:4:3: logs.watch: must be 'auto', 'inotify'"),
        ("logs:\n  follow: a.log\n", "nowcast.yaml:4:3: logs.follow: must be a list"),
        ("logs:\n  follow: ['/']\n", "nowcast.yaml:4:12: logs.follow[0]: must name files"),
        ("logs: 3\n", "nowcast.yaml:3:1: logs: must hold keys with values"),
    ],
)
def test_mistakes_are_reported_with_their_place(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = problems(tmp_path, text)
    assert found.startswith(expected)


def test_both_sections_in_their_right_form_are_accepted(tmp_path: Path) -> None:
    text = "logs: {follow: [a/*.log], watch: poll}\nretention: {jobs: 30d, scratch: 12h}\n"
    assert problems(tmp_path, text) == []
    assert problems(tmp_path, "logs:\nretention:\n") == []


@pytest.mark.parametrize(
    "config", [{"logs": {"follow": [3]}}, {"logs": {"watch": "no"}}, {"logs": 3}]
)
def test_a_daemon_refuses_what_validate_would_report(config: dict) -> None:
    with pytest.raises(ConfigError):
        log_settings(config, Path("/d"))


@pytest.mark.parametrize("section", [{"jobs": "x"}, {"log": "3d"}, 3])
def test_clean_refuses_lengths_that_it_cannot_read(section: object) -> None:
    with pytest.raises(ConfigError):
        retention({"retention": section})
