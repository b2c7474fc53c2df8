"""Frames that hold a JSON text, read field by field; what is wrong is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LARGEST = 1e300  # of numbers: an integer of JSON may be too large for a float


class BadFrame(ValueError):
    """A frame is not what it should be; a sentence says why."""


def value_of(text: bytes) -> Any:
    """Read any value. Raises BadFrame."""
    try:
        value = _decode(bytes(text).decode("utf-8"))
        if b"\\u" in text:  # may hold half a surrogate pair, which is no text
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a frame is not JSON: {error}") from None
    return value


def mapping_of(text: bytes, what: str) -> dict[str, Any]:
    """Read a mapping, which is called ``what``. Raises BadFrame."""
    value = value_of(text)
    if not isinstance(value, dict):
        raise BadFrame(f"{what} is a mapping, not {str(value)[:60]!r}")
    return value


_REQUIRED: Any = object()


def field_of(kind: type[Any], given: Mapping[str, Any], name: str, default: Any = _REQUIRED) -> Any:
    """Give the field ``name``, of that very type; without it, ``default``. Raises BadFrame."""
    value = given.get(name, default)
    if type(value) is kind or (value is default and default is not _REQUIRED):
        return value
    raise BadFrame(f"{name} is {'missing' if name not in given else 'not of its kind'}")


def number_of(given: Mapping[str, Any], name: str, default: Any = _REQUIRED) -> float:
    """Give the number in the field ``name``; without it, ``default``. Raises BadFrame."""
    value = given.get(name, default)
    if type(value) in (int, float) and abs(value) < LARGEST:
        return float(value)
    raise BadFrame(f"{name} is no number")


def texts_of(value: Any, what: str) -> tuple[str, ...]:
    """Give a list of texts, which is called ``what``. Raises BadFrame."""
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        raise BadFrame(f"{what} is a list of texts")
    return tuple(value)


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_json).decode
