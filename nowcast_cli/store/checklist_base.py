"""The checklist as it was after the last message that may be removed from the journal.

It stands in ``checklist_base.yaml`` beside the store, in the form of the checklist file. Its
first line says up to which message the journal is not needed any more to know the checklist:
what came later can be folded into it. Written before the first of those messages goes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.store.checklist_file import header_line, read_checklist, read_header
from nowcast_cli.store.checklist_text import dump


def base_file(database: Path) -> Path:
    """Give the place of the base of a store."""
    return database.with_name("checklist_base.yaml")


def base_number(database: Path) -> int:
    """Give the number of the last message that the base holds, 0 where there is none."""
    return read_header(base_file(database)) or 0


def read_base(database: Path) -> tuple[int, dict[Any, Any]]:
    """Give that number, and the checklist as it was then. Raises NowcastError where damaged."""
    number = base_number(database)
    return (number, read_checklist(base_file(database))) if number else (0, {})


def write_base(database: Path, checklist: dict[Any, Any], number: int, now: str) -> None:
    """Write the base anew, whole or not at all. Raises OSError."""
    text = header_line(number, now) + (dump(checklist) if checklist else "{}\n")
    write_atomically(base_file(database), text.encode())
