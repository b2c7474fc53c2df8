"""``nowcast publish``."""

from __future__ import annotations

import os
from enum import Enum
from typing import Annotated

import typer

from nowcast_cli.cli.context import output_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.errors import NowcastError

app = command_app()


class Kind(Enum):
    """In which form something is published, beside the plain one."""

    SYMLINK = "symlink"


@app.command()
def publish(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file or a folder; it is moved.")],
    destination: Annotated[
        str, typer.Argument(metavar="DEST", help="The path that it gets, name and all.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--as", help="A symlink to it; so a folder, too, is replaced at one instant."),
    ] = None,
) -> None:
    """Put a file in place: the old one or all of the new.

    \b
    Examples:
      nowcast publish forecast.nc /results/latest/forecast.nc
      nowcast publish plots /var/www/plots --as symlink

    In the command of a job it takes effect when the command has succeeded,
    together with the declared outputs: all, or none.
    """
    from nowcast_cli.executors import job_tool

    try:
        is_there = job_tool.publish(file, destination, kind is not None, os.environ)
    except job_tool.ToolError as error:
        raise NowcastError(error.what, hint=error.hint) from None
    if not is_there:
        output_of(ctx).note(f"{file} goes to {destination} when the command has succeeded")
