"""Writes docs/reference/cli.md anew: the help of every command, as a terminal shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from nowcast_cli.cli.commands import SECTIONS
from nowcast_cli.cli.context import Invocation
from nowcast_cli.cli.root import build_root, load_command

PAGE = Path(__file__).parents[1] / "docs/reference/cli.md"
HEAD = """\
# Command line

<!-- Written by `make completions`: change the commands, not this page. -->

Exit codes are those of [](exit-codes.md). Data goes to standard output; progress, hints and
errors go to standard error. Every reading command has `--json`, an object with `"schema": 1`
(one object a line where it is a stream).
"""


def render() -> str:
    """Give the page."""
    root = build_root()
    context = typer.Context(
        root,
        info_name="nowcast",
        obj=Invocation(),
        terminal_width=80,
        help_option_names=["-h", "--help"],
    )
    parts = [HEAD, *section("nowcast", root.get_help(context), 2)]
    for title, commands in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in commands:
            parts += described(load_command(name, root), context, 3)
    return "\n".join(parts)


def described(command: Any, parent: typer.Context, depth: int) -> Iterator[str]:
    """Give the sections of a command and of those below it."""
    context = typer.Context(
        command, info_name=command.name, parent=parent, terminal_width=80, max_content_width=80
    )
    yield from section(context.command_path, command.get_help(context), depth)
    for inner in getattr(command, "commands", {}).values():
        yield from described(inner, context, depth + 1)


def section(title: str, text: str, depth: int) -> Iterator[str]:
    """Give one heading and the help below it."""
    yield f"{'#' * depth} `{title}`\n"
    lines = (line.rstrip() for line in text.splitlines())
    yield "```text\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    PAGE.write_text(render())
    print(f"wrote {PAGE}", file=sys.stderr)
