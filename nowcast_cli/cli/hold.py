"""``nowcast hold``."""

from __future__ import annotations

from typing import Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import command_app

app = command_app()


@app.command()
def hold(
    ctx: typer.Context,
    worker: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORKER]",
            help="Of this worker alone; else of the whole system.",
            autocompletion=complete.workers,
        ),
    ] = None,
) -> None:
    """Launch nothing, of a worker or of the whole system.

    What runs goes on. Messages are taken, and it is decided what follows from
    them: those jobs wait until `nowcast release`. A hold outlasts a restart.

    \b
    Examples:
      nowcast hold
      nowcast hold run_model
    """
    from nowcast_cli.cli.asking import ask_manager
    from nowcast_cli.cli.times import local

    reply = ask_manager(system_of(ctx), "hold", {"worker": worker})
    name, release = worker or "the whole system", f"nowcast release {worker or ''}".rstrip()
    output_of(ctx).line(
        f"{name} is held since {local(reply['since'])}: its jobs wait for {release}"
    )
