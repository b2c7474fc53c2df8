"""``{date}`` and ``{crop.files}`` in the values of a step: what a run fills in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# {{ and }} stand for themselves.
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


class BadPlaceholder(ValueError):
    """A text has braces that hold no reference; the exception's text says which."""


def references(value: Any) -> Iterator[str]:
    """Give what the texts in a value refer to, in their order. Raises BadPlaceholder."""
    for text in _texts(value):
        for part in _PART.finditer(text):
            if part[0] in ("{", "}"):
                raise BadPlaceholder(f"{text!r} has a {part[0]} alone; write {part[0] * 2} for it")
            if part[1] is not None:
                if not _REFERENCE.fullmatch(part[1]):
                    raise BadPlaceholder(
                        f"{part[0]} names nothing; a name, or STEP.VALUE, can stand there"
                    )
                yield part[1]


def is_reference(name: str) -> bool:
    """Say whether a name can stand in braces by itself."""
    return "." not in name and _REFERENCE.fullmatch(name) is not None


def filled_in(value: Any, find: Callable[[str], Any]) -> Any:
    """Give the value with its placeholders replaced by what ``find`` gives for each reference.

    A text that is one placeholder alone becomes the very value, with its type; else texts are
    put together. ``find`` raises KeyError for what it does not know.
    """
    if isinstance(value, str):
        whole = _PART.fullmatch(value)
        if whole is not None and whole[1] is not None:
            return find(whole[1])
        return _PART.sub(lambda part: _text_of(part, find), value)
    if isinstance(value, Mapping):
        return {key: filled_in(item, find) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled_in(item, find) for item in value)
    return value


def _text_of(part: re.Match[str], find: Callable[[str], Any]) -> str:
    return part[0][0] if part[1] is None else str(find(part[1]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
