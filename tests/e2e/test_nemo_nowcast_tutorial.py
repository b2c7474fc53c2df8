"""The steps of NEMO_Nowcast's tutorial, as they stand there, with free ports in place of its own.

The same folder runs under supervisord, under circus and under ``nowcast start``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.executors.local import stop_launcher
from nowcast_cli.store.checklist_file import read_checklist
from ports import free_ports

NOWCAST_YAML = """\
# System status checklist file
checklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast_checklist.yaml

# Python interpreter in environment with all dependencies installed
python: $(NOWCAST.ENV.NOWCAST_ENV)/bin/python

logging:
  version: 1
  disable_existing_loggers: False
  formatters:
    simple:
      format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'
  handlers:
    console:
      class: logging.StreamHandler
      level: DEBUG
      formatter: simple
      stream: ext://sys.stdout
  root:
    level: DEBUG
    handlers:
     - console

zmq:
  host: localhost
  ports:
    # traffic between manager and message broker
    manager: 4343
    # traffic between workers and message broker
    workers: 4344

message registry:
  manager:
    ack: message acknowledged
    checklist cleared: system checklist cleared
    unregistered worker: ERROR - message received from unregistered worker
    unregistered message type: ERROR - unregistered message type received from worker
    no after_worker function: ERROR - after_worker function not found in next_workers module

  next workers module: next_workers

  workers:
    sleep:
      checklist key: sleepyhead
      success: sleep worker slept well
      failure: sleep worker slept badly
      crash: sleep worker crashed
"""

AWAKEN = """\
    awaken:
      checklist key: sleepyhead
      success: awaken worker awoke
      failure: awaken worker failed to awake
      crash: awaken worker crashed
"""

ROTATE_LOGS = """\
    rotate_logs:
      checklist key: log rotation
      success: log files rotated
      failure: log files could not be rotated
      crash: rotate_logs worker crashed
"""

LOG_FILE = """\
    file:
      class: logging.handlers.RotatingFileHandler
      level: DEBUG
      formatter: simple
      filename: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast.log
      backupCount: 7
  root:
    level: DEBUG
    handlers: [console, file]
"""

NEXT_WORKERS = '''\
"""Functions that say which workers follow."""
from nemo_nowcast import NextWorker


def after_sleep(msg, config, checklist):
    next_workers = {
        'crash': [],
        'failure': [],
        'success': [],
    }
    return next_workers[msg.type]
'''

AFTER_AWAKEN = """

def after_awaken(msg, config, checklist):
    return {'crash': [], 'failure': [], 'success': []}[msg.type]
"""

AFTER_ROTATE_LOGS = """

def after_rotate_logs(msg, config, checklist):
    return []
"""

SUPERVISORD_INI = """\
[supervisord]
logfile = %(ENV_NOWCAST_LOGS)s/supervisor.log
pidfile = %(ENV_NOWCAST_LOGS)s/supervisor.pid
childlogdir = %(ENV_NOWCAST_LOGS)s

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[inet_http_server]
# This value must match that used in [supervisorctl]serverurl below
port = localhost:9001

[supervisorctl]
serverurl = http://localhost:9001
prompt = nowcast-supervisor

# Priority values define process startup order
[program:message_broker]
command = %(ENV_NOWCAST_ENV)s/bin/python3 -m nemo_nowcast.message_broker %(ENV_NOWCAST_YAML)s
priority = 0
autorestart = true

[program:manager]
command = %(ENV_NOWCAST_ENV)s/bin/python3 -m nemo_nowcast.manager %(ENV_NOWCAST_YAML)s
priority = 1
autorestart = true
"""

CIRCUS_INI = """\
[circus]
logoutput = $(CIRCUS.ENV.NOWCAST_LOGS)/circus.log
"""
CIRCUS_WATCHER = """
[watcher:{name}]
copy_env = True
cmd = $(CIRCUS.ENV.NOWCAST_ENV)/bin/python
args = -m nemo_nowcast.{name} $(CIRCUS.ENV.NOWCAST_YAML)
singleton = True
send_hup = True
use_sockets = False
"""

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


class Toy:
    """The folder toy-nowcast, as who reads the tutorial has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.ports = free_ports(2)
        self.write_config(NOWCAST_YAML)
        (folder / "next_workers.py").write_text(NEXT_WORKERS)
        self.environment = {
            **{key: value for key, value in os.environ.items() if "NOWCAST" not in key},
            "NOWCAST_ENV": sys.prefix,
            "NOWCAST_LOGS": f"{folder}/",
            "NOWCAST_YAML": str(folder / "nowcast.yaml"),
        }

    def write_config(self, text: str) -> None:
        free = dict(zip(("4343", "4344"), map(str, self.ports), strict=True))
        # At once: a free port may have one of these numbers among its digits.
        text = re.sub("434[34]", lambda port: free[port[0]], text)
        (self.folder / "nowcast.yaml").write_text(text)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment's bin folder in the toy's folder."""
        return subprocess.run(
            [str(Path(sys.prefix) / "bin" / command[0]), *command[1:]],
            cwd=self.folder, env=self.environment, text=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def python(self, module: str, *arguments: str) -> str:
        """Do ``python -m MODULE $NOWCAST_YAML ARGUMENTS`` and give what it prints."""
        done = self.run("python", "-m", module, self.environment["NOWCAST_YAML"], *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def under(self, *command: str) -> Iterator[None]:
        """Have a process manager run, as in a first terminal."""
        with (self.folder / "terminal-1").open("wb") as terminal:
            process = subprocess.Popen(
                [str(Path(sys.prefix) / "bin" / command[0]), *command[1:]],
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=terminal, stderr=terminal,
            )  # fmt: skip
        try:
            self.wait_until_ready()
            yield
        except BaseException:
            print(self.terminal())
            raise
        finally:
            process.terminate()
            process.wait(30)
            with contextlib.suppress(Exception):
                stop_launcher(self.paths())

    def paths(self) -> SystemPaths:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("NOWCAST_ENV", "NOWCAST_LOGS", "NOWCAST_YAML"):
                patch.setenv(name, self.environment[name])
            config = Config()
            config.load(self.environment["NOWCAST_YAML"])
            return system_paths(config)

    def wait_until_ready(self) -> None:
        run = self.paths().run
        for name in ("message_broker", "manager"):
            wait_until(
                lambda name=name: (ask_health(run / f"{name}.sock") or {}).get("state") == "ready",
                timeout=30, what=f"the {name}",
            )  # fmt: skip

    def terminal(self) -> str:
        """Give what all processes but the workers have printed."""
        files = [self.folder / "terminal-1", *self.folder.glob("*-stdout---supervisor-*.log")]
        files += self.folder.glob("logs/*.out")
        return "\n".join(file.read_text() for file in files if file.exists())

    def checklist(self) -> object:
        return read_checklist(self.folder / "nowcast_checklist.yaml")

    def wait_for_checklist(self, expected: object) -> None:
        wait_until(lambda: self.checklist() == expected, timeout=30, what=f"{expected}")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path / "toy-nowcast")


def sleeps_as_the_tutorial_shows(toy: Toy, seconds: int = 5) -> None:
    """Run the sleep worker in a second terminal and compare what it prints, line by line."""
    arguments = () if seconds == 5 else ("--sleep-time", str(seconds))
    lines = toy.python("nemo_nowcast.workers.sleep", *arguments).splitlines()
    expected = [
        r"INFO \[sleep\] running in process \d+",
        rf"INFO \[sleep\] read config from {re.escape(str(toy.folder))}/nowcast.yaml",
        r"INFO \[sleep\] writing log messages to local file system",
        rf"INFO \[sleep\] connected to localhost port {toy.ports[1]}",
        rf"INFO \[sleep\] slept for {seconds} seconds",
        r"DEBUG \[sleep\] sent message: \(success\) sleep worker slept well",
        r"DEBUG \[sleep\] received message from manager: \(ack\) message acknowledged",
        r"DEBUG \[sleep\] shutting down",
    ]
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(LINE + pattern, line), line
    toy.wait_for_checklist({"sleepyhead": {"sleep time": seconds}})


def shows_the_lines_of_the_daemons(toy: Toy) -> None:
    said = toy.terminal()
    config = re.escape(f"{toy.folder}/nowcast.yaml")
    for pattern in (
        r"INFO \[message_broker\] running in process \d+",
        rf"INFO \[message_broker\] read config from {config}",
        rf"INFO \[message_broker\] worker socket bound to port {toy.ports[1]}",
        rf"INFO \[message_broker\] manager socket bound to port {toy.ports[0]}",
        r"INFO \[manager\] running in process \d+",
        rf"INFO \[manager\] read config from {config}",
        r"INFO \[manager\] next workers module loaded from next_workers",
        rf"INFO \[manager\] connected to localhost port {toy.ports[0]}",
    ):
        assert re.search(f"^{LINE}{pattern}$", said, re.MULTILINE), (pattern, said)


def test_the_tutorial_works_under_supervisord_with_its_ini_file(toy: Toy) -> None:
    port = str(free_ports(1)[0])
    (toy.folder / "supervisord.ini").write_text(SUPERVISORD_INI.replace("9001", port))
    with toy.under("supervisord", "-n", "-c", "supervisord.ini"):
        sleeps_as_the_tutorial_shows(toy)
        shows_the_lines_of_the_daemons(toy)
        status = toy.run("supervisorctl", "-c", "supervisord.ini", "status").stdout
        assert re.search(r"^manager +RUNNING", status, re.MULTILINE)
        assert re.search(r"^message_broker +RUNNING", status, re.MULTILINE)
        toy.run("supervisorctl", "-c", "supervisord.ini", "restart", "manager")
        toy.wait_until_ready()
        sleeps_as_the_tutorial_shows(toy, 1)
    names = set(re.findall(rf"^{LINE}[A-Z]+ \[(\w+)\] ", toy.terminal(), re.MULTILINE))
    assert names == {"message_broker", "manager"}, "a library speaks in the log"


@pytest.mark.skipif(importlib.util.find_spec("circus") is None, reason="circus is not installed")
def test_the_tutorial_works_under_circus_with_its_ini_file(toy: Toy) -> None:
    endpoints = [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]
    names = ("endpoint", "pubsub_endpoint")
    where = "".join(f"{name} = {at}\n" for name, at in zip(names, endpoints, strict=True))
    watchers = ("message_broker", "manager", "scheduler")
    ini = CIRCUS_INI + where + "".join(CIRCUS_WATCHER.format(name=name) for name in watchers)
    (toy.folder / "circus.ini").write_text(ini)
    with toy.under("circusd", "circus.ini"):
        sleeps_as_the_tutorial_shows(toy, 1)
        shows_the_lines_of_the_daemons(toy)
        status = toy.run("circusctl", "--endpoint", endpoints[0], "status").stdout
        assert sorted(line for line in status.splitlines() if line) == [
            f"{name}: active" for name in sorted(watchers)
        ]


def test_the_tutorial_works_under_nowcast_start(toy: Toy) -> None:
    started = toy.run("nowcast", "start")
    try:
        assert started.returncode == 0, started.stderr
        sleeps_as_the_tutorial_shows(toy, 1)
        shows_the_lines_of_the_daemons(toy)
    finally:
        stopped = toy.run("nowcast", "stop")
    assert stopped.returncode == 0, stopped.stderr


def test_sleep_takes_its_options_and_debug_needs_no_manager(toy: Toy) -> None:
    printed = toy.python("nemo_nowcast.workers.sleep", "--debug", "--sleep-time", "1")
    assert "DEBUG [sleep] **debug mode** no connection to manager" in printed
    assert "INFO [sleep] slept for 1 seconds" in printed
    assert "(success) sleep worker slept well" in printed
    assert not (toy.folder / "nowcast_checklist.yaml").exists()


def test_the_exercises_follow_one_another_without_a_restart(toy: Toy) -> None:
    """Awaken follows sleep; rotate_logs is run by hand, then launched after awaken."""
    with_file = NOWCAST_YAML.replace(
        NOWCAST_YAML[NOWCAST_YAML.index("  root:\n") : NOWCAST_YAML.index("\nzmq:")], LOG_FILE
    )
    toy.write_config(with_file + AWAKEN + ROTATE_LOGS)
    after_sleep = NEXT_WORKERS.replace(
        "'success': []", "'success': [NextWorker('nemo_nowcast.workers.awaken')]"
    )
    module = toy.folder / "next_workers.py"
    module.write_text(after_sleep + AFTER_AWAKEN + AFTER_ROTATE_LOGS)
    port = str(free_ports(1)[0])
    (toy.folder / "supervisord.ini").write_text(SUPERVISORD_INI.replace("9001", port))
    log = str(toy.folder / "nowcast.log")
    awake = {"sleepyhead": {"sleep time": 0, "awake": True}}
    with toy.under("supervisord", "-n", "-c", "supervisord.ini"):
        toy.python("nemo_nowcast.workers.sleep", "--sleep-time", "0")
        toy.wait_for_checklist(awake)

        toy.python("nemo_nowcast.workers.rotate_logs")
        toy.wait_for_checklist({**awake, "log rotation": {"log files": [log]}})
        assert "slept for 0 seconds" in Path(f"{log}.1").read_text()
        assert oct(Path(log).stat().st_mode)[-3:] == "664"

        after_awaken = AFTER_AWAKEN.replace(
            "'success': []", "'success': [NextWorker('nemo_nowcast.workers.rotate_logs')]"
        )
        module.write_text(after_sleep + after_awaken + AFTER_ROTATE_LOGS)
        toy.python("nemo_nowcast.workers.sleep", "--sleep-time", "0")
        wait_until(lambda: Path(f"{log}.2").exists(), what="the launched rotation")
        wait_until(
            lambda: "[rotate_logs] log files rotated" in Path(log).read_text(),
            what="the log of the rotation in the new file",
        )


def test_its_configuration_validates_without_a_warning(toy: Toy) -> None:
    checked = toy.run("nowcast", "validate")
    assert (checked.returncode, checked.stdout) == (0, "")
    assert checked.stderr == "nowcast.yaml is in order\n"
