"""``nowcast status``."""

from __future__ import annotations

from typing import Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import Json, command_app

app = command_app()


@app.command()
def status(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Show this service or daemon alone.",
            autocompletion=complete.daemons_and_services,
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Show the daemons, services, jobs and what needs somebody.

    Exit code 0 when all is well, 3 when nothing runs, 5 when something
    needs somebody, 1 when only another user can see it. Of one service or
    daemon: 0 when it is ready, 3 when it is stopped, else 5.

    \b
    Examples:
      nowcast status
      nowcast status ingest
      nowcast status --json
    """
    if name is not None:
        from nowcast_cli.cli.status_of_one import status_of_one

        return status_of_one(output_of(ctx), system_of(ctx), name, json)
    from nowcast_cli.cli.status_report import as_json, gather
    from nowcast_cli.cli.status_screen import show

    report = gather(system_of(ctx))
    out = output_of(ctx)
    if json:
        out.json(as_json(report))
    else:
        show(report, out)
    return report.exit_code
