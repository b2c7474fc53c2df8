"""A configuration for a supervisord of one's own, with supervisorctl."""

from __future__ import annotations

import shlex

from nowcast_cli.supervisor.export import Plan, refuse

_HEAD = """\
; Written by `nowcast export supervisord`. Start it: supervisord -c {name}
; Ask it: supervisorctl -c {name} status
[unix_http_server]
file = {run}/supervisord-own.sock
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{run}/supervisord-own.sock

[supervisord]
pidfile = {run}/supervisord-own.pid
logfile = {logs}/supervisord-own.log
logfile_maxbytes = 1MB
"""
# Signals go to the daemon alone (no stopasgroup): its jobs are to outlive it. startretries with
# startsecs: started again for ever, each time after a second more.
_PROGRAM = """
[program:{daemon}]
command = {command}
directory = {folder}
environment = {environment}
priority = {priority}
autostart = true
autorestart = true
startsecs = 5
startretries = 100000
stopsignal = TERM
stopwaitsecs = 20
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
"""


def files_for(plan: Plan) -> dict[str, str]:
    """Give the text of the file by its name. Raises NowcastError for an impossible path."""
    name = f"supervisord-{plan.name}.ini"
    parts = [_HEAD.format(name=name, run=_plain(str(plan.run)), logs=_plain(str(plan.logs)))]
    for position, daemon in enumerate(plan.daemons):
        words = (plan.python, "-m", daemon.module, str(plan.config_file))
        parts.append(
            _PROGRAM.format(
                daemon=daemon.name,
                command=_plain(shlex.join(words)),
                folder=_plain(str(plan.config_file.parent)),
                environment=",".join(
                    f'{name}="{_plain(value)}"' for name, value in plan.environment.items()
                ),
                priority=100 * (position + 1),
                log=_plain(str(plan.log_of(daemon))),
            )
        )
    return {name: "".join(parts)}


def _plain(text: str) -> str:
    return refuse(text, ("\n", "%", " ;", " #", "\t;", "\t#", '"'), "supervisord")
