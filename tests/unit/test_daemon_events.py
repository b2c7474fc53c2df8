"""Daemons that begin and end, as the kernel tells of them."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.manager import daemon_watch
from nowcast_cli.manager.daemon_watch import BETWEEN_LOOKS, DaemonWatch
from nowcast_cli.messages.event import Event
from nowcast_cli.process_identity import identity_of, to_json


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def write_pid(run: Path, name: str, process: subprocess.Popen[bytes]) -> dict[str, object]:
    identity = identity_of(process.pid)
    assert identity is not None
    write_atomically(run / f"{name}.pid", json.dumps(to_json(identity)).encode())
    return to_json(identity)


def wakes(watch: DaemonWatch) -> bool:
    return bool(select.select([watch.fileno()], [], [], 30)[0])


def topics(watch: DaemonWatch) -> list[str]:
    return [event.topic for event in watch.happened()]


def test_a_daemon_is_told_of_once_when_it_begins_and_when_it_ends(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with closing(DaemonWatch(tmp_path, [])) as watch:
        assert topics(watch) == []
        assert watch.due_in() is None
        write_pid(tmp_path, "scheduler", process)
        assert wakes(watch)
        assert topics(watch) == ["daemons~scheduler~started"]
        write_pid(tmp_path, "scheduler", process)
        assert wakes(watch)
        assert topics(watch) == []
        process.kill()
        assert wakes(watch)
        assert topics(watch) == ["daemons~scheduler~ended"]
        assert topics(watch) == []


def test_what_an_earlier_manager_has_told_is_not_told_again_and_an_end_is_made_up_for(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    identity = write_pid(tmp_path, "scheduler", process)
    gone = {**identity, "started": 1}
    told = [
        Event("daemons", number, "", f"daemons~{name}~started", {"daemon": name, **who})
        for number, (name, who) in enumerate([("scheduler", identity), ("manager", gone)], 1)
    ]
    with closing(DaemonWatch(tmp_path, told)) as watch:
        assert topics(watch) == ["daemons~manager~ended"]


def test_without_inotify_it_is_looked_now_and_then(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_watch, "_inotify_of", lambda _: None)
    now = 100.0
    with closing(DaemonWatch(tmp_path, [], lambda: now)) as watch:
        assert topics(watch) == []
        write_pid(tmp_path, "scheduler", process)
        assert topics(watch) == []
        assert watch.due_in() == BETWEEN_LOOKS
        now += BETWEEN_LOOKS
        assert topics(watch) == ["daemons~scheduler~started"]


def test_a_pid_file_of_a_process_that_is_gone_is_no_daemon(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    write_pid(tmp_path, "scheduler", process)
    process.kill()
    process.wait()
    (tmp_path / "odd.pid").write_text("4711")
    with closing(DaemonWatch(tmp_path, [])) as watch:
        assert topics(watch) == []
        assert watch.due_in() is None
