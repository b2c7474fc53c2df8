"""``nowcast stop``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.plant import jobs_that_go_on, plant_of, stop_named
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:
    from nowcast_cli.supervisor.plant import Plant

app = command_app()


@app.command()
def stop(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Stop this service or daemon alone.",
            autocompletion=complete.daemons_and_services,
        ),
    ] = None,
) -> None:
    """Stop the services and daemons; jobs go on.

    A service ends what it has in hand before. Stopping what is stopped is no
    mistake, and it works with a configuration that is broken.

    \b
    Examples:
      nowcast stop
      nowcast stop ingest
    """
    system, out = _system(ctx), output_of(ctx)
    plant = plant_of(system, out)
    if name is None:
        stop_everything(system, plant, out)
    else:
        stopped = stop_named(plant, plant.named(name))
        out.line(f"stopped {', '.join(stopped)}" if stopped else f"{name} did not run")


def _system(ctx: typer.Context) -> System:
    """Give the system, where its configuration is of no use by the places that it started with."""
    try:
        return system_of(ctx)
    except ConfigError:
        from nowcast_cli.config import Config
        from nowcast_cli.supervisor.running import paths_of_running

        paths = paths_of_running(invocation_of(ctx).config_file)
        if paths is None:
            raise
        return System(Config(), paths)


def stop_everything(system: System, plant: Plant, out: Output) -> None:
    """Stop all services and daemons, and say which ran and how many jobs go on."""
    from nowcast_cli.supervisor.control import stop

    stopped = stop(plant)
    out.line(f"stopped {', '.join(stopped)}" if stopped else "the system did not run")
    jobs = jobs_that_go_on(system)
    if stopped and jobs:
        verb = "job goes" if jobs == 1 else "jobs go"
        out.line(f"{jobs} {verb} on; the next `nowcast start` takes in how it ended")
