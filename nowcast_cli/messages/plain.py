"""Frozen dataclasses as plain JSON values and back, by the types of their fields.

Fields are ``str``, ``int``, ``float``, ``bool``, one of several words, other such dataclasses,
tuples of one of these, mappings that are taken as they are, and each of them or ``None``. What a
reader does not know is passed over, and a field with a default may be left out: so either side
may be the newer one.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class NotPlain(ValueError):
    """A value is not of the form that is asked for; the text names the place."""


def to_plain(value: Any) -> Any:
    """Give a dataclass, or what its fields hold, as mappings, lists, text and numbers."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], value: Any, where: str = "") -> T:
    """Read what :func:`to_plain` gave of a dataclass ``kind``. Raises NotPlain."""
    if not isinstance(value, Mapping):
        raise NotPlain(f"{where or kind.__name__} must be a mapping, not {_short(value)}")
    given: dict[str, Any] = {}
    known: Any = kind  # which is hashable, though mypy does not see it of a type[T]
    for name, (hint, required) in _fields_of(known).items():
        if name in value:
            given[name] = _read(hint, value[name], f"{where}.{name}" if where else name)
        elif required:
            raise NotPlain(f"{where + '.' if where else ''}{name} is missing")
    return kind(**given)


@cache
def _fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING is field.default_factory)
        for field in fields(kind)
    }


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        return _read(next(kind for kind in get_args(hint) if kind is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise NotPlain(f"{where} must be a list, not {_short(value)}")
        item = get_args(hint)[0]
        return tuple(_read(item, each, f"{where}[{at}]") for at, each in enumerate(value))
    if origin is Literal:
        if value not in get_args(hint):
            raise NotPlain(f"{where} must be one of {', '.join(get_args(hint))}")
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value, where)
    return _scalar(origin or hint, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    if kind is Mapping and isinstance(value, Mapping):
        return value
    raise NotPlain(f"{where} must be a {kind.__name__}, not {_short(value)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
