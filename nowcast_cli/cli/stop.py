"""``nowcast stop``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.plant import jobs_that_go_on, plant_of
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:
    from nowcast_cli.supervisor.control import Plant

app = command_app()


@app.command()
def stop(
    ctx: typer.Context,
    daemon: Annotated[str | None, typer.Argument(help="Stop this daemon alone.")] = None,
) -> None:
    """Stop the daemons; jobs go on.

    Stopping what is stopped is no mistake, and it works with a configuration
    that is broken.

    \b
    Examples:
      nowcast stop
      nowcast stop manager
    """
    system, out = _system(ctx), output_of(ctx)
    plant = plant_of(system, out)
    if daemon is None:
        stop_everything(system, plant, out)
    else:
        _stop_one(plant, daemon, out)


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
    """Stop all daemons, and say which ran and how many jobs go on."""
    from nowcast_cli.supervisor.control import stop

    stopped = stop(plant)
    out.line(f"stopped {', '.join(stopped)}" if stopped else "the system did not run")
    jobs = jobs_that_go_on(system)
    if stopped and jobs:
        verb = "job goes" if jobs == 1 else "jobs go"
        out.line(f"{jobs} {verb} on; the next `nowcast start` takes in how it ended")


def _stop_one(plant: Plant, name: str, out: Output) -> None:
    from nowcast_cli.supervisor.control import stop_one

    daemon = plant.named(name)
    stopped = stop_one(plant, daemon)
    out.line(f"stopped {', '.join(stopped)}" if stopped else f"{daemon.name} did not run")
