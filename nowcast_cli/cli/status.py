"""``nowcast status``."""

from __future__ import annotations

import typer

from nowcast_cli.cli.context import output_of
from nowcast_cli.cli.options import Json, command_app

app = command_app()


@app.command()
def status(ctx: typer.Context, json: Json = False) -> int:
    """Show the daemons, jobs and what needs somebody.

    \b
    Examples:
      nowcast status
    """
    output_of(ctx).line("hi")
    return 5
