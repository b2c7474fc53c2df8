"""``nowcast release``."""

from __future__ import annotations

from typing import Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import command_app

app = command_app()


@app.command()
def release(
    ctx: typer.Context,
    worker: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORKER]",
            help="This worker; else the whole system.",
            autocompletion=complete.held_workers,
        ),
    ] = None,
) -> None:
    """Launch again what was held.

    The jobs that waited for it begin. Workers that are held by their names
    stay so when the whole system is released.

    \b
    Examples:
      nowcast release
      nowcast release run_model
    """
    from nowcast_cli.cli.asking import ask_manager

    reply = ask_manager(system_of(ctx), "release", {"worker": worker})
    out = output_of(ctx)
    out.line(f"{worker or 'the whole system'} is released")
    if reply.get("system held"):
        out.note("the whole system is held still: nowcast release")
    elif reply.get("held"):
        out.note(f"held still: {', '.join(reply['held'])}")
