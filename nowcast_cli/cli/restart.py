"""``nowcast restart``."""

from __future__ import annotations

from typing import Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.plant import (
    make_first_keys,
    plant_of,
    refuse_bad_configuration,
    restart_named,
    show_last_lines,
    tell_of_flows,
)

app = command_app()


@app.command()
def restart(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Restart this service or daemon alone.",
            autocompletion=complete.daemons_and_services,
        ),
    ] = None,
) -> None:
    """Restart the daemons and services, or one of them.

    Returns when they are ready; jobs go on. No message is lost. A service
    is started as it is configured by now.

    \b
    Examples:
      nowcast restart
      nowcast restart manager
      nowcast restart ingest
    """
    from nowcast_cli.supervisor.control import restart
    from nowcast_cli.supervisor.plant import DaemonError
    from nowcast_cli.supervisor.service_control import ServicesNotReady

    system, out = system_of(ctx), output_of(ctx)
    refuse_bad_configuration(system)
    make_first_keys(system, out)
    tell_of_flows(system, out)
    plant = plant_of(system, out)
    try:
        names = restart(plant) if name is None else restart_named(plant, plant.named(name))
    except (DaemonError, ServicesNotReady) as error:
        show_last_lines(error, out)
        raise
    out.line(f"restarted {', '.join(names)}")
