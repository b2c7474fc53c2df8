"""A worker process imports what it needs and no more: each job pays for it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nowcast_cli

HEAVY = {"typer", "pydantic", "requests", "arrow", "urllib.request", "sqlite3", "asyncio", "rich"}


def modules_after(statement):
    script = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize("heavy", [sorted(HEAVY | {"zmq"})])
def test_the_worker_machinery_is_light_and_loads_zeromq_only_to_send(heavy):
    loaded = modules_after(
        "from nowcast_cli import NowcastWorker, NextWorker, WorkerError, product, publish"
    )

    assert loaded.isdisjoint(heavy)
    checks = {f"nowcast_cli.config.{name}" for name in ("findings", "positions", "problem")}
    assert loaded.isdisjoint(checks), "what tells of mistakes is loaded where there is none"


def test_sending_loads_zeromq_and_nothing_else_that_is_heavy():
    loaded = modules_after("import nowcast_cli.messages.client")

    assert "zmq" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["messages.handshake", "security.doorkeeper", "broker.broker"])
def test_showing_keys_and_asking_for_them_loads_no_asyncio(module):
    assert modules_after(f"import nowcast_cli.{module}").isdisjoint(HEAVY)


def test_a_worker_of_a_system_without_keys_loads_nothing_of_keys():
    config = "{'zmq': {'host': 'localhost', 'ports': {'workers': 5555, 'manager': 5556}}}"
    loaded = modules_after(f"from nowcast_cli.messages.client import Client; Client.of({config})")

    assert not {name for name in loaded if name.startswith("nowcast_cli.security")}


def test_messages_and_the_outbox_are_read_without_zeromq():
    loaded = modules_after("from nowcast_cli.messages import Message, outbox")

    assert loaded.isdisjoint(HEAVY | {"zmq"})


def test_importing_the_package_imports_nothing_of_it():
    loaded = modules_after("import nowcast_cli")

    assert {name for name in loaded if name.startswith("nowcast_cli")} == {"nowcast_cli"}


@pytest.mark.parametrize("name", nowcast_cli.__all__)
def test_each_public_name_can_be_imported(name):
    assert getattr(nowcast_cli, name).__name__.rpartition(".")[2] == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Wrong'"):
        nowcast_cli.Wrong  # noqa: B018


def test_the_version_is_that_of_the_distribution():
    project = Path(nowcast_cli.__file__).parents[1] / "pyproject.toml"

    assert nowcast_cli.__version__ == tomllib.loads(project.read_text())["project"]["version"]
