"""``nowcast validate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nowcast_cli.cli.context import invocation_of, output_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.config import Problem

app = command_app()


@app.command()
def validate(
    ctx: typer.Context,
    form: Annotated[
        Literal["text", "json", "github"],
        typer.Option("--format", help="github: annotations of a pull request."),
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
) -> int:
    """Check the configuration and next_workers.

    All problems are reported at once. The module next_workers is imported in a
    process of its own. The exit code is 2 when there are errors.

    \b
    Examples:
      nowcast validate
      nowcast validate --strict --format github
    """
    file = invocation_of(ctx).config_file
    return report(output_of(ctx), file, find_problems(file), "json" if as_json else form, strict)


def report(out: Output, file: Path, found: list[Problem], form: str, strict: bool = False) -> int:
    """Print the problems of a configuration file, and of files beside it; give the exit code."""
    problems = [_relative(problem) for problem in found]
    if form == "json":
        _print_json(out, file, problems)
    elif form == "github":
        for problem in problems:
            out.line(github_annotation(problem))
    else:
        _print_text(out, problems)
    errors = sum(problem.severity == "error" for problem in problems)
    if form != "json":
        out.note(_summary(file, errors, len(problems) - errors))
    return 2 if errors or (strict and problems) else 0


def find_problems(file: Path) -> list[Problem]:
    """Check a configuration file, then, when it can be loaded, the code that it names."""
    from nowcast_cli.config import Config
    from nowcast_cli.config.check import check
    from nowcast_cli.config.code_check import check_code
    from nowcast_cli.errors import ConfigError
    from nowcast_cli.flows.loading import declared

    problems = check(file)
    if any(problem.path == "python" and problem.severity == "error" for problem in problems):
        return problems
    config = Config()
    try:
        config.load(file)
        return [*problems, *declared(config).problems, *check_code(config)]
    except ConfigError:  # the file cannot be used, and what is wrong with it is in the list
        return problems


def github_annotation(problem: Problem) -> str:
    """Write a problem as a workflow command of GitHub, which shows it at its line."""
    place = [f"file={_escaped(str(problem.file), ',:')}"]
    if problem.line is not None:
        place.append(f"line={problem.line}")
    if problem.column is not None:
        place.append(f"col={problem.column}")
    parts = [f"{problem.path}: {problem.message}" if problem.path else problem.message]
    if problem.hint:
        parts.append(f"hint: {problem.hint}")
    return f"::{problem.severity} {','.join(place)}::{_escaped(chr(10).join(parts))}"


def _escaped(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _print_text(out: Output, problems: list[Problem]) -> None:
    for problem in problems:
        if problem.severity == "error":
            out.line(Painted(problem.text, "red"))
        else:
            out.line(Painted(problem.text, "yellow"), " (warning)")
        if problem.hint:
            out.line("  hint: ", problem.hint)


def _print_json(out: Output, file: Path, problems: list[Problem]) -> None:
    from dataclasses import asdict

    rows = [{**asdict(problem), "file": str(problem.file)} for problem in problems]
    out.json(
        {
            "file": str(file),
            "errors": sum(problem.severity == "error" for problem in problems),
            "warnings": sum(problem.severity == "warning" for problem in problems),
            "problems": rows,
        }
    )


def _summary(file: Path, errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return f"{os.path.relpath(file)} is in order"
    return ", ".join(
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    )


def _relative(problem: Problem) -> Problem:
    """Name files below the current folder as a person there would."""
    from dataclasses import replace

    here = Path.cwd()
    if not problem.file.is_relative_to(here):
        return problem
    return replace(problem, file=problem.file.relative_to(here))
