"""``nowcast start``."""

from __future__ import annotations

import select
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.plant import (
    make_first_keys,
    plant_of,
    refuse_bad_configuration,
    show_last_lines,
    start_named,
    tell_of_flows,
)
from nowcast_cli.cli.stop import stop_everything
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from nowcast_cli.supervisor.plant import Plant

app = command_app()

_LOOK_EVERY = 1.0  # seconds


@app.command()
def start(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Start this service or daemon alone.",
            autocompletion=complete.daemons_and_services,
        ),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C, then stop everything.")
    ] = False,
    standby: Annotated[
        bool,
        typer.Option("--standby", help="Keep a second manager that takes over at once."),
    ] = False,
) -> int:
    """Start the daemons and services; return when they are ready.

    What runs already is left as it is. Daemons whose supervisor was killed
    are ended and started anew; jobs go on. --standby holds until nowcast
    stop; `standby: true` in nowcast.yaml holds for good. The exit code is 5
    when only services are not ready.

    \b
    Examples:
      nowcast start
      nowcast start ingest
      nowcast start --foreground
      nowcast start --standby
    """
    if name is not None and (foreground or standby):
        raise UsageError("a name goes without --foreground and --standby", hint="nowcast start")
    system, out = system_of(ctx), output_of(ctx)
    refuse_bad_configuration(system)
    make_first_keys(system, out)
    tell_of_flows(system, out)
    if standby:
        _ask_for_standby(system)
    plant = plant_of(system, out)
    if not foreground:
        _start(plant, out, name)
        return 0
    # In a container or under another supervisor this is how the command is told to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _start_all_that_can_be(plant, out)
    return _stay(system, plant, out)


def _ask_for_standby(system: System) -> None:
    from nowcast_cli.config.paths import ensure
    from nowcast_cli.config.standby import ask_for_standby

    ensure(system.paths)
    ask_for_standby(system.paths.run)


def _start_all_that_can_be(plant: Plant, out: Output) -> None:
    """Start everything; services that are not ready are told, and are started again and again."""
    from nowcast_cli.supervisor.service_control import ServicesNotReady

    try:
        _start(plant, out)
    except ServicesNotReady as error:
        out.note(f"{error.what}: {error.cause}")


def _start(plant: Plant, out: Output, name: str | None = None) -> None:
    from nowcast_cli.supervisor.control import start
    from nowcast_cli.supervisor.plant import DaemonError
    from nowcast_cli.supervisor.service_control import ServicesNotReady

    try:
        started = start(plant) if name is None else start_named(plant, plant.named(name))
    except (DaemonError, ServicesNotReady) as error:
        show_last_lines(error, out)
        raise
    who = "the system" if name is None else name
    out.line(f"started {', '.join(started)}" if started else f"{who} already runs")


def _stay(system: System, plant: Plant, out: Output) -> int:
    """Wait for a signal to stop, or for somebody else to have stopped the system."""
    from nowcast_cli.daemon.signals import Signals
    from nowcast_cli.errors import Degraded
    from nowcast_cli.supervisor.observe import observe

    with Signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        out.note("Ctrl-C stops everything")
        while not select.select([signals], [], [], _LOOK_EVERY)[0]:
            state = observe(plant.paths, plant.daemons)
            if state.supervisor == "gone":
                raise Degraded(
                    "the supervisor was killed; the daemons run on without it",
                    hint="nowcast start takes over",
                )
            if state.supervisor == "stopped":
                out.note("the system was stopped by another command")
                return 0
        stop_everything(system, plant, out)
    return 0
