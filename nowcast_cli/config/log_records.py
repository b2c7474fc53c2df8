"""Log records as lines of JSON, in which they wait in a file and travel between hosts. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

LONGEST = 48 * 1024  # bytes of one line; a longer text comes as several records

_YEAR_10000 = 253_402_300_800  # s since 1970

# What a format may ask for, with the types that it has; the text is `msg`.
_KEPT: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "levelno": (int,),
    "levelname": (str,),
    "created": (float, int),
    "process": (int, type(None)),
    "processName": (str, type(None)),
    "threadName": (str, type(None)),
    "module": (str, type(None)),
    "funcName": (str, type(None)),
    "lineno": (int, type(None)),
    "pathname": (str, type(None)),
}


def lines_of(record: logging.LogRecord, text: str) -> Iterator[bytes]:
    """Give a record as lines, each with its end; ``text`` is what it says, with its traceback."""
    line = _line(record, text)
    if len(line) <= LONGEST or len(text) < 2:
        yield line
        return
    middle = len(text) // 2
    cut = text.rfind("\n", 1, middle) + 1 or middle
    yield from lines_of(record, text[:cut].removesuffix("\n"))
    yield from lines_of(record, text[cut:])


def record_of(line: bytes) -> logging.LogRecord | None:
    """Read one line; None for what is no record: half a line that a full disk has left."""
    try:
        value = json.loads(line)
        text = value["msg"]
        if not isinstance(text, str) or not all(
            isinstance(value[key], types) for key, types in _KEPT.items()
        ):
            return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not 0 <= value["created"] < _YEAR_10000:  # no date has such a time; nor has NaN one
        return None
    created = float(value["created"])
    known: dict[str, Any] = {key: _plain(value[key]) for key in _KEPT}
    milliseconds = float(int((created - int(created)) * 1000))
    return logging.makeLogRecord(
        known | {"msg": _plain(text), "created": created, "msecs": milliseconds}
    )


def _plain(value: Any) -> Any:
    """Replace what no file can hold: half of a character, as odd names of files have."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _line(record: logging.LogRecord, text: str) -> bytes:
    value = {key: getattr(record, key) for key in _KEPT}
    return json.dumps({**value, "msg": text}, ensure_ascii=True).encode() + b"\n"
