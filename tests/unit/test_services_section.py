"""The section ``services``: what is read of it, and what is told of its mistakes."""

import pytest
import yaml

from nowcast_cli.config import SystemPaths
from nowcast_cli.config.check import check
from nowcast_cli.config.schema import json_schema
from nowcast_cli.config.services import ServiceSettings, service_findings, services_of
from nowcast_cli.supervisor.services import service_programs

WHOLE = """\
services:
  ingest:
    command: "python3 ingest.py --speed 'very fast'"
    autostart: false
    actions: ["?Ingest?latest", "?Ingest?all"]
    topics: ["jobs~"]
    environment: {SPEED: 3, PLACE: east}
    working directory: programs
    ready within: 2 min
  plain:
    command: [./plain, "a b"]
"""
BASE = """\
zmq: {ports: {workers: 5555, manager: 5556}}
message registry:
  manager: {}
  workers:
    first: {success: ok}
"""


def read(text):
    return services_of(yaml.safe_load(text))


def told(text):
    return [
        (".".join(map(str, found.path)), found.message)
        for found in service_findings(yaml.safe_load(BASE + text))
    ]


def test_every_key_is_read():
    services = read(WHOLE)
    assert list(services) == ["ingest", "plain"]
    assert services["ingest"] == ServiceSettings(
        "ingest",
        ("python3", "ingest.py", "--speed", "very fast"),
        autostart=False,
        actions=("?Ingest?latest", "?Ingest?all"),
        topics=("jobs~",),
        environment={"SPEED": "3", "PLACE": "east"},
        directory="programs",
        ready_within=120.0,
    )
    assert told(WHOLE) == []


def test_a_command_is_enough():
    assert read(WHOLE)["plain"] == ServiceSettings("plain", ("./plain", "a b"))
    assert read(WHOLE)["plain"].autostart
    assert read(WHOLE)["plain"].ready_within == 30.0


@pytest.mark.parametrize("text", ["", "services:\n", "services: {}\n"])
def test_a_system_need_not_have_any(text):
    assert read(BASE + text) == {}
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("services: [a]", "services", "must hold keys with values, such as"),
        ("services: {a: }", "services.a", "must hold keys with values, such as command:"),
        ("services: {a: x}", "services.a", "must hold keys with values, such as"),
        ("services: {a: {}}", "services.a.command", "is missing"),
        ("services: {a: {command: 3}}", "services.a.command", "must be a command line or a list"),
        ("services: {a: {command: []}}", "services.a.command", "must not be empty"),
        ("services: {a: {command: \"it's\"}}", "services.a.command", "cannot be split into words"),
        ("services: {a: {comand: x, command: x}}", "services.a.comand", "did you mean 'command'?"),
        ("services: {1: {command: x}}", "services.1", "is no name of a service"),
        ("services: {a b: {command: x}}", "services.a b", "is no name of a service"),
        ("services: {manager: {command: x}}", "services.manager", "a part of nowcast itself"),
        ("services: {action-workers: {command: x}}", "services.action-workers", "a part of"),
        ("services: {first: {command: x}}", "services.first", "is the name of a worker, too"),
        ("services: {a: {command: x, autostart: 1}}", "services.a.autostart", "true or false"),
        ("services: {a: {command: x, actions: x}}", "services.a.actions", "must be a list of"),
        ("services: {a: {command: x, environment: {B C: 1}}}", "services.a.environment.B C",
         "is no name of a variable"),
        ("services: {a: {command: x, environment: {NOWCAST_YAML: 1}}}",
         "services.a.environment.NOWCAST_YAML", "is set by nowcast itself"),
        ("services: {a: {command: x, environment: {B: [1]}}}", "services.a.environment.B",
         "must be text or a number"),
        ("services: {a: {command: x, ready within: soon}}", "services.a.ready within",
         "must be a length of time"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text, path, words):
    (found,) = told(text)
    assert found[0] == path
    assert words in found[1]
    assert read(BASE + text) == {}


def test_a_service_with_a_mistake_keeps_no_other_from_running():
    text = "services: {bad: {}, good: {command: x}}"
    assert list(read(text)) == ["good"]


def test_a_mistake_has_its_line_and_column(tmp_path):
    file = tmp_path / "nowcast.yaml"
    file.write_text(BASE + "services:\n  ingest:\n    comand: x\n    command: y\n")
    (problem,) = [found for found in check(file) if found.path.startswith("services")]
    assert (problem.line, problem.column) == (8, 5)
    assert problem.stops_the_system


def test_an_editor_is_told_the_keys():
    keys = json_schema()["$defs"]["ServiceEntry"]["properties"]
    assert set(keys) == {
        "command", "autostart", "actions", "topics", "environment", "working directory",
        "ready within",
    }  # fmt: skip


def test_what_is_run_is_the_python_of_the_workers_or_a_path_that_holds_anywhere(tmp_path):
    commands = {"a": "python3 x.py", "b": "./run --x", "c": "sh x", "d": ["/bin/y"]}
    config = {
        "python": "/env/bin/python",
        "services": {
            name: {"command": command, "working directory": "there"}
            for name, command in commands.items()
        },
    }
    paths = SystemPaths(*([tmp_path] * 10))
    programs = {each.name: each for each in service_programs(config, paths)}
    assert {name: each.words for name, each in programs.items()} == {
        "a": ("/env/bin/python", "x.py"),
        "b": (f"{tmp_path}/there/run", "--x"),
        "c": ("sh", "x"),
        "d": ("/bin/y",),
    }
    assert programs["a"].folder == tmp_path / "there"
    assert programs["a"].environment == {
        "NOWCAST_SERVICE": "a",
        "NOWCAST_ACTIONS": f"ipc://{tmp_path}/actions.sock",
    }
