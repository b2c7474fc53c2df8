"""``nowcast reload``."""

from __future__ import annotations

from pathlib import Path

import typer

from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output

app = command_app()


@app.command()
def reload(ctx: typer.Context) -> None:
    """Take in a changed configuration and next_workers.

    No message is lost. What `nowcast validate` finds an error in is refused,
    and the manager goes on with what it had. New services are started, those
    that are gone stopped; changed ones, and changed ports, want `restart`.

    \b
    Examples:
      nowcast reload
    """
    _refuse_errors(invocation_of(ctx).config_file)
    system, out = system_of(ctx), output_of(ctx)
    for line in ask_manager(system, "reload", {}).get("later") or []:
        out.note(line)
    _tell_others(system, out)
    _take_in_services(system, out)
    out.line("reloaded")


def _tell_others(system: System, out: Output) -> None:
    """Let those take it in that are not asked, as they wait for nobody."""
    from nowcast_cli.config.action_workers import wants_action_workers
    from nowcast_cli.config.settings import begins_flows, wants_scheduler
    from nowcast_cli.config.standby import wants_standby

    wanted = {
        "scheduler": wants_scheduler(system.config),
        "file_watcher": begins_flows(system.config, "file"),
        "action_workers": wants_action_workers(system.config),
        "standby": wants_standby(system.config, system.paths.run),
    }
    for daemon, is_wanted in wanted.items():
        if not _hangs_up(system, daemon) and is_wanted:
            out.note(f"{daemon} does not run yet: nowcast start starts it")


def _take_in_services(system: System, out: Output) -> None:
    from nowcast_cli.cli.plant import plant_of
    from nowcast_cli.supervisor.observe import somebody_listens, supervisor_socket

    if not somebody_listens(supervisor_socket(system.paths.run)):
        return  # another supervisor keeps them
    from nowcast_cli.supervisor.service_control import take_in

    done = take_in(plant_of(system, out))
    for verb, names in (("starting", done.started), ("stopped", done.stopped)):
        if names:
            out.line(f"{verb} {', '.join(names)}")
    for name in done.changed:
        out.note(f"the service {name} has changed: nowcast restart {name}")


def _hangs_up(system: System, daemon: str) -> bool:
    """Send SIGHUP to a daemon, if it runs; say whether it does."""
    import json
    import os
    import signal

    from nowcast_cli.process_identity import from_json, is_alive

    try:
        identity = from_json(json.loads((system.paths.run / f"{daemon}.pid").read_bytes()))
    except (OSError, ValueError, KeyError):
        return False
    if not is_alive(identity):
        return False
    os.kill(identity.pid, signal.SIGHUP)
    return True


def _refuse_errors(config_file: Path) -> None:
    """Raise ConfigError with all errors of the configuration and of the code that it names."""
    from nowcast_cli.cli.validate import find_problems
    from nowcast_cli.config.check import refuse_errors

    refuse_errors(find_problems(config_file))
