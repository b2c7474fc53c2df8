"""``nowcast validate`` and ``nowcast config``, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers import wait_until
from nowcast_cli.config import Config
from nowcast_cli.config.code_check import check_code

CONFIG = """\
checklist file: var/nowcast_checklist.yaml
zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: cleared
    unregistered worker: unknown worker
    unregistered message type: unknown type
    no after_worker function: no function
  next workers module: next_workers
  workers:
    rain:
      checklist key: rain
      success: rained
    reset:
      module: workers.other
      clear checklist: please
"""
NEXT_WORKERS = """\
def after_rain(msg, config, checklist):
    return []
"""


@pytest.fixture
def system(tmp_path: Path) -> Path:
    (tmp_path / "nowcast.yaml").write_text(CONFIG)
    (tmp_path / "next_workers.py").write_text(NEXT_WORKERS)
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers/rain.py").write_text("raise SystemExit('not to be imported')")
    (tmp_path / "workers/other.py").write_text("")
    return tmp_path


def nowcast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = ("NOWCAST_YAML", "NOWCAST_ENV", "NOWCAST_LOGS")
    return subprocess.run(
        [sys.executable, "-m", "nowcast_cli.cli", *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key not in hidden},
        capture_output=True,
        text=True,
    )


def the_problem(folder: Path) -> str:
    done = nowcast(folder, "validate")
    assert done.returncode == 2
    assert done.stderr == "1 error\n"
    return done.stdout


def test_a_system_in_order_is_said_to_be(system: Path) -> None:
    done = nowcast(system, "validate", "--strict")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nowcast.yaml is in order\n"


def test_the_system_is_found_from_below_and_paths_are_those_of_the_typist(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG.replace("5556", "x"))
    done = nowcast(system.parent, "-C", str(system), "validate")
    assert done.stdout.startswith(f"{system.name}/nowcast.yaml:2:47: zmq.ports.manager: must be")


def test_a_worker_without_its_after_function_is_an_error(system: Path) -> None:
    (system / "next_workers.py").write_text(NEXT_WORKERS.replace("after_rain", "after_rian"))
    assert the_problem(system).startswith(
        "nowcast.yaml:12:5: message registry.workers.rain: next_workers has no function "
        "after_rain; did you mean 'after_rian'?\n  hint: write def after_rain(msg, config, "
    )


def test_an_after_function_that_takes_other_arguments_is_an_error(system: Path) -> None:
    (system / "next_workers.py").write_text("\n\ndef after_rain(msg, config):\n    return []\n")
    assert the_problem(system) == (
        "next_workers.py:3: after_rain: must be a function that takes (msg, config, checklist)\n"
    )


def test_a_worker_whose_module_is_not_found_is_an_error(system: Path) -> None:
    (system / "workers/rain.py").unlink()
    text = the_problem(system)
    assert "nowcast.yaml:12:5: message registry.workers.rain: this worker has no module" in text
    assert "no module rain.py is in workers, nowcast.workers or nowcast_cli.workers" in text


def test_a_module_that_the_registry_names_but_is_not_there_is_an_error(system: Path) -> None:
    (system / "workers/other.py").unlink()
    assert "message registry.workers.reset: there is no module workers.other" in the_problem(system)


def test_a_worker_that_is_not_python_is_an_error_at_its_line(system: Path) -> None:
    (system / "workers/rain.py").write_text("a = 1\nb = (\n")
    assert the_problem(system).startswith(
        "workers/rain.py:2: rain: the worker cannot be imported: SyntaxError: "
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("a = 1\nb = 1 / 0\n", "next_workers.py:2: next_workers: next_workers cannot be imported: "
         "ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "next_workers.py:1: next_workers: next_workers cannot be "
         "imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("a = 1\ndef after_rain(:\n", "next_workers.py:2: next_workers: next_workers cannot be "
         "imported: SyntaxError: invalid syntax"),
        ("import sys\nsys.exit()\n", "next_workers.py:2: next_workers: next_workers calls "
         "sys.exit when it is imported"),
        ("import os\nos._exit(0)\n", "nowcast.yaml:10:3: message registry.next workers module: "
         "next_workers ends the process that imports it (exit code 0)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "nowcast.yaml:10:3: message "
         "registry.next workers module: next_workers ends the process that imports it (killed "
         "by SIGSEGV)"),
    ],
)  # fmt: skip
def test_a_next_workers_that_cannot_be_imported_is_an_error(
    system: Path, code: str, words: str
) -> None:
    (system / "next_workers.py").write_text(code)
    assert the_problem(system).splitlines()[0] == words


def test_a_next_workers_that_is_not_there_is_an_error(system: Path) -> None:
    (system / "next_workers.py").unlink()
    text = the_problem(system)
    assert "message registry.next workers module: there is no module next_workers" in text


def test_what_next_workers_prints_does_not_mix_with_the_report(system: Path) -> None:
    (system / "next_workers.py").write_text("print('hello')\n" + NEXT_WORKERS)
    done = nowcast(system, "validate", "--format", "json")
    assert nowcast(system, "validate", "--json").stdout == done.stdout
    assert json.loads(done.stdout)["problems"] == []


def test_a_next_workers_that_hangs_is_ended_with_all_that_it_has_started(system: Path) -> None:
    (system / "next_workers.py").write_text(
        "import pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    config = Config()
    config.load(system / "nowcast.yaml")
    (problem,) = check_code(config, deadline=2)
    assert problem.message == "the import of next_workers has not come back after 2 s"
    child = Path("/proc", (system / "child").read_text())
    wait_until(lambda: not _runs(child), what="the end of what next_workers started")


def _runs(process: Path) -> bool:
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_interpreter_without_nowcast_is_an_error(system: Path) -> None:
    python = system / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    python.chmod(0o755)
    (system / "nowcast.yaml").write_text(CONFIG + "python: ./python\n")
    text = the_problem(system)
    assert "python: nowcast is not installed for the interpreter" in text


def test_an_interpreter_that_is_no_program_is_an_error(system: Path) -> None:
    (system / "python").write_text("not a program")
    (system / "python").chmod(0o755)
    (system / "nowcast.yaml").write_text(CONFIG + "python: ./python\n")
    assert "it cannot be started: Exec format error" in the_problem(system)


def test_the_file_is_told_of_even_when_the_code_cannot_be_looked_at(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG + "python: /no/such/python\n")
    assert "python: there is no interpreter /no/such/python" in the_problem(system)


def test_warnings_fail_only_a_strict_validation(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG + "mine: no\n")
    done = nowcast(system, "validate")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "nowcast.yaml:18:7: mine: no is read as false (warning)"
    assert nowcast(system, "validate", "--strict").returncode == 2


def test_json_has_each_problem_with_its_parts(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG.replace("5556", "5555") + "mine: no\n")
    done = nowcast(system, "validate", "--format", "json")
    assert (done.returncode, done.stderr) == (2, "")
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["schema"], document["errors"], document["warnings"]) == (1, 1, 1)
    assert document["problems"][0] == {
        "file": "nowcast.yaml",
        "line": 2,
        "column": 47,
        "path": "zmq.ports.manager",
        "message": "port 5555 is also the one of zmq ports workers",
        "severity": "error",
        "hint": "give each its own port",
    }


def test_github_gets_an_annotation_for_each_problem(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG.replace("5556", "5555"))
    done = nowcast(system, "validate", "--format", "github")
    assert done.stdout == (
        "::error file=nowcast.yaml,line=2,col=47::zmq.ports.manager: port 5555 is also the one "
        "of zmq ports workers%0Ahint: give each its own port\n"
    )


def test_config_show_prints_yaml_that_is_in_use(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG + "mine: {2014: 2014-09-12}\n")
    done = nowcast(system, "config", "show")
    assert f"# database:       {system}/var/nowcast.db" in done.stdout.splitlines()
    config = Config()
    config.load(system / "nowcast.yaml")
    assert yaml.safe_load(done.stdout) == dict(config)


def test_config_show_as_json_has_paths_and_values(system: Path) -> None:
    (system / "nowcast.yaml").write_text(CONFIG + "mine: {2014: [2014-09-12]}\n")
    document = json.loads(nowcast(system, "config", "show", "--json").stdout)
    assert document["schema"] == 1
    assert document["paths"]["checklist_file"] == f"{system}/var/nowcast_checklist.yaml"
    assert document["config"]["mine"] == {"2014": ["2014-09-12"]}
    assert document["config"]["python"] == sys.executable


def test_config_schema_describes_the_keys_of_the_file(tmp_path: Path) -> None:
    schema = json.loads(nowcast(tmp_path, "config", "schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) == {"zmq", "message registry"}
    assert schema["additionalProperties"] is True
    assert {"checklist file", "state directory", "worker packages"} <= set(schema["properties"])
    ports = schema["$defs"]["Ports"]["properties"]
    assert (ports["workers"]["minimum"], ports["workers"]["maximum"]) == (1, 65535)
    assert schema["$defs"]["MessageDelivery"]["additionalProperties"] is False


def test_a_worker_of_a_flow_needs_no_after_function(system: Path) -> None:
    text = CONFIG + "    snow:\n      module: workers.other\n      success: snowed\n"
    (system / "nowcast.yaml").write_text(text)
    assert "no function after_snow" in nowcast(system, "validate").stdout
    text += "flows:\n  winter:\n    steps:\n      snow: {worker: snow}\n"
    (system / "nowcast.yaml").write_text(text)
    done = nowcast(system, "validate")
    assert done.returncode == 0, done.stdout
