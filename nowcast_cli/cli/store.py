"""``nowcast store check|repair``."""

from __future__ import annotations

import sys
import time

import typer

from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, Yes, group_app
from nowcast_cli.errors import NotFound, UsageError

app = group_app("Check the store, and rebuild a damaged one.")


@app.command()
def check(ctx: typer.Context, as_json: Json = False) -> int | None:
    """Look for damage, and whether all that is stored agrees.

    \b
    Examples:
      nowcast store check
      nowcast store check --json

    Reads all of the store, with the system up or down. Exit code 1 when something
    is wrong.
    """
    system, out = system_of(ctx), output_of(ctx)
    problems = _problems(system)
    if as_json:
        out.json({"store": str(system.paths.database), "problems": problems})
    else:
        for problem in problems:
            out.line(problem)
        if problems:
            out.note("nowcast stop, then nowcast store repair rebuilds it")
        else:
            out.line(f"{system.paths.database} is sound")
    return 1 if problems else None


@app.command()
def repair(ctx: typer.Context, yes: Yes = False, as_json: Json = False) -> int | None:
    """Set a damaged store aside, and rebuild it from what is left.

    \b
    Examples:
      nowcast stop; nowcast store repair
      nowcast store repair --yes --json

    From the last backup in `backups` of the state directory, what can still be read of
    the damaged store, the folders of jobs, and the checklist file. Jobs that still run are
    taken over; nothing that may have begun is begun again. A sound store is left alone.
    """
    from nowcast_cli.cli.mended import document, say
    from nowcast_cli.manager import restoring
    from nowcast_cli.manager.mending import refuse_running

    system, out = system_of(ctx), output_of(ctx)
    refuse_running(system.paths)
    problems = _problems(system, missing_is_a_problem=True)
    if not problems:
        if as_json:
            out.json({"problems": []})
        else:
            out.line(f"{system.paths.database} is sound: there is nothing to repair")
        return None
    if not yes:
        _ask_leave(problems)
    report = restoring.repair(system.paths, time.time())
    if as_json:
        out.json({"problems": problems, **document(report)})
    else:
        out.line(f"rebuilt {system.paths.database}")
        say(out, report)
    return None


def _problems(system: System, *, missing_is_a_problem: bool = False) -> list[str]:
    from nowcast_cli.manager.checking import problems_of

    try:
        return list(problems_of(system.paths))
    except FileNotFoundError:
        if missing_is_a_problem and system.paths.checklist_file.exists():
            return [f"there is no store {system.paths.database}"]
        raise NotFound(
            f"this system has never been started: there is no store {system.paths.database}",
            hint="nowcast start",
        ) from None


def _ask_leave(problems: list[str]) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "repairing needs --yes where there is no terminal to ask at",
            hint="nowcast store repair --yes",
        )
    for problem in problems:
        typer.echo(problem, err=True)
    typer.confirm("Set the store aside and rebuild it?", abort=True)
