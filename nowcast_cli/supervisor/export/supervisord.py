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
[program:{name}]
command = {command}
directory = {folder}
environment = {environment}
priority = {priority}
autostart = {autostart}
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
    for position, program in enumerate(plan.programs()):
        parts.append(
            _PROGRAM.format(
                name=program.name,
                command=_plain(shlex.join(program.command)),
                folder=_plain(str(program.folder)),
                environment=",".join(
                    f'{name}="{_plain(value)}"' for name, value in program.environment.items()
                ),
                priority=100 * (position + 1),
                autostart=str(program.autostart).lower(),
                log=_plain(str(program.log)),
            )
        )
    return {name: "".join(parts)}


def _plain(text: str) -> str:
    return refuse(text, ("\n", "%", " ;", " #", "\t;", "\t#", '"'), "supervisord")
