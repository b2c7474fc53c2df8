"""Numbers of bytes as people write and read them: ``512 kB``, ``32 MB``, ``1.5 GB``."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


class NotASize(ValueError):
    """What was written is no number of bytes; the text says what one looks like."""


def bytes_of(value: Any) -> int:
    """Give the bytes of a size; a bare number is one of bytes. Raises NotASize."""
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    match = None if isinstance(value, bool) else _SIZE.fullmatch(text)
    size = int(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else 0
    if size <= 0:
        raise NotASize(f"must be a size such as '512 kB', '32 MB' or '1.5 GB', not {value!r}")
    return size


def size_words(size: int) -> str:
    """Give a number of bytes as people read it: ``512 B``, ``3.4 MB``."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.{1 if value < 9.95 else 0}f} {unit}"
    return f"{value / 1000:.1f} TB"
