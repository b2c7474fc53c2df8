"""``start stop restart reload status`` as commands, on a system with its real daemons."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from helpers import wait_until
from nowcast_cli.cli.app import main
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.process_identity import from_json, is_alive
from ports import free_ports

CONFIG = """\
state directory: var
checklist file: var/nowcast_checklist.yaml
zmq:
  host: localhost
  ports:
    workers: {workers}
    manager: {manager}
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: checklist cleared
    unregistered worker: worker is not registered
    unregistered message type: message type is not registered
    no after_worker function: no after function
  next workers module: next_workers
  workers:
    sleep:
      success: slept
      failure: slept badly
      crash: crashed
"""


class Nowcast:
    """A deployment, and the command ``nowcast`` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        workers, manager = free_ports(2)
        self.write(workers, manager)
        (folder / "next_workers.py").write_text("def after_sleep(msg, config, checklist): pass\n")
        self.workers, self.manager = workers, manager

    def write(self, workers: int, manager: int) -> None:
        (self.folder / "nowcast.yaml").write_text(CONFIG.format(workers=workers, manager=manager))

    @property
    def paths(self) -> SystemPaths:
        config = Config()
        config.load(self.folder / "nowcast.yaml")
        return system_paths(config)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "nowcast_cli.cli", "-C", str(self.folder), *arguments]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=90, check=False
        )

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self("status", "--json").stdout)
        return document

    def pid(self, daemon: str) -> int:
        identity = from_json(json.loads((self.paths.run / f"{daemon}.pid").read_bytes()))
        return identity.pid if is_alive(identity) else 0


@pytest.fixture
def nowcast(tmp_path: Path) -> Iterator[Nowcast]:
    system = Nowcast(tmp_path / "toy")
    yield system
    system("stop")
    shutil.rmtree(system.paths.run, ignore_errors=True)  # it may lie outside the test's folder


def test_before_the_first_start_status_works_and_is_exit_3(nowcast: Nowcast) -> None:
    done = nowcast("status")
    assert done.returncode == 3
    assert "○  manager         stopped" in done.stdout
    assert "never been started" in done.stdout
    assert "nowcast start" in done.stdout
    assert not (nowcast.folder / "var").exists()


def test_a_system_starts_tells_its_state_and_stops(nowcast: Nowcast) -> None:
    started = nowcast("start")
    assert (started.returncode, started.stdout) == (0, "started message_broker, manager\n")
    status = nowcast.status()
    assert next(iter(status)) == "schema"
    assert status["system"]["state"] == "well"
    assert [(d["name"], d["state"]) for d in status["daemons"]] == [
        ("message_broker", "ready"),
        ("manager", "ready"),
    ]
    assert {"pid", "since", "restarts"} <= set(status["daemons"][0])
    assert nowcast("status").returncode == 0
    assert nowcast("start").stdout == "the system already runs\n"
    stopped = nowcast("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "stopped manager, message_broker\n")
    assert nowcast("stop").stdout == "the system did not run\n"
    assert nowcast("stop").returncode == 0
    down = nowcast("status")
    assert down.returncode == 3
    assert "jobs      0 running" in down.stdout


def test_another_user_is_told_whom_to_ask_and_not_that_nothing_runs(
    nowcast: Nowcast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nowcast("start").returncode == 0
    run, access = nowcast.paths.run, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != run and access(path, mode))
    owner = getpass.getuser()

    def told(*arguments: str) -> tuple[int, str, str]:
        code = main(["-C", str(nowcast.folder), *arguments])
        return (code, *capsys.readouterr())

    code, out, _ = told("status")
    assert code == 1
    assert "○  manager         unknown\n" in out
    assert f"only {owner} sees whether the daemons run; run nowcast as {owner}" in out
    assert "nowcast start" not in out
    assert "jobs      0 running" in out
    for command in (["run-worker", "sleep"], ["checklist", "clear", "--yes"]):
        code, _, err = told(*command)
        assert code == 1
        assert err.endswith(f"hint: run nowcast as {owner}\n")


def test_a_daemon_down_is_degraded(nowcast: Nowcast) -> None:
    nowcast("start")
    assert nowcast("stop", "manager").stdout == "stopped manager\n"
    done = nowcast("status")
    assert done.returncode == 5
    assert "○  manager" in done.stdout
    assert nowcast("start").stdout == "started manager\n"
    assert nowcast("stop", "mangler").returncode == 4


def test_a_stopped_process_is_seen_as_not_answering(nowcast: Nowcast) -> None:
    nowcast("start")
    os.kill(nowcast.pid("message_broker"), signal.SIGSTOP)
    try:
        # In its first seconds it could as well be starting.
        wait_until(lambda: "✗  message_broker  not answering" in nowcast("status").stdout)
        assert nowcast("status").returncode == 5
    finally:
        os.kill(nowcast.pid("message_broker"), signal.SIGCONT)
    wait_until(lambda: nowcast("status").returncode == 0, what="the broker to answer again")


def test_restart_gives_new_processes(nowcast: Nowcast) -> None:
    nowcast("start")
    broker, manager = nowcast.pid("message_broker"), nowcast.pid("manager")
    assert nowcast("restart", "manager").stdout == "restarted manager\n"
    assert nowcast.pid("message_broker") == broker
    assert nowcast.pid("manager") not in (0, manager)
    assert nowcast("restart").stdout == "restarted message_broker, manager\n"
    assert nowcast.pid("message_broker") not in (0, broker)
    assert nowcast("status").returncode == 0


def test_a_port_in_use_fails_the_start_with_the_lines_that_say_so(nowcast: Nowcast) -> None:
    with socket.create_server(("127.0.0.1", nowcast.workers)):
        done = nowcast("start")
    assert done.returncode == 1
    assert str(nowcast.workers) in done.stderr
    assert "error: the message broker did not start" in done.stderr
    assert "hint: " in done.stderr
    assert nowcast("status").returncode == 3


def test_a_bad_configuration_is_refused_before_anything_starts(nowcast: Nowcast) -> None:
    nowcast.write(1234567, nowcast.manager)
    for command in ("start", "restart", "reload"):
        done = nowcast(command)
        assert done.returncode == 2
        assert "nowcast.yaml:6:5:" in done.stderr
        assert "zmq.ports.workers" in done.stderr
    assert not (nowcast.folder / "var" / "run").exists()


def test_a_start_tells_of_flows_that_cannot_be_run(nowcast: Nowcast) -> None:
    (nowcast.folder / "flows.ini").write_text("[night]\n?A?begin\n??dne\n")
    for command in ("start", "restart"):
        done = nowcast(command)
        assert done.returncode == 0, done.stderr
        assert "warning: " in done.stderr
        assert "flows.ini:3: [night]: does not end" in done.stderr
        assert "hint: nowcast flow validate" in done.stderr


def test_reload_is_answered_by_the_manager_and_needs_one(nowcast: Nowcast) -> None:
    assert nowcast("reload").returncode == 3
    nowcast("start")
    done = nowcast("reload")
    assert (done.returncode, done.stdout) == (0, "reloaded\n")
    config = nowcast.folder / "nowcast.yaml"
    config.write_text(f"{config.read_text()}\nlimits: {{payload depth: 50}}\n")
    done = nowcast("reload")
    assert (done.returncode, done.stdout) == (0, "reloaded\n")
    assert done.stderr == "`limits` has changed: it takes effect with nowcast restart\n"


def test_reload_of_a_broken_next_workers_is_refused_and_the_old_goes_on(nowcast: Nowcast) -> None:
    nowcast("start")
    (nowcast.folder / "next_workers.py").write_text("import no_such_module_of_ours\n")
    done = nowcast("reload")
    assert done.returncode == 2
    assert "no_such_module_of_ours" in done.stderr
    assert "next_workers.py:1: " in done.stderr


def test_orphans_are_told_of_and_taken_over(nowcast: Nowcast) -> None:
    nowcast("start")
    manager = nowcast.pid("manager")
    os.kill(int((nowcast.paths.run / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: nowcast.status()["supervisor"] == "gone", what="supervisord to be gone")
    done = nowcast("status")
    assert done.returncode == 5
    assert "without their supervisor" in done.stdout
    assert "nowcast start takes over" in done.stdout
    assert nowcast("start").returncode == 0
    assert nowcast.pid("manager") not in (0, manager)
    assert nowcast("status").returncode == 0


@pytest.mark.parametrize("supervised", [True, False])
def test_a_broken_configuration_does_not_keep_a_system_from_stopping(
    nowcast: Nowcast, supervised: bool
) -> None:
    nowcast("start")
    if not supervised:
        os.kill(int((nowcast.paths.run / "supervisord.pid").read_text()), signal.SIGKILL)
    (nowcast.folder / "nowcast.yaml").write_text("message registry: [\n")
    done = nowcast("stop")
    assert (done.returncode, done.stdout) == (0, "stopped manager, message_broker\n"), done.stderr
    again = nowcast("stop")
    nowcast.write(nowcast.workers, nowcast.manager)
    assert (again.returncode, "nowcast validate" in again.stderr) == (2, True)
    assert nowcast.status()["system"]["state"] == "stopped"


def test_daemons_of_another_supervisor_are_left_to_it(nowcast: Nowcast) -> None:
    module = [sys.executable, "-m", "nowcast_cli.broker", str(nowcast.folder / "nowcast.yaml")]
    broker = subprocess.Popen(module, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: nowcast.status()["supervisor"] == "another", what="the broker")
        for command in (["stop"], ["stop", "message_broker"], ["start"], ["restart"]):
            done = nowcast(*command)
            assert done.returncode == 1, command
            assert "started by another supervisor or by hand" in done.stderr
            assert "circusctl" in done.stderr
        assert broker.poll() is None
    finally:
        broker.kill()
        broker.wait()


def test_foreground_stops_everything_on_ctrl_c(nowcast: Nowcast) -> None:
    command = nowcast.command("start", "--foreground")
    child = pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=30)
    child.expect("waiting for the message broker")
    child.expect("started message_broker, manager")
    child.expect("Ctrl-C stops everything")
    assert nowcast("status").returncode == 0
    child.sendintr()
    child.expect("stopped manager, message_broker")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert nowcast("status").returncode == 3


def test_foreground_stops_everything_on_sigterm_and_ends_when_others_stop_it(
    nowcast: Nowcast,
) -> None:
    for end in ("signal", "command"):
        with subprocess.Popen(
            nowcast.command("start", "--foreground"), stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stderr is not None
            assert child.stderr.readline() == "Ctrl-C stops everything\n"
            if end == "signal":
                child.send_signal(signal.SIGTERM)
            else:
                nowcast("stop")
            assert child.wait(timeout=30) == 0
        assert nowcast("status").returncode == 3
