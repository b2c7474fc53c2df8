"""Finding values in a checklist by what a person types, and printing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from nowcast_cli.errors import NotFound


def look_up(checklist: Any, key: str) -> Any:
    """Give the value at ``key``; ``a/b`` is the value at ``b`` in the mapping at ``a``.

    Keys that are not text (dates, numbers) are found by the text that the file shows. A key that
    holds a slash itself is found too. Raises KeyError.
    """
    if not isinstance(checklist, Mapping):
        raise KeyError(key)
    by_text = {str(name): value for name, value in checklist.items()}
    if key in by_text:
        return by_text[key]
    parts = key.split("/")
    for length in range(len(parts) - 1, 0, -1):
        head, rest = "/".join(parts[:length]), "/".join(parts[length:])
        if head in by_text:
            return look_up(by_text[head], rest)
    raise KeyError(key)


def selection(checklist: Mapping[Any, Any], keys: Sequence[str]) -> dict[Any, Any]:
    """Give the part of the checklist at ``keys``, in their order; all of it without keys.

    Raises NotFound that names the keys that are not there.
    """
    if not keys:
        return dict(checklist)
    found: dict[Any, Any] = {}
    missing = []
    for key in keys:
        try:
            found[key] = look_up(checklist, key)
        except KeyError:
            missing.append(key)
    if missing:
        raise _no_keys(checklist, missing)
    return found


def equals(value: Any, text: str) -> bool:
    """Tell whether ``text``, as YAML or as it stands, is ``value``."""
    import yaml

    if str(value) == text:
        return True
    try:
        return bool(yaml.load(text, Loader=yaml.CSafeLoader) == value)
    except (yaml.YAMLError, ValueError):
        return False


def as_yaml(value: Any) -> str:
    """Give a value as YAML, keys in the order in which they came."""
    import yaml

    dumped: str = yaml.dump(
        value,
        Dumper=yaml.CSafeDumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
    )
    return dumped


def as_json(value: Any) -> Any:
    """Give a value that JSON can hold: dates, and keys that are not text, as their text."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _no_keys(checklist: Mapping[Any, Any], missing: Sequence[str]) -> NotFound:
    keys = [str(key) for key in checklist]
    close = get_close_matches(missing[0], keys, 1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    elif keys:
        hint = f"there are: {', '.join(sorted(keys)[:20])}"
    else:
        hint = "the checklist is empty"
    named = " and no ".join(repr(key) for key in missing)
    return NotFound(f"the checklist has no {named}", hint=hint)
