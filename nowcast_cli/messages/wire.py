"""YAML for values that come from others: what cannot be carried is refused with its place.

The C loader and dumper are used throughout. The loader overflows the C stack on deep nesting,
which no ``except`` can catch, so depth is bounded before it sees the text.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from nowcast_cli.config.limits import DEEPEST, Limits

# Bits of an integer. Hexadecimal text can hold one that Python refuses to write in decimal.
LONGEST_INTEGER = 10_000

_PLAIN_SCALARS = frozenset({str, bool, type(None)})
_LARGEST_PLAIN = 10**18
_MOST_PLAIN = 4_000_000  # values, those that stand in several places counted at each
_LONGEST_KEY = 500  # characters; YAML looks for the colon of a key within 1024
_MAY_NEST = re.compile(rf"[ \t?:\-]{{{DEEPEST}}}")
# What is dumped was taken in by the limits of its day; only what has no end is refused.
_ENDLESS_ALONE = Limits(payload_values=1 << 62)
_TAG = r"the tag '(?P<tag>[^']*)'"
_PLACE = r"\bin \"<[^\"]*>\", line (\d+), column (\d+)"


class WireError(Exception):
    """A value cannot be dumped or loaded; the text is the part of a sentence after a colon."""


class _Loader(yaml.CSafeLoader):
    """Safe loader without merge keys: ten lines of them can fill the memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys where they are, which makes them an error."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Refuse an integer that could not be dumped again."""
        number: int = super().construct_yaml_int(node)
        if number.bit_length() > LONGEST_INTEGER:
            raise WireError("the payload holds an integer of more than 3,000 digits")
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _Dumper(yaml.CSafeDumper):
    """Safe dumper that writes no key which the loader could not read."""


def _represent_dict(dumper: _Dumper, value: dict[Any, Any]) -> yaml.MappingNode:
    if any(key.__class__ is tuple for key in value):
        raise yaml.representer.RepresenterError("a tuple is a key")
    return dumper.represent_dict(value)


_Dumper.add_representer(dict, _represent_dict)


def dump(value: Any) -> str:
    """Give ``value`` as YAML text; tuples become lists.

    Raises WireError, which names the place and what to send instead.
    """
    try:
        with _no_collection():
            text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        if "*" in text:
            _measure(value, {}, 0, _ENDLESS_ALONE)
    except RecursionError:
        raise _too_deep(DEEPEST) from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        place = next(_unsendable(value, ""), None)
        raise WireError(place or str(error)) from None
    return text


def dump_fast(value: dict[str, Any]) -> str:
    """Give a mapping as text of which JSON's and YAML's reading are the same, where it has one.

    Reading that takes a twentieth of the time of other YAML. What has no such text (dates, integer
    keys, tuples, letters beyond ASCII, numbers like 1e+22) goes as YAML. Raises WireError.
    """
    if _is_plain(value, 0, [_MOST_PLAIN]):
        text = json.dumps(value, ensure_ascii=False)
        if text.isascii() and "\x7f" not in text:
            return text
    return dump(value)


def _is_plain(value: Any, depth: int, left: list[int]) -> bool:
    """Tell whether JSON can hold it; never for what is written out as more than ``left`` values.

    A few lists that hold one another by the dozen would be more than there is time or memory for.
    """
    kind = type(value)
    if kind is int:
        return bool(-_LARGEST_PLAIN < value < _LARGEST_PLAIN)
    if kind in _PLAIN_SCALARS:
        return True
    if kind is float:
        return "e" not in (text := repr(value)) and "n" not in text
    if depth > DEEPEST // 2 or (kind is not list and kind is not dict):
        return False
    left[0] -= len(value)
    if left[0] < 0:
        return False
    if kind is list:
        return all(_is_plain(item, depth + 1, left) for item in value)
    return all(
        type(key) is str and len(key) < _LONGEST_KEY and _is_plain(item, depth + 1, left)
        for key, item in value.items()
    )


def refuse_much(payload: Any, text: str, limits: Limits) -> None:
    """Raise WireError for a payload, written as ``text``, that is more than ``limits`` allow."""
    if _may_be_much(text, limits) or (not text.startswith('{"') and _may_be_deep(text)):
        _measure(payload, {}, 1, limits)


def _may_be_much(text: str, limits: Limits) -> bool:
    """Tell quickly that a text holds neither too many values nor too deep ones, as nearly all."""
    if limits.payload_depth < DEEPEST or "*" in text:
        return True
    return len(text) > limits.payload_values and _most_values(text) > limits.payload_values


def _most_values(text: str) -> int:
    """Give a number of values that YAML text does not pass, aliases left aside."""
    return 1 + sum(map(text.count, ",:\n[{-?"))


def load(text: str | bytes, limits: Limits | None = None) -> Any:
    """Read YAML text, whoever has written it; ``limits`` is None for what was taken in before.

    Raises WireError, and nothing else, whatever ``text`` holds.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise WireError(f"it is not text in UTF-8 (byte {error.start})") from None
    try:
        with _no_collection():
            if _may_be_deep(decoded):
                _refuse_deep(decoded)
            elif decoded.startswith('{"'):
                try:
                    plain = _PLAIN.decode(decoded)
                    if "\\u" in decoded:  # may hold half a surrogate pair, which is no text
                        json.dumps(plain, ensure_ascii=False).encode("utf-8")
                    if limits is not None and _may_be_much(decoded, limits):
                        _measure(plain, {}, 0, limits)
                    return plain
                except ValueError:
                    pass  # it is YAML in its flow style
            if limits is not None and _most_values(decoded) > limits.payload_values:
                _refuse_many(decoded, limits)  # before they fill the memory as nodes
            value = yaml.load(decoded, Loader=_Loader)  # a safe loader
    except WireError:
        raise
    except Exception as error:
        # PyYAML's constructors raise whatever they trip over: IndexError for an empty !!int,
        # AttributeError for a wrong !!timestamp, ValueError for the 31st of February.
        raise WireError(_explain(error)) from None
    if limits is not None and _may_be_much(decoded, limits):
        _measure(value, {}, 0, limits)
    return value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from going through the nodes of a large document again and again.

    A megabyte of small values loads in 0.4 s instead of 1.4.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _not_json(constant: str) -> Any:
    raise ValueError(constant)


_PLAIN = json.JSONDecoder(parse_constant=_not_json)


def _may_be_deep(text: str) -> bool:
    """Tell quickly that a text cannot be deep, as nearly all cannot."""
    opened = text.count("[") + text.count("{") - text.count("[]") - text.count("{}")
    return opened >= DEEPEST or _MAY_NEST.search(text) is not None


def _refuse_deep(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST + 1:  # the message is one
                raise _too_deep(DEEPEST)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_many(text: str, limits: Limits) -> None:
    values = 0
    for event in yaml.parse(text, Loader=_Loader):
        values += isinstance(event, yaml.NodeEvent)
        if values > limits.payload_values:
            raise _too_many(limits)


def _too_deep(deepest: int) -> WireError:
    return WireError(f"the payload is nested more than {deepest} deep (limits.payload depth)")


def _too_many(limits: Limits) -> WireError:
    return WireError(
        f"the payload has more than {limits.payload_values:,} values (limits.payload values) "
        "once its aliases are followed"
    )


def _explain(error: Exception) -> str:
    found = re.search(_TAG, str(error))
    at = re.search(_PLACE, str(error))
    place = f" (line {at[1]}, column {at[2]})" if at else ""
    if found and ":python/" in found["tag"]:
        kind = re.split(r"[/:.]", found["tag"])[-1]
        return f"the payload holds a Python {kind}{place}: send lists, text and numbers"
    if found:
        return f"the payload holds a value with the tag {found['tag']!r}{place}, which is not known"
    reason = getattr(error, "problem", None) or str(error) or type(error).__name__
    return f"it is not valid YAML: {reason}{place}"


def _measure(
    value: Any, known: dict[int, tuple[int, int] | None], depth: int, limits: Limits
) -> tuple[int, int]:
    """Give height and number of values, aliases followed; refuse what is endless.

    ``depth`` counts the message itself: the payload is at 1, where ``limits`` begin to count.
    """
    if not isinstance(value, dict | list | tuple | set):
        return 0, 1
    if depth > limits.payload_depth:
        raise _too_deep(limits.payload_depth)
    if len(value) > limits.payload_values:
        raise _too_many(limits)
    if id(value) in known:
        before = known[id(value)]
        if before is None:
            raise WireError("the payload holds itself")
        return _bounded(before[0], before[1], depth, limits)
    known[id(value)] = None
    parts = [_measure(item, known, depth + 1, limits) for item in _items(value)]
    height = 1 + max((part[0] for part in parts), default=0)
    size = 1 + sum(part[1] for part in parts)
    known[id(value)] = height, size
    return _bounded(height, size, depth, limits)


def _bounded(height: int, size: int, depth: int, limits: Limits) -> tuple[int, int]:
    if depth + height > limits.payload_depth + 1:
        raise _too_deep(limits.payload_depth)
    if size > limits.payload_values:
        raise _too_many(limits)
    return height, size


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    else:
        yield from value


def _unsendable(value: Any, path: str) -> Iterator[str]:
    """Walk to the values that cannot be sent, with their places."""
    if isinstance(value, str) and type(value) is str:
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield f"{path}: text with bytes that are not UTF-8 cannot be sent"
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is tuple:
                yield f"{path}: the key {key!r} is a tuple and cannot be sent; use text as keys"
            yield from _unsendable(key, f"{path}, key {key!r}")
            yield from _unsendable(item, f"{path}[{_quoted(key)}]" if path else str(key))
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            yield from _unsendable(item, f"{path}[{index}]")
    elif type(value) not in yaml.SafeDumper.yaml_representers:
        yield f"{path}: {type(value).__name__} cannot be sent; send {_instead(value)}"


def _quoted(key: Any) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


def _instead(value: Any) -> str:
    for kind in (str, bool, int, float, dict, list, set):
        if isinstance(value, kind):
            return f"{kind.__name__}(...)"
    if isinstance(value, tuple):
        return "list(...)"
    return "its .tolist()" if hasattr(value, "tolist") else "str(...)"
