"""All mistakes of a configuration at once, each with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config import Problem
from nowcast_cli.config.check import check, load_checked, refuse_errors
from nowcast_cli.errors import ConfigError

GOOD = """\
checklist file: var/nowcast_checklist.yaml
zmq:
  host: localhost
  ports:
    workers: 5555
    manager: 5556
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: cleared
    unregistered worker: unknown worker
    unregistered message type: unknown type
    no after_worker function: no function
  next workers module: next_workers
  workers:
    sleep:
      checklist key: sleepyhead
      success: slept
"""


def problems(folder: Path, text: str | bytes) -> list[Problem]:
    file = folder / "nowcast.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check(file)


def texts(folder: Path, text: str | bytes) -> list[str]:
    """Give the problems as they are printed, without the folder."""
    return [problem.text.removeprefix(f"{folder}/") for problem in problems(folder, text)]


def the_only(folder: Path, text: str | bytes) -> Problem:
    (problem,) = problems(folder, text)
    return problem


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_configuration_has_no_problems(tmp_path: Path) -> None:
    assert texts(tmp_path, GOOD) == []


def test_a_problem_is_written_with_file_line_column_and_path(tmp_path: Path) -> None:
    problem = the_only(tmp_path, replaced("workers: 5555", "workers: 99999"))
    assert problem == Problem(
        tmp_path / "nowcast.yaml",
        5,
        5,
        "zmq.ports.workers",
        "must be a port from 1 to 65535, not 99999",
        "error",
        None,
    )
    assert problem.text == (
        f"{tmp_path}/nowcast.yaml:5:5: zmq.ports.workers: must be a port from 1 to 65535, not 99999"
    )


def test_all_problems_are_reported_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = """\
checklist_file: 5
zmq:
  ports: {manager: x}
message registry:
  workers:
    sleep: {success: 3}
messages: {deadine: 5}
"""
    assert texts(tmp_path, text) == [
        "nowcast.yaml:1:1: checklist_file: is not a key that nowcast knows; "
        "did you mean 'checklist file'?",
        "nowcast.yaml:3:3: zmq.ports.workers: is missing",
        "nowcast.yaml:3:11: zmq.ports.manager: must be a port from 1 to 65535, not 'x'",
        "nowcast.yaml:4:1: message registry.manager: has no words for the replies ack, checklist "
        "cleared, unregistered worker, unregistered message type, no after_worker function; "
        "default words are shown for them",
        "nowcast.yaml:6:13: message registry.workers.sleep.success: must be text, not 3",
        "nowcast.yaml:7:12: messages.deadine: is not a key of this section; "
        "did you mean 'deadline'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("zmq:\n  host: localhost\n  ports:", "zmq:\n  ports:", "", ""),
        ("workers: 5555", "workers: '5555'", "", ""),
        ("host: localhost", "host: 5", "zmq.host", "must be text, not 5"),
        ("host: localhost", "host: ''", "zmq.host", "must not be empty"),
        ("manager: 5556", "manager: true", "zmq.ports.manager", "must be a port"),
        ("manager: 5556", "manager: 5555", "zmq.ports.manager", "port 5555 is also the one of"),
        ("manager: 5556", "manager: 5556\n    events: 5556", "zmq.ports.events",
         "port 5556 is also the one of"),
        ("manager: 5556", "manager: 5556\n    events: x", "zmq.ports.events", "must be a port"),
        ("module: next_workers", "module: next-workers", "message registry.next workers module",
         "must be the dotted name of a Python module, not 'next-workers'"),
        ("success: slept", "5: slept", "message registry.workers.sleep.5", "the key is read as 5"),
        ("key: sleepyhead", "key: [a]", "message registry.workers.sleep.checklist key",
         "must be text or a number"),
        ("      checklist key: sleepyhead\n      success: slept", "", "message registry.workers."
         "sleep", "must hold keys with values, not nothing"),
        ("file: var/nowcast_checklist.yaml", "file: $(NOWCAST.ENV.NO_SUCH_VARIABLE)/c.yaml",
         "checklist file", "the environment variable NO_SUCH_VARIABLE is not set"),
        ("file: var/nowcast_checklist.yaml", "file: 2026-01-02", "checklist file",
         "must be text, not the date 2026-01-02"),
        ("zmq:", "python: /no/such/python\nzmq:", "python", "there is no interpreter /no/such/"),
        ("zmq:", "python: no-such-python\nzmq:", "python", "there is no interpreter 'no-such-"),
        ("zmq:", "worker packages: workers\nzmq:", "worker packages", "must be a list, not 'work"),
        ("zmq:", "worker packages: [1]\nzmq:", "worker packages[0]", "must be text, not 1"),
        ("zmq:", "messages: {repeat: no}\nzmq:", "messages.repeat", "must be 'always' or 'never'"),
        ("zmq:", "agents: {lease: 60s, report: 5s}\nzmq:", "agents.report",
         "is not a key of this section"),
        ("zmq:", "agents: 60s\nzmq:", "agents", "must hold keys with values, such as {lease"),
        ("zmq:", "next workers: {deadline: 0}\nzmq:", "next workers.deadline", "must be above 0"),
        ("zmq:", "next workers: {deadline: x}\nzmq:", "next workers.deadline",
         "must be a number, not 'x'"),
        ("zmq:", "scheduled workers: [w.sleep: {every: day, at: 12:30}]\nzmq:",
         "scheduled workers[0].w.sleep.at", "is read as the number 750: quote it, '12:30'"),
        ("zmq:", "scheduled workers: [w.sleep: {within: 1h}]\nzmq:",
         "scheduled workers[0].w.sleep", "says no time"),
        ("zmq:", "slack notifications: {SLACK_URL: [1]}\nzmq:", "slack notifications.SLACK_URL",
         "must be a list of workers"),
        ("zmq:", "run: {enabled hosts: {east: {python: 3.11}}}\nzmq:",
         "run.enabled hosts.east.python", "must be text, not 3.11"),
        ("zmq:", "logging: {handlers: {a: {class: x, formatter: b}}}\nzmq:",
         "logging.handlers.a.formatter", "there is no formatter 'b'"),
        ("zmq:", "logging: {handlers: {a: {level: INFO}}}\nzmq:",
         "logging.handlers.a.class", "is missing"),
        ("zmq:", "logging: {handlers: {a: {class: logging.FileHandlr}}}\nzmq:",
         "logging.handlers.a.class", "there is no handler logging.FileHandlr; did you mean "
         "'logging.FileHandler'?"),
        ("zmq:", "logging: {handlers: {a: {class: logging.StreamHandler, steam: x}}}\nzmq:",
         "logging.handlers.a.steam", "is not an argument of logging.StreamHandler; did you mean "
         "'stream'?"),
        ("zmq:", "logging: {handlers: {a: {class: logging.handlers.WatchedFileHandler}}}\nzmq:",
         "logging.handlers.a.filename", "is missing: logging.handlers.WatchedFileHandler needs"),
        ("zmq:", "logging: {root: {level: INFOS, handlers: []}}\nzmq:",
         "logging.root.level", "'INFOS' is not a level; did you mean 'INFO'?"),
        ("zmq:", "logging: {publisher: {root: {handlers: [x]}}}\nzmq:",
         "logging.publisher.root.handlers", "there is no handler 'x'"),
        ("zmq:", "logging: {handlers: {a: {class: x, filename: $(NOWCAST.ENV.NO_SUCH)}}}\nzmq:",
         "logging.handlers.a.filename", "the environment variable NO_SUCH is not set"),
        ("    manager: 5556", "    manager: 5556\n    logging: {a: [5600, 'x:y']}",
         "zmq.ports.logging.a", "must be a port, 'host:port', or a list of those"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_at_its_path(
    tmp_path: Path, old: str, new: str, path: str, words: str
) -> None:
    found = [p for p in problems(tmp_path, replaced(old, new)) if p.severity == "error"]
    if not path:
        assert found == []
    else:
        assert [problem.path for problem in found] == [path]
        assert found[0].message.startswith(words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  host:", "  hots:", "zmq.hots: is not a key that nowcast knows; did you mean 'host'?"),
        ("zmq:", "pyhton: python3\nzmq:", "pyhton: is not a key that nowcast knows; did you"),
        ("checklist key:", "checklist_key:", "did you mean 'checklist key'?"),
        ("host: localhost", "host: localhost\n  host: 127.0.0.1", "stands twice (first on line 3)"),
        ("zmq:", "mine: {a: 12:30:45}\nzmq:", "mine.a: 12:30:45 is read as 45045"),
        ("zmq:", "scheduled workers: [w.slep: {every: day}]\nzmq:",
         "the worker slep is not in the message registry; did you mean 'sleep'?"),
        ("      success: slept\n", "", "registers no message types"),
        ("manager: 5556", "manager: 5556\n    logging: {a: 5555}", "port 5555 is also the one of"),
        ("var/nowcast", "$HOME/var/nowcast", "holds a $ that is not replaced"),
    ],
)  # fmt: skip
def test_what_may_be_meant_is_a_warning(tmp_path: Path, old: str, new: str, words: str) -> None:
    problem = the_only(tmp_path, replaced(old, new))
    assert problem.severity == "warning"
    assert words in problem.text


def test_sections_of_the_users_own_are_let_be(tmp_path: Path) -> None:
    own = "archive: {1: a}\nrun types: {x: y}\n2026: z\nsmtp: [1]\n"
    assert texts(tmp_path, GOOD + own) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "nowcast.yaml:1:1: must hold keys with values (checklist file: …); it holds "
         "nothing"),
        ("- a", "nowcast.yaml:1:1: must hold keys with values (checklist file: …); it holds "
         "a list"),
        ("a: [", "nowcast.yaml:2:1: this is not YAML: did not find expected node content "
         "(parsing a flow node)"),
        (b"a: \xff", "nowcast.yaml:1:4: this is not text in UTF-8 (invalid leading UTF-8 octet)"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_problem(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    assert texts(tmp_path, text) == [expected]


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    (problem,) = check(tmp_path / "nowcast.yaml")
    assert problem.text == f"{tmp_path}/nowcast.yaml: there is no such configuration file"


def test_an_empty_file_of_keys_is_told_what_is_needed(tmp_path: Path) -> None:
    found = problems(tmp_path, "mine: 1")
    assert [problem.path for problem in found] == ["message registry", "zmq"]
    assert all(problem.message == "is missing" and problem.hint for problem in found)


def test_load_checked_refuses_errors_with_a_line_for_each(tmp_path: Path) -> None:
    bad = replaced("workers: 5555", "workers: x").replace("host: localhost", "host: 5")
    (tmp_path / "nowcast.yaml").write_text(bad)
    with pytest.raises(ConfigError) as caught:
        load_checked(tmp_path / "nowcast.yaml")
    lines = caught.value.what.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        f"{tmp_path}/nowcast.yaml:3:3",
        f"{tmp_path}/nowcast.yaml:5:5",
    ]


def test_load_checked_lets_warnings_pass(tmp_path: Path) -> None:
    (tmp_path / "nowcast.yaml").write_text(GOOD + "mine: no\n")
    assert load_checked(tmp_path / "nowcast.yaml")["mine"] is False


def test_no_errors_are_not_refused(tmp_path: Path) -> None:
    refuse_errors(problems(tmp_path, GOOD + "mine: no\n"))
