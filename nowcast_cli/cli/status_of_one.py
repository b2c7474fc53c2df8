"""``nowcast status NAME``: one service or daemon."""

from __future__ import annotations

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.errors import Degraded, NotRunning


def status_of_one(out: Output, system: System, name: str, as_json: bool) -> int:
    """Print how one service or daemon is; gives the exit code. Raises NotFound."""
    from nowcast_cli.cli.plant import plant_of
    from nowcast_cli.cli.service_report import (
        service_as_json,
        service_row,
        services_of_system,
        show_trouble,
    )
    from nowcast_cli.cli.status_report import daemon_as_json
    from nowcast_cli.cli.status_screen import daemon_row
    from nowcast_cli.supervisor.daemons import daemons_of
    from nowcast_cli.supervisor.observe import observe

    named = plant_of(system, out).named(name)
    seen = observe(system.paths, daemons_of(system.config, system.paths.run))
    service = next(
        (each for each in services_of_system(system, seen) if each.state.name == named.name), None
    )
    if service is not None:
        if as_json:
            out.json(service_as_json(service))
        else:
            out.columns([service_row(service)])
            show_trouble(service, out)
            out.line(f"  prints to {service.log}")
        return _exit_code(service.state.state)
    daemon = next(each for each in seen.daemons if each.name == named.name)
    if as_json:
        out.json(daemon_as_json(daemon))
    else:
        out.columns([daemon_row(daemon)])
    return _exit_code(daemon.state)


def _exit_code(state: str) -> int:
    return {"ready": 0, "stopped": NotRunning.exit_code}.get(state, Degraded.exit_code)
