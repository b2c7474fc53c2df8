"""CSV: a line of names, then lines with as many fields; times from a column that is called so."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime

from nowcast_cli.products.scanning import Contents, ScannedFile

_ENDINGS = (".csv", ".tsv")
_TIMES = frozenset({"time", "date", "datetime", "date_time", "timestamp", "valid_time"})
_SEPARATORS = ",;\t|"


def recognises(name: str, _head: bytes) -> bool:
    """Say whether a file is called so: nothing in a CSV file tells that it is one."""
    return name.lower().endswith(_ENDINGS)


def scan(file: ScannedFile) -> Contents:
    """Read all rows. Raises NotWhole for one that has not as many fields as there are names."""
    lines = _lines(file)
    header = next((line for line in lines if line.strip()), None)
    if header is None:
        raise file.refused("has no line of names")
    separator = max(_SEPARATORS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator))]
    column = next((at for at, name in enumerate(names) if name.lower() in _TIMES), None)
    begin = end = None
    try:
        for number, row in enumerate(csv.reader(lines, delimiter=separator, strict=True), 1):
            if not row:
                continue
            if len(row) != len(names):
                raise file.refused(
                    f"is not whole: row {number} has {len(row)} of {len(names)} fields"
                )
            time = _time(row[column]) if column is not None else None
            if time is not None:
                begin = time if begin is None else min(begin, time)
                end = time if end is None else max(end, time)
    except csv.Error as error:
        raise file.refused(f"is no CSV file, or is not whole: {error}") from error
    variables = (name for at, name in enumerate(names) if name and at != column)
    return Contents(tuple(sorted(set(variables))), begin, end)


def _lines(file: ScannedFile) -> Iterator[str]:
    """Give the lines but for comments. Raises NotWhole for what is no text."""
    try:
        line = file.readline().removeprefix(b"\xef\xbb\xbf")
        while line:
            if not line.startswith(b"#"):
                yield line.decode()
            line = file.readline()
    except UnicodeDecodeError as error:
        raise file.refused("is no CSV file: it is not text in UTF-8") from error


def _time(text: str) -> datetime | None:
    """Read a time in ISO 8601, in UTC where no zone is said; None for anything else."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
