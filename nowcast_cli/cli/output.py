"""What commands print: data on stdout, everything else on stderr, colour only where it is wanted.

Commands use one :class:`Output`; it knows whether a stream takes colour. No rich.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO, TypeAlias

from nowcast_cli.errors import ConfigError, NowcastError

SCHEMA = 1
ColorChoice: TypeAlias = Literal["auto", "always", "never"]
Color: TypeAlias = Literal["red", "green", "yellow", "blue", "bold", "dim"]

_CODES: dict[str, str] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "bold": "1",
    "dim": "2",
}


@dataclass(frozen=True)
class Painted:
    """Text with a colour, for a line or a table's cell; the colour never says it alone."""

    text: str
    color: Color | None = None


Text: TypeAlias = str | Painted


def wants_color(choice: ColorChoice, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Say whether ``stream`` takes colour: ``--color``, then ``NO_COLOR``, ``TERM``, a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return stream.isatty()


class Output:
    """The streams of one command. ``color`` is the value of ``--color``."""

    def __init__(self, color: ColorChoice = "auto") -> None:
        self.color = color

    def line(self, *parts: Text) -> None:
        """Print one line of data on stdout, the parts joined without a space."""
        print(self._render(parts, sys.stdout))

    def note(self, *parts: Text) -> None:
        """Print one line of progress or advice on stderr."""
        print(self._render(parts, sys.stderr), file=sys.stderr, flush=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        """Print rows under a header in aligned columns; nothing at all when there are no rows."""
        if not rows:
            return
        heading: list[Text] = [Painted(name.upper(), "bold") for name in header]
        self.columns([heading, *rows])

    def columns(self, rows: Sequence[Sequence[Text]], indent: int = 0) -> None:
        """Print rows in aligned columns, two spaces apart, each indented by ``indent`` spaces."""
        for row in _aligned(rows):
            self.line(" " * indent, *row)

    def json(self, document: Mapping[str, Any]) -> None:
        """Print one JSON object; ``"schema": 1`` is put before its keys."""
        print(_dumped(document, indent=2))

    def json_line(self, document: Mapping[str, Any]) -> None:
        """Print one JSON object on one line at once, for commands whose output is a stream."""
        print(_dumped(document), flush=True)

    def tolerate_any_character(self) -> None:
        """Print ``?`` for what the terminal's encoding lacks, instead of failing."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")

    def _render(self, parts: Sequence[Text], stream: TextIO) -> str:
        colored = wants_color(self.color, stream, os.environ)
        return "".join(_render_part(part, colored) for part in parts)


def print_error(error: NowcastError, out: Output) -> None:
    """Print what happened, why, and the remedy, each on its own line of stderr."""
    first, *rest = error.what.splitlines() or [""]
    out.note(Painted("error: ", "red"), first)
    for line in rest:
        if isinstance(error, ConfigError):
            out.note(Painted("error: ", "red"), line)
        else:
            out.note("       ", line)
    if error.cause:
        out.note(Painted("caused by: ", "yellow"), error.cause)
    if error.hint:
        out.note(Painted("hint: ", "blue"), error.hint)


def _dumped(document: Mapping[str, Any], indent: int | None = None) -> str:
    import json

    return json.dumps({"schema": SCHEMA, **document}, indent=indent)


def _render_part(part: Text, colored: bool) -> str:
    if isinstance(part, str):
        return part
    if part.color is None or not colored:
        return part.text
    return f"\x1b[{_CODES[part.color]}m{part.text}\x1b[0m"


def _aligned(rows: Sequence[Sequence[Text]]) -> list[list[Text]]:
    widths: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths.get(column, 0), len(_plain(cell)))
    return [_aligned_row(row, widths) for row in rows]


def _aligned_row(row: Sequence[Text], widths: Mapping[int, int]) -> list[Text]:
    parts: list[Text] = []
    last = max((column for column, cell in enumerate(row) if _plain(cell)), default=-1)
    for column, cell in enumerate(row[: last + 1]):
        parts.append(cell)
        if column < last:  # no blanks at the end of a line
            parts.append(" " * (widths[column] - len(_plain(cell)) + 2))
    return parts


def _plain(cell: Text) -> str:
    return cell if isinstance(cell, str) else cell.text
