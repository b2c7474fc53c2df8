"""Which files a pattern such as ``/datamart/**/*.grib2`` stands for. Pure.

``*``, ``?`` and ``[…]`` are within one name, and match no dot at its beginning; ``**`` is any
number of folders. Names are as ``os.fsdecode`` gives them, also those that are not UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MAGIC = re.compile(r"[*?[]")
_ANY_FOLDERS = r"(?:[^/.][^/]*/)*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern; all that it matches lies below ``base``, in at most ``depth`` folders there.

    ``depth`` is None where there is no limit, 0 where the files lie in ``base`` itself.
    """

    text: str
    base: Path
    depth: int | None
    expression: re.Pattern[str]

    def matches(self, path: str) -> bool:
        """Tell whether a file's absolute path is one of the pattern's."""
        return self.expression.fullmatch(path) is not None


def pattern_of(text: str, folder: Path) -> Pattern:
    """Read a pattern; one that is not absolute is below ``folder``."""
    parts = Path(folder / text).parts[1:]
    plain = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    base, rest = Path("/", *parts[:plain]), parts[plain:]
    expression = re.escape(str(base).rstrip("/") + "/")
    for part in rest[:-1]:
        expression += _ANY_FOLDERS if part == "**" else f"{_one_name(part)}/"
    depth = None if "**" in rest[:-1] else len(rest) - 1
    return Pattern(text, base, depth, re.compile(expression + _one_name(rest[-1]), re.DOTALL))


def _one_name(part: str) -> str:
    found = "" if part.startswith(".") or not _MAGIC.search(part) else r"(?!\.)"
    at = 0
    while at < len(part):
        closed = part.find("]", at + 2 + part.startswith("!", at + 1)) if part[at] == "[" else -1
        if closed > 0:
            found += _one_of(part[at + 1 : closed])
            at = closed
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(part[at], re.escape(part[at]))
        at += 1
    return found


def _one_of(characters: str) -> str:
    inside = characters.removeprefix("!")
    escaped = re.sub(r"([\\^\[&~|])", r"\\\1", inside)
    found = f"(?!/)[{'^' if inside != characters else ''}{escaped}]"
    try:
        re.compile(found)
    except re.error:  # such as [z-a], which stands for nothing, as in a shell
        return "(?!)"
    return found
