"""Units for systemd, one a daemon, and a target for all of them."""

from __future__ import annotations

from nowcast_cli.supervisor.export import Plan, Program, refuse

# KillMode: a session of its own does not take a process out of the unit's control group, so
# that a restart of the manager would end all jobs, and the launcher of the next ones. What a
# service leaves behind is its own.
_UNIT = """\
# Written by `nowcast export systemd`.
[Unit]
Description={description}
After={after}
PartOf={target}
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory={folder}
{environment}\
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
KillMode={kill_mode}
Restart=always
RestartSec=2
TimeoutStopSec=20

[Install]
WantedBy={target}
"""
_TARGET = """\
# Written by `nowcast export systemd`. To use these units as the user who runs the system:
#   cp {name}*.service {target} ~/.config/systemd/user/
#   systemctl --user daemon-reload
#   systemctl --user enable --now {services} {target}
#   loginctl enable-linger    # so that they run without a login
[Unit]
Description={description}
Wants={services}

[Install]
WantedBy=default.target
"""


def files_for(plan: Plan) -> dict[str, str]:
    """Give the text of each file by its name. Raises NowcastError for an impossible path."""
    prefix = f"nowcast-{plan.name}"
    target = f"{prefix}.target"
    files: dict[str, str] = {}
    before = "network.target"
    for program in plan.programs():
        unit = _unit(prefix, program)
        files[unit] = _UNIT.format(
            description=_literal(f"{program.description} of the nowcast system {plan.name}"),
            after=before,
            target=target,
            kill_mode="mixed" if program.is_service else "process",
            folder=_literal(str(program.folder)),
            environment="".join(
                f"Environment={_quoted(f'{name}={value}')}\n"
                for name, value in program.environment.items()
            ),
            command=" ".join(_quoted(word).replace("$", "$$") for word in program.command),
        )
        before = unit
    files[target] = _TARGET.format(
        name=prefix,
        target=target,
        services=" ".join(
            _unit(prefix, program) for program in plan.programs() if program.autostart
        ),
        description=f"The nowcast system {plan.name}",
    )
    return files


def _unit(prefix: str, program: Program) -> str:
    return f"{prefix}-{program.name.replace('_', '-')}.service"


def _literal(text: str) -> str:
    return refuse(text, ("\n",), "systemd").replace("%", "%%")


def _quoted(text: str) -> str:
    text = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if any(mark in text for mark in " '\"\\;#") else text
