"""Values that YAML 1.1 reads as something else than a person sees. Pure, on the tree of nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from nowcast_cli.config.positions import Document, KeyPath, Position, position_of

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SWITCH = re.compile(r"yes|no|on|off", re.IGNORECASE)


@dataclass(frozen=True)
class Trap:
    """A value or a key that may not be what it looks like."""

    path: KeyPath
    position: Position
    message: str
    hint: str | None


def yaml_traps(document: Document) -> list[Trap]:
    """Find duplicate keys, and plain words that become switches or numbers, in file order."""
    return [*_duplicates(document), *_surprises(document)]


def _duplicates(document: Document) -> Iterator[Trap]:
    first: dict[KeyPath, Position] = {}
    seen: set[int] = set()
    for entry in document.entries:
        if entry.key is None or entry.merged or id(entry.key) in seen:
            continue  # a key seen before is one that an alias repeats
        seen.add(id(entry.key))
        if entry.path in first:
            yield Trap(
                entry.path,
                entry.position,
                f"stands twice (first on line {first[entry.path].line}), and only the last one "
                "counts",
                "remove one of the two",
            )
            depth = len(entry.path)  # what is below the first one is no rival of what comes
            first = {path: at for path, at in first.items() if path[:depth] != entry.path}
        first[entry.path] = entry.position


def _surprises(document: Document) -> Iterator[Trap]:
    seen: set[int] = set()
    for entry in document.entries:
        for node, what in ((entry.key, "the key "), (entry.value, "")):
            if what and _is_meant(entry.path):
                continue
            if isinstance(node, yaml.ScalarNode) and id(node) not in seen:
                seen.add(id(node))
                reading = surprising_reading(node)
                if reading is not None:
                    yield Trap(
                        entry.path,
                        position_of(node),
                        f"{what}{node.value} is read as {reading}",
                        f"write '{node.value}' in quotes if text is meant, else {reading}",
                    )


def _is_meant(path: KeyPath) -> bool:
    """Whether the key `on` is taken as it stands: that of a retry, and of a flow."""
    return path[-2:] == ("retry", True) or (path[:1] == ("flows",) and path[2:] == (True,))


def surprising_reading(node: yaml.ScalarNode) -> str | None:
    """Say what YAML makes of a plain scalar, when that is not what stands there."""
    text = str(node.value)  # in quotes it has the tag of text
    if node.tag == "tag:yaml.org,2002:bool" and _SWITCH.fullmatch(text):
        return "true" if text.lower() in ("yes", "on") else "false"
    if node.tag == "tag:yaml.org,2002:int" and _OCTAL.fullmatch(text):
        return str(int(text.replace("_", ""), 8))
    if _SEXAGESIMAL.fullmatch(text) and node.tag.endswith((":int", ":float")):
        return _sixtieths(text.replace("_", ""))
    return None


def _sixtieths(text: str) -> str:
    sign = -1 if text.startswith("-") else 1
    total = 0.0
    for part in text.lstrip("+-").split(":"):
        total = total * 60 + float(part)
    return f"{sign * total:.15g}"
