"""A configuration for circusd."""

from __future__ import annotations

import shlex

from nowcast_cli.supervisor.export import Plan, refuse

# stop_children: jobs and their launcher must outlive a restart of the manager.
_HEAD = """\
; Written by `nowcast export circus`. Start it: circusd --daemon {name}
; Ask it: circusctl --endpoint {endpoint} status
[circus]
check_delay = 2
endpoint = {endpoint}
pubsub_endpoint = {pubsub}
statsd = false
"""
_WATCHER = """
[watcher:{name}]
cmd = {command}
working_dir = {folder}
copy_env = true
singleton = true
autostart = {autostart}
respawn = true
max_retry = -1
stop_children = false
graceful_timeout = 20
priority = {priority}
stdout_stream.class = FileStream
stdout_stream.filename = {log}
stderr_stream.class = FileStream
stderr_stream.filename = {log}

[env:{name}]
{environment}
"""


def files_for(plan: Plan) -> dict[str, str]:
    """Give the text of the file by its name. Raises NowcastError for an impossible path."""
    name = f"circus-{plan.name}.ini"
    parts = [
        _HEAD.format(
            name=name,
            endpoint=f"ipc://{_plain(str(plan.run))}/circus.sock",
            pubsub=f"ipc://{_plain(str(plan.run))}/circus-events.sock",
        )
    ]
    programs = plan.programs()
    for position, program in enumerate(programs):
        parts.append(
            _WATCHER.format(
                name=program.name,
                command=_plain(shlex.join(program.command)),
                folder=_plain(str(program.folder)),
                autostart=str(program.autostart).lower(),
                priority=len(programs) - position,
                log=_plain(str(program.log)),
                environment="\n".join(f"{k} = {_plain(v)}" for k, v in program.environment.items()),
            )
        )
    return {name: "".join(parts)}


def _plain(text: str) -> str:
    return refuse(text, ("\n", "$", "%", " ;", " #", "((", "{"), "circus")
