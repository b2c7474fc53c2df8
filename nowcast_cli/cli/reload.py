"""``nowcast reload``."""

from __future__ import annotations

import typer

from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.plant import refuse_bad_configuration

app = command_app()


@app.command()
def reload(ctx: typer.Context) -> None:
    """Take in a changed configuration and next_workers.

    No message is lost. What cannot be used is refused, and the manager
    goes on with what it had. Changed ports want `nowcast restart`.

    \b
    Examples:
      nowcast reload
    """
    system = system_of(ctx)
    refuse_bad_configuration(system)
    ask_manager(system, "reload", {})
    output_of(ctx).line("reloaded")
