"""Options that several commands share, and how a command module makes its app."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import typer

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
]
Limit: TypeAlias = Annotated[
    int, typer.Option("--limit", "-n", min=1, help="How many at most, the newest.")
]


def command_app() -> typer.Typer:
    """Return the app of a module that is a single command: decorate one function."""
    return typer.Typer(**_PLAIN)


def group_app(summary: str) -> typer.Typer:
    """Return the app of a module that is a group of commands; ``summary`` is its help."""
    app = typer.Typer(**_PLAIN, no_args_is_help=True, help=summary)
    app.callback()(_nothing_of_its_own)
    return app


# rich and the shell detection cost more than everything else that a command does.
_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}


def _nothing_of_its_own() -> None:
    """A group does nothing itself; with a callback typer makes a group of one command too."""
