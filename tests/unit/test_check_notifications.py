"""Mistakes in ``notify`` and ``slack notifications``, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config.check import check

HEAD = """\
checklist file: var/nowcast_checklist.yaml
zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}
message registry:
  manager: {ack: a, checklist cleared: b, unregistered worker: c,
    unregistered message type: d, no after_worker function: e}
  workers:
    sleep: {checklist key: sleepyhead, success: slept}
"""


def texts(folder: Path, text: str) -> list[str]:
    file = folder / "nowcast.yaml"
    file.write_text(HEAD + text)
    return [problem.text.removeprefix(f"{file}:") for problem in check(file)]


def test_one_address_or_several_with_all_keys_have_no_problems(tmp_path: Path) -> None:
    text = """\
notify:
  night watch:
    to: $(NOWCAST.ENV.ALERT)
  operators:
    to: [mailto://a:b@example.org, json://localhost]
    events: [failure, crash, lost, overdue, stuck, daemon down]
    workers: [sleep]
    period: 2h
slack notifications:
  SLACK_HOOK: [sleep]
  website log url: https://example.org/log
"""
    assert texts(tmp_path, text) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("notify: [json://a]\n", "8:1: notify: must hold keys with values, not the list"),
        ("notify:\n  ops: {events: [stuck]}\n", "9:3: notify.ops.to: is missing"),
        ("notify:\n  ops:\n    to: nobody\n", "10:5: notify.ops.to: must be an address such as"),
        ("notify:\n  ops:\n    to:\n    - json://a\n    - b\n", "12:7: notify.ops.to[1]: must be"),
        ("notify:\n  ops:\n    to: []\n", "10:5: notify.ops.to: must not be empty"),
        (
            "notify:\n  ops:\n    to: json://a\n    periods: 1\n",
            "11:5: notify.ops.periods: is not a key of this section; did you mean 'period'?",
        ),
        ("notify:\n  ops:\n    to: json://a\n    period: 0\n", "11:5: notify.ops.period: must be"),
        (
            "notify:\n  ops:\n    to: json://a\n    period: soon\n",
            "11:5: notify.ops.period: must be a length of time such as '90 s', '15 min', '2h'",
        ),
        (
            "notify:\n  ops:\n    to: json://a\n    events:\n    - failures\n",
            "12:7: notify.ops.events[0]: must be 'failure', 'crash'",
        ),
        (
            "notify:\n  ops:\n    to: json://a\n    workers: [slep]\n",
            "11:15: notify.ops.workers[0]: the worker slep is not in the message registry, so "
            "nothing is ever told of it; did you mean 'sleep'?",
        ),
        (
            "slack notifications:\n  SLACK_HOOK:\n  - sleep\n  - dream\n",
            "11:5: slack notifications.SLACK_HOOK[1]: the worker dream is not",
        ),
    ],
)
def test_a_mistake_is_reported_at_its_line(tmp_path: Path, body: str, expected: str) -> None:
    (problem,) = texts(tmp_path, body)
    assert problem.startswith(expected)
