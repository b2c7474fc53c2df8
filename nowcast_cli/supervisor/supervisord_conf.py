"""The text of supervisord's configuration, from the places, daemons and services of a system.

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
from nowcast_cli.supervisor.services import ServiceProgram

STOP_GRACE = 10  # seconds from SIGTERM to SIGKILL
SERVICE_GRACE = 20  # of a service, which ends what it has in hand

# startretries and startsecs: a daemon that dies early is started again for ever, each time after
# a second more; one that has lived for startsecs, at once. No autostart: who starts the daemons
# waits for each to be ready before the next one. Signals go to the daemon alone, as jobs are not
# of its business. The shell gives way to the daemon, whose output goes to its file without a
# pipe to supervisord: when that is killed, nothing that the daemon prints may fail.
# A service that dies within ten seconds, again and again, is started after longer and longer
# pauses; SIGKILL, if it comes to that, is for its children too, which are of its business.
_SCRIPT = "cd {folder} && exec {words} >>{log} 2>&1"
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
startsecs = {lives}
startretries = 100000
stopsignal = TERM
stopwaitsecs = {grace}
"""
_KILLS_CHILDREN = "killasgroup = true\n"


def supervisord_conf(
    *,
    deployment: Path,
    logs: Path,
    config_file: Path,
    python: str,
    umask: int,
    daemons: Sequence[Daemon],
    services: Sequence[ServiceProgram] = (),
) -> str:
    """Return the configuration: daemons run ``python`` in the deployment, and print to ``logs``.

    The environment is that in which supervisord is started. Its working directory must be the
    system's ``run`` folder, and its log be named on its command line.
    """
    text = _HEAD.format(umask=umask)
    for daemon in daemons:
        words = (python, "-m", daemon.module, str(config_file))
        text += _program(daemon.name, _script(words, deployment, logs, daemon.name), 2, STOP_GRACE)
    for service in services:
        variables = [f"{name}={value}" for name, value in service.environment.items()]
        script = _script(("env", *variables, *service.words), service.folder, logs, service.name)
        text += _program(service.name, script, 10, SERVICE_GRACE) + _KILLS_CHILDREN
    return text


def _script(words: Sequence[str], folder: Path, logs: Path, name: str) -> str:
    return _SCRIPT.format(
        folder=_word(folder),
        words=" ".join(map(_word, words)),
        log=_word(program_log(logs, name)),
    )


def _program(name: str, script: str, lives: int, grace: int) -> str:
    command = shlex.join(("/bin/sh", "-c", script))
    return _PROGRAM.format(name=name, command=command, lives=lives, grace=grace)


def supervisord_log(logs: Path) -> Path:
    """Return the log of supervisord itself."""
    return logs / "supervisord.log"


def program_log(logs: Path, program: str) -> Path:
    """Return the file of what a daemon or a service prints, by the name of its program."""
    return logs / f"{program}.out"


def _word(value: str | Path) -> str:
    """Write a word for the shell; printf knows every byte by its number."""
    if _PLAIN.fullmatch(str(value)):
        return str(value)
    return '"$(printf "' + "".join(f"\\{byte:03o}" for byte in os.fsencode(value)) + '")"'
