"""``nowcast reload``."""

from __future__ import annotations

from pathlib import Path

import typer

from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import invocation_of, output_of, system_of
from nowcast_cli.cli.options import command_app

app = command_app()


@app.command()
def reload(ctx: typer.Context) -> None:
    """Take in a changed configuration and next_workers.

    No message is lost. What `nowcast validate` finds an error in is refused,
    and the manager goes on with what it had. Changed ports want `restart`.

    \b
    Examples:
      nowcast reload
    """
    _refuse_errors(invocation_of(ctx).config_file)
    ask_manager(system_of(ctx), "reload", {})
    output_of(ctx).line("reloaded")


def _refuse_errors(config_file: Path) -> None:
    """Raise ConfigError with all errors of the configuration and of the code that it names."""
    from nowcast_cli.cli.validate import find_problems
    from nowcast_cli.config.check import refuse_errors

    refuse_errors(find_problems(config_file))
