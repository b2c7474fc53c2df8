"""``nowcast tell``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from nowcast_cli.cli.options import command_app
from nowcast_cli.errors import UsageError

app = command_app()


@app.command()
def tell(
    message_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="A message type of the worker, as success.")
    ],
    payload: Annotated[
        list[str] | None,
        typer.Option(
            "--payload", metavar="KEY=VALUE", help="A part of the payload; JSON, else text."
        ),
    ] = None,
    payload_file: Annotated[
        str | None, typer.Option("--payload-file", metavar="FILE", help="The payload, as JSON.")
    ] = None,
) -> None:
    """Say by which message the job is to end.

    \b
    Examples:
      nowcast tell success --payload waves=forecast.nc --payload hours=36
      nowcast tell success --payload-file summary.json
      nowcast tell failure --payload why="no wind yet"

    To be called in the command of a job. It takes effect when that has ended; of
    several, the last one counts.
    An exit code that is none of the `success codes` is a failure, whatever was
    told.
    """
    from nowcast_cli.executors import job_tool

    try:
        job_tool.tell(message_type, payload or [], payload_file, os.environ)
    except job_tool.ToolError as error:
        raise UsageError(error.what, hint=error.hint) from None
