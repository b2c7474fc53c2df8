"""``SENTRY_DSN``, as deployments set it: workers and daemons report their errors."""

import importlib.util

import pytest

from helpers import wait_until
from peer import Peer, Toy

STAND_IN = """
import os
from pathlib import Path

def init():
    {init}
    with Path({calls!r}).open("a") as calls:
        calls.write(os.environ["SENTRY_DSN"] + "\\n")
"""
DSN = "https://key@sentry.example.org/1"


@pytest.fixture
def sentry(tmp_path):
    """Write a stand-in of sentry_sdk, and give the environment that has it, and its calls."""

    def write(init="pass"):
        calls = tmp_path / "calls"
        folder = tmp_path / "site"
        folder.mkdir()
        (folder / "sentry_sdk.py").write_text(STAND_IN.format(init=init, calls=str(calls)))
        return {"SENTRY_DSN": DSN, "PYTHONPATH": str(folder)}, calls

    return write


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    return Toy(folder)


def test_a_worker_reports_to_sentry_once_where_it_is_told_to(toy, sentry):
    environment, calls = sentry()
    with Peer(toy.port):
        assert toy.run("return 1", environment=environment).returncode == 0
    assert calls.read_text() == f"{DSN}\n"


def test_without_the_variable_or_with_debug_nothing_is_imported(toy, sentry):
    environment, calls = sentry()
    with Peer(toy.port):
        no_dsn = environment | {"SENTRY_DSN": ""}
        assert toy.run("return 1", environment=no_dsn).returncode == 0
    assert toy.run("return 1", "--debug", environment=environment).returncode == 0
    assert not calls.exists()


def test_a_sentry_that_cannot_be_used_is_a_line_in_the_log_and_no_more(toy, sentry):
    environment, _ = sentry("raise ValueError('bad DSN')")
    with Peer(toy.port):
        assert toy.run("return 1", environment=environment).returncode == 0
    assert "WARNING toy SENTRY_DSN is set, but errors cannot be reported" in toy.log()


@pytest.mark.skipif(
    importlib.util.find_spec("sentry_sdk") is not None, reason="sentry_sdk is installed"
)
def test_a_package_that_is_missing_is_named(toy):
    with Peer(toy.port):
        assert toy.run("return 1", environment={"SENTRY_DSN": DSN}).returncode == 0
    assert "sentry_sdk is not installed: pip install nowcast-cli[sentry]" in toy.log()


def test_the_manager_reports_too(make_system, sentry, monkeypatch):
    environment, calls = sentry()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    make_system().start()
    wait_until(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 2)
