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
    show_last_lines,
)

app = command_app()


@app.command()
def restart(
    ctx: typer.Context,
    daemon: Annotated[
        str | None,
        typer.Argument(help="Restart this daemon alone.", autocompletion=complete.daemons),
    ] = None,
) -> None:
    """Restart the daemons, or one of them.

    Returns when they are ready; jobs go on. No message is lost.

    \b
    Examples:
      nowcast restart
      nowcast restart manager
    """
    from nowcast_cli.supervisor.control import DaemonError, restart, restart_one

    system, out = system_of(ctx), output_of(ctx)
    refuse_bad_configuration(system)
    make_first_keys(system, out)
    plant = plant_of(system, out)
    try:
        if daemon is None:
            names = restart(plant)
        else:
            named = plant.named(daemon)
            restart_one(plant, named)
            names = [named.name]
    except DaemonError as error:
        show_last_lines(error, out)
        raise
    out.line(f"restarted {', '.join(names)}")
