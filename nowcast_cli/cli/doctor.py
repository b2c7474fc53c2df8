"""``nowcast doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from nowcast_cli.cli.context import invocation_of, output_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.cli.output import Color, Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.doctor.examination import Examined

app = command_app()

_MARKS: dict[str | None, tuple[str, Color]] = {
    None: ("●", "green"),
    "note": ("●", "green"),
    "warning": ("○", "yellow"),
    "error": ("✗", "red"),
}


@app.command()
def doctor(ctx: typer.Context, as_json: Json = False) -> int:
    """Look for what is wrong, and say what to do about it.

    Looks at the installation, the configuration, the machine, the other hosts
    that workers run on, the files and the daemons, and sends each executor a
    job that does nothing; changes nothing. Exit code 0 when all is well, 5
    when something needs somebody, 1 when the system cannot work.

    \b
    Examples:
      nowcast doctor
      nowcast doctor --json | jq '.checks[].findings[]'
    """
    from nowcast_cli.doctor.examination import examine, exit_code

    out = output_of(ctx)
    examined = []
    for each in examine(invocation_of(ctx).config_file, os.environ):
        examined.append(each)
        if not as_json:
            _print(out, each)
    code = exit_code(examined)
    if as_json:
        verdict = {0: "well", 5: "degraded", 1: "ill"}[code]
        out.json({"verdict": verdict, "checks": [_as_json(each) for each in examined]})
    else:
        _print_sum(out, examined)
    return code


def _print(out: Output, examined: Examined) -> None:
    mark, color = _MARKS[examined.level]
    out.line(Painted(mark, color), f" {examined.name}")
    for finding in examined.findings:
        words: Color = {"note": "dim", "warning": "yellow", "error": "red"}[finding.level]  # type: ignore[assignment]
        out.line("    ", Painted(f"{finding.level}: ", words), finding.what)
        if finding.remedy:
            out.line("      remedy: ", finding.remedy)
    if examined.level in ("warning", "error"):
        out.line("      ", Painted(examined.meaning, "dim"))


def _print_sum(out: Output, examined: list[Examined]) -> None:
    counts = {
        level: sum(finding.level == level for each in examined for finding in each.findings)
        for level in ("error", "warning")
    }
    words = [
        f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts.items() if count
    ]
    out.note(f"{len(examined)} checks: {', '.join(words) or 'all is well'}")


def _as_json(examined: Examined) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "name": examined.name,
        "level": examined.level or "ok",
        "meaning": examined.meaning,
        "findings": [asdict(finding) for finding in examined.findings],
    }
