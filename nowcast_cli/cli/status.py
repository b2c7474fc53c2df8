"""``nowcast status``."""

from __future__ import annotations

import typer

from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import Json, command_app

app = command_app()


@app.command()
def status(ctx: typer.Context, json: Json = False) -> int:
    """Show the daemons, jobs and what needs somebody.

    Exit code 0 when all is well, 3 when nothing runs, 5 when something
    needs somebody, 1 when only another user can see it.

    \b
    Examples:
      nowcast status
      nowcast status --json
    """
    from nowcast_cli.cli.status_report import as_json, gather
    from nowcast_cli.cli.status_screen import show

    report = gather(system_of(ctx))
    out = output_of(ctx)
    if json:
        out.json(as_json(report))
    else:
        show(report, out)
    return report.exit_code
