"""What the doctor finds on the hosts that workers run on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.doctor.hosts import findings
from nowcast_cli.executors.remote_probe import probe

EAST = RemoteHost("east", None, "/env/bin/python", "/there/nowcast.yaml", "~/.cache/nowcast", ())
WELL: dict[str, Any] = {
    "python": "3.12.1",
    "node": "node7",
    "time": 1000.0,
    "root": "/home/me/.cache/nowcast",
    "writable": None,
    "free": 50 << 30,
    "config_file": None,
    "rsync": True,
    "reach": {"gw:5555": None},
}


def found(answer: dict[str, Any] | str, host: RemoteHost = EAST) -> list[tuple[str, str]]:
    given = list(findings(host, answer, 999.0, 1001.0))
    assert all(each.remedy for each in given if each.level != "note")
    return [(each.level, each.what) for each in given if each.level != "note"]


def test_a_host_that_is_well_is_named() -> None:
    assert found(WELL) == []
    [note] = findings(EAST, WELL, 999.0, 1001.0)
    assert note.what == "host east is node7, with Python 3.12.1"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"time": 1090.0}, "warning", "the clock of host east is 89 s fast"),
        ({"time": 900.0}, "warning", "the clock of host east is 99 s slow"),
        ({"free": 50 << 20}, "error", "50 MB are free on the disk of /home/me/.cache/nowcast"),
        ({"free": 500 << 20}, "warning", "500 MB are free"),
        ({"writable": "Read-only file system"}, "error", "cannot be written: Read-only"),
        ({"config_file": "No such file or directory"}, "error", "/there/nowcast.yaml on host east"),
        ({"reach": {"gw:5555": "Connection refused"}}, "warning", "do not reach gw:5555: Connect"),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(
    change: dict[str, Any], level: str, words: str
) -> None:
    [(given, what)] = found(WELL | change)
    assert given == level
    assert words in what


def test_rsync_is_asked_for_where_files_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = replace(EAST, shared_storage=False)
    assert found(WELL | {"rsync": False}) == []
    assert found(WELL, apart) == []
    [(level, what)] = found(WELL | {"rsync": False}, apart)
    assert (level, what.partition(":")[0]) == ("error", "host east has no rsync")
    monkeypatch.setenv("PATH", "/nowhere")
    [(level, what)] = found(WELL, apart)
    assert (level, what.partition(":")[0]) == ("error", "this machine has no rsync")


@pytest.mark.parametrize("time", [997.5, 1002.5])
def test_a_clock_is_not_doubted_for_the_time_that_the_question_takes(time: float) -> None:
    assert found(WELL | {"time": time}) == []


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("host east cannot be reached by ssh: Connection timed out", "ssh east true"),
        ("host east has not answered for 60 seconds", "ssh east true"),
        ("host east has no file /x (envvars) that can be read", "envvars"),
        ("/env/bin/python cannot be run on host east: not found", "python"),
        ("ssh cannot be run: [Errno 2] No such file or directory: 'ssh'", "install ssh"),
        ("host east does not carry out what it is asked: nowcast needs Python 3.9 or newer",
         "enabled hosts: east: python"),
        ("host east does not carry out what it is asked: PermissionError: [Errno 13] …",
         "state directory"),
        ("the answer of host east was cut off", "/env/bin/python --version"),
    ],
)  # fmt: skip
def test_a_host_that_does_not_answer_has_a_remedy_for_each_reason(why: str, remedy: str) -> None:
    [given] = findings(EAST, why, 0.0, 0.0)
    assert (given.level, given.what) == ("error", why)
    assert remedy in str(given.remedy)


def test_what_is_to_be_typed_has_the_options_of_the_configuration() -> None:
    there = replace(EAST, ssh_options=(("Port", "2222"), ("IdentityFile", "~/.ssh/my tides")))
    [given] = findings(there, "host east cannot be reached by ssh: no route", 0.0, 0.0)
    assert str(given.remedy).startswith(
        "ssh -o Port=2222 -o 'IdentityFile=~/.ssh/my tides' east true, as this user"
    )


def test_the_probe_tells_what_a_host_is_like(tmp_path) -> None:
    order = {
        "root": str(tmp_path / "new" / "state"),
        "config_file": str(tmp_path / "nowcast.yaml"),
        "reach": [["127.0.0.1", 1]],
    }
    told = probe(order)
    assert told.keys() >= WELL.keys()
    assert (told["writable"], told["config_file"]) == (None, "No such file or directory")
    assert told["free"] > 0
    assert told["reach"]["127.0.0.1:1"] is not None
    assert not list((tmp_path / "new/state").iterdir())
    assert probe(order | {"root": "/proc/no"})["writable"] is not None
