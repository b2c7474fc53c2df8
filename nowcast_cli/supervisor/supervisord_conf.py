"""The text of supervisord's configuration, from the places and daemons of a system.

To supervisord ``%``, `` ;`` and `` #`` begin expansions and comments, and it expands some values
twice and others once. So no path stands there as it is: its own files are named from its working
directory or on its command line, and the daemons' by a shell, told odd characters in octal.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from nowcast_cli.supervisor.daemons import Daemon

STOP_GRACE = 10  # seconds from SIGTERM to SIGKILL

# startretries and startsecs: a daemon that dies early is started again for ever, each time after
# a second more; one that has lived for startsecs, at once. No autostart: who starts the daemons
# waits for each to be ready before the next one. Signals go to the daemon alone, as jobs are not
# of its business. The shell gives way to the daemon, whose output goes to its file without a
# pipe to supervisord: when that is killed, nothing that the daemon prints may fail.
_SCRIPT = "cd {folder} && exec {python} -m {module} {config_file} >>{log} 2>&1"
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_HEAD = """\
; Written by `nowcast start`; changes here are lost at the next one.
[unix_http_server]
file = supervisor.sock
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
pidfile = supervisord.pid
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
    *,
    deployment: Path,
    logs: Path,
    config_file: Path,
    python: str,
    umask: int,
    daemons: Sequence[Daemon],
) -> str:
    """Return the configuration: daemons run ``python`` in the deployment, and print to ``logs``.

    The environment is that in which supervisord is started. Its working directory must be the
    system's ``run`` folder, and its log be named on its command line.
    """
    return _HEAD.format(umask=umask) + "".join(
        _PROGRAM.format(
            name=daemon.name,
            command=shlex.join(("/bin/sh", "-c", script)),
            grace=STOP_GRACE,
        )
        for daemon in daemons
        for script in [
            _SCRIPT.format(
                folder=_word(deployment),
                python=_word(python),
                module=daemon.module,
                config_file=_word(config_file),
                log=_word(daemon_log(logs, daemon)),
            )
        ]
    )


def supervisord_log(logs: Path) -> Path:
    """Return the log of supervisord itself."""
    return logs / "supervisord.log"


def daemon_log(logs: Path, daemon: Daemon) -> Path:
    """Return the file of what a daemon prints."""
    return logs / f"{daemon.name}.out"


def _word(value: str | Path) -> str:
    """Write a path for the shell; printf knows every byte by its number."""
    if _PLAIN.fullmatch(str(value)):
        return str(value)
    return '"$(printf "' + "".join(f"\\{byte:03o}" for byte in os.fsencode(value)) + '")"'
