"""The text of supervisord's configuration, from the places and daemons of a system."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nowcast_cli.errors import NowcastError
from nowcast_cli.supervisor.daemons import Daemon

STOP_GRACE = 10  # seconds from SIGTERM to SIGKILL
# To supervisord these begin comments, lines or expansions. It knows no way to escape the first
# ones, and expands some values twice and others once.
_UNSPEAKABLE = (" ;", " #", "\t;", "\t#", "\n", "%")

# startretries and startsecs: a daemon that dies early is started again for ever, each time after
# a second more; one that has lived for startsecs, at once. No autostart: who starts the daemons
# waits for each to be ready before the next one. Signals go to the daemon alone, as jobs are not
# of its business. The shell gives way to the daemon, whose output goes to its file without a
# pipe to supervisord: when that is killed, nothing that the daemon prints may fail.
_INTO_FILE = ("/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1')
_HEAD = """\
; Written by `nowcast start`; changes here are lost at the next one.
[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
pidfile = {pid_file}
logfile = {log}
logfile_maxbytes = 1MB
logfile_backups = 1
umask = {umask:03o}
minfds = 256
minprocs = 16
"""
_PROGRAM = """
[program:{name}]
command = {command}
stdout_logfile = NONE
stderr_logfile = NONE
autostart = false
autorestart = true
startsecs = 2
startretries = 100000
stopsignal = TERM
stopwaitsecs = {grace}
"""


def supervisord_conf(
    *, run: Path, logs: Path, config_file: Path, python: str, umask: int, daemons: Sequence[Daemon]
) -> str:
    """Return the configuration: daemons run ``python``, their output goes to ``logs``.

    The working directory and the environment are those in which supervisord is started. Raises
    NowcastError for a path that supervisord cannot be told.
    """
    head = _HEAD.format(
        socket=_spoken(run / "supervisor.sock"),
        pid_file=_spoken(run / "supervisord.pid"),
        log=_spoken(supervisord_log(logs)),
        umask=umask,
    )
    return head + "".join(
        _PROGRAM.format(
            name=daemon.name,
            command=_spoken(shlex.join(_command(daemon, python, config_file, logs))),
            grace=STOP_GRACE,
        )
        for daemon in daemons
    )


def _command(daemon: Daemon, python: str, config_file: Path, logs: Path) -> list[str]:
    log = daemon_log(logs, daemon)
    return [*_INTO_FILE, str(log), python, "-m", daemon.module, str(config_file)]


def supervisord_log(logs: Path) -> Path:
    """Return the log of supervisord itself."""
    return logs / "supervisord.log"


def daemon_log(logs: Path, daemon: Daemon) -> Path:
    """Return the file of what a daemon prints."""
    return logs / f"{daemon.name}.out"


def _spoken(value: str | Path) -> str:
    text = str(value)
    for mark in _UNSPEAKABLE:
        if mark in text:
            raise NowcastError(
                f"supervisord cannot handle the path in {text!r}",
                cause=f"in its configuration {mark!r} has a meaning of its own",
                hint="move the deployment, or name a plain `state directory` in nowcast.yaml",
            )
    return text
