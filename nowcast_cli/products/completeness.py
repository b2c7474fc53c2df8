"""What an instance has, and what a complete one has. Pure.

``expects`` is ``{count}``, or ``{variables, hours, members}`` with lists, or both. What is missing
is kept as ``{parts: [[variable, member, hours], …]}``: of a variable and a member (None: any), the
hours that no file has, as a text such as ``3..5,9`` (empty: it is there for no hour at all).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from nowcast_cli.products.times import time_of
from nowcast_cli.store.product_records import DataRecord

_HOUR = 3600.0
_SHOWN = 5
Missing = Mapping[str, Any]


def all_missing(expects: Mapping[str, Any] | None) -> Missing | None:
    """Give what an instance lacks that has nothing; None where nothing but a number is asked."""
    if expects is None or not {"variables", "hours", "members"} & expects.keys():
        return None
    variables = expects.get("variables") or [None]
    members = [None if each is None else str(each) for each in expects.get("members") or [None]]
    hours = _ranges(expects.get("hours") or ())
    return {
        "parts": [[variable, member, hours] for variable, member in product(variables, members)]
    }


def without(missing: Missing | None, reference: str, found: Iterable[DataRecord]) -> Missing | None:
    """Give what is missing still, now that there are these files, too."""
    if missing is None or not missing["parts"]:
        return missing
    begin = time_of(reference).timestamp()
    spans = [(data, *_span(data, begin)) for data in found]
    parts = []
    for variable, member, said in missing["parts"]:
        of_it = [span for span in spans if _is_of(span[0], variable, member)]
        left = [
            hour
            for hour in _hours(said)
            if not any(first <= hour * _HOUR <= last for _, first, last in of_it)
        ]
        if left or (not said and not of_it):
            parts.append([variable, member, _ranges(left)])
    return {"parts": parts}


def is_complete(expects: Mapping[str, Any] | None, missing: Missing | None, files: int) -> bool:
    """Say whether an instance with so many files, which lacks this, has all that is expected."""
    if expects is None:
        return files > 0
    return files >= (expects.get("count") or 1) and not (missing and missing["parts"])


def missing_words(expects: Mapping[str, Any] | None, missing: Missing | None, files: int) -> str:
    """Say what is missing, for people; empty where nothing is."""
    if is_complete(expects, missing, files):
        return ""
    said = []
    count = (expects or {}).get("count")
    if count and files < count:
        said.append(f"{count - files} of {count} files")
    parts = list(missing["parts"]) if missing else []
    said += [_part_words(*part) for part in parts[:_SHOWN]]
    if len(parts) > _SHOWN:
        said.append(f"and {len(parts) - _SHOWN} more")
    return ", ".join(said) or "a file"


def _part_words(variable: str | None, member: str | None, hours: str) -> str:
    words = [] if variable is None else [variable]
    if member is not None:
        words.append(f"of member {member}")
    if hours:
        words.append(
            f"{'at' if words else ''} hour{'' if hours.isdigit() else 's'} {hours}".strip()
        )
    return " ".join(words)


def _is_of(data: DataRecord, variable: str | None, member: str | None) -> bool:
    return (variable is None or variable in data.variables) and member in (None, data.member)


def _span(data: DataRecord, begin: float) -> tuple[float, float]:
    """Give the seconds after the reference time that a file is valid for; none, where unknown."""
    if data.time_begin is None and data.time_end is None:
        return 1.0, 0.0
    first = time_of(data.time_begin or data.time_end or "").timestamp()
    last = time_of(data.time_end or data.time_begin or "").timestamp()
    return first - begin, last - begin


def _ranges(numbers: Sequence[int]) -> str:
    """Give whole numbers as a text: ``0..24``, ``0..6,12``."""
    said: list[list[int]] = []
    for number in numbers:
        if said and number == said[-1][1] + 1:
            said[-1][1] = number
        else:
            said.append([number, number])
    return ",".join(f"{low}" if low == high else f"{low}..{high}" for low, high in said)


def _hours(said: str) -> Iterator[int]:
    for part in said.split(",") if said else ():
        low, _, high = part.partition("..")
        yield from range(int(low), int(high or low) + 1)
