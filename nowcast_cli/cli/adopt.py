"""``nowcast adopt``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli.context import invocation_of, output_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.cli.output import Color, Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.adopt.additions import Addition
    from nowcast_cli.adopt.finding import Finding

app = command_app()

_COLORS: dict[str, Color] = {
    "used": "green",
    "yours": "green",
    "ignored": "yellow",
    "differs": "yellow",
}


@app.command()
def adopt(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, help="The deployment, or its configuration file."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Add what is missing.")] = False,
    json: Json = False,
) -> int:
    """Say what becomes of a deployment of NEMO_Nowcast.

    Looks at nowcast.yaml, supervisord.ini or circus.ini, environment files and
    imports, and says line by line what is used, yours, ignored, what differs
    and why, and what is to mend. Nothing of it is run. The exit code is 2 when
    something is to mend.

    \b
    Examples:
      nowcast adopt ~/my-deployment
      nowcast adopt ~/my-deployment --write
    """
    from nowcast_cli.adopt.additions import write as write_addition
    from nowcast_cli.adopt.report import report_on

    asked = invocation_of(ctx)
    report = report_on(folder or asked.config or asked.directory or Path())
    if write:
        for addition in report.additions:
            write_addition(addition)
    out = output_of(ctx)
    if json:
        _print_json(out, report.findings, report.additions, written=write)
    else:
        _print_text(out, report.findings, report.additions, written=write)
        if report.additions and not write:
            out.note("nothing was written; to add these lines: nowcast adopt --write")
    return 2 if any(finding.verdict == "mend" for finding in report.findings) else 0


def _print_text(
    out: Output, findings: tuple[Finding, ...], additions: tuple[Addition, ...], *, written: bool
) -> None:
    file = None
    for finding in findings:
        if finding.file != file:
            file = finding.file
            out.line(Painted(os.path.relpath(file), "bold"))
        line = "" if finding.line is None else str(finding.line)
        verdict = Painted(f"{finding.verdict:7}", _COLORS.get(finding.verdict, "red"))
        out.line(f"{line:>5}  ", verdict, f"  {finding.what}: {finding.why}")
    for addition in additions:
        what = " ".join(line for line in addition.text.splitlines() if line[:1] not in ("", "#"))
        word = Painted("added  " if written else "to add ", "blue")
        out.line(Painted(os.path.relpath(addition.file), "bold"))
        out.line(f"{addition.after + 1:>5}  ", word, f"  {what}: {addition.why}")


def _print_json(
    out: Output, findings: tuple[Finding, ...], additions: tuple[Addition, ...], *, written: bool
) -> None:
    from dataclasses import asdict

    out.json(
        {
            "findings": [{**asdict(each), "file": str(each.file)} for each in findings],
            "additions": [
                {**asdict(each), "file": str(each.file), "written": written} for each in additions
            ],
        }
    )
