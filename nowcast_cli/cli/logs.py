"""``nowcast logs``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.cli.output import Color, Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.logs.records import Record

Level = Literal["debug", "info", "warning", "error", "critical"]

_BETWEEN_LOOKS = 0.1  # seconds
_COLORS: dict[str | None, Color] = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}

app = command_app()


@app.command()
def logs(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Workers or daemons; all without.",
            autocompletion=complete.workers,
        ),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    level: Annotated[
        Level, typer.Option("--level", help="Leave out what is less serious.")
    ] = "debug",
    as_json: Json = False,
) -> None:
    """Show and follow the logs of all daemons and workers.

    \b
    Examples:
      nowcast logs -n 20
      nowcast logs -f manager sleep
      nowcast logs --level warning

    The lines of all log files, in order of time; a line that stands in two
    files is shown once. A line is a log record: a traceback belongs to it.
    """
    system, out = system_of(ctx), output_of(ctx)
    keep = _wanted(names or (), level.upper())
    show = _shown_as_json if as_json else _shown_as_text
    if follow:
        _follow(system, lines, keep, lambda record: show(out, record))
        return
    from nowcast_cli.logs.search import last_records, log_files

    records = last_records(log_files(system.config, system.paths.logs), lines, keep)
    for record in records:
        show(out, record)
    if not records and not as_json:
        out.note(f"no such lines in the log files below {system.paths.logs}")


def _wanted(names: Sequence[str], level: str) -> Callable[[Record], bool]:
    def keep(record: Record) -> bool:
        return (not names or record.name in names) and record.is_at_least(level)

    return keep


def _follow(
    system: System, lines: int, keep: Callable[[Record], bool], show: Callable[[Record], None]
) -> None:
    from nowcast_cli.logs.search import Follower, last_records, log_files

    follower = Follower(lambda: log_files(system.config, system.paths.logs))
    before = follower.positions
    for record in last_records(before, lines, keep, before):
        show(record)
    while True:
        sys.stdout.flush()
        time.sleep(_BETWEEN_LOOKS)
        for record in filter(keep, follower.poll()):
            show(record)


def _shown_as_text(out: Output, record: Record) -> None:
    out.line(Painted(record.text, _COLORS.get(record.level)))


def _shown_as_json(out: Output, record: Record) -> None:
    out.json_line(
        {
            "time": record.time,
            "level": record.level,
            "name": record.name,
            "text": record.text,
            "file": str(record.file),
        }
    )
