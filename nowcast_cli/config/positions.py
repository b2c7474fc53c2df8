"""Reads YAML once into data and the places of its keys.

PyYAML gives both from one parse: the tree of nodes knows lines and columns, and the data are
constructed from it. Reading with places costs more than reading alone, so the plain way
(:func:`nowcast_cli.config.config.Config.load`) comes here only when something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

KeyPath = tuple[Any, ...]
MERGE = "tag:yaml.org,2002:merge"
# What PyYAML lets through for scalars that do not fit their tag: `2026-13-45`, `!!bool maybe`.
BAD_SCALAR = (ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclass(frozen=True)
class Index:
    """The place of an item in a list, in a path; not an int, as keys of a mapping may be ints."""

    number: int


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file, counted from 1 as editors do."""

    line: int
    column: int


class BadYaml(Exception):
    """The text is not the YAML that can be read; ``position`` is None where it is unknown."""

    def __init__(self, message: str, position: Position | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True)
class Entry:
    """One key of a mapping, or one item of a list, as it stands in the file.

    ``merged`` tells a key that came from another mapping by ``<<``.
    """

    path: KeyPath
    key: yaml.Node | None
    value: yaml.Node
    merged: bool = False

    @property
    def position(self) -> Position:
        """Where the key stands; for an item of a list, the item itself."""
        return position_of(self.value if self.key is None else self.key)


@dataclass(frozen=True)
class Document:
    """The data of a YAML file, the places of all its keys and items, and the entries walked."""

    data: Any
    positions: Mapping[KeyPath, Position]
    entries: tuple[Entry, ...]

    def position(self, path: KeyPath) -> Position:
        """Give the place of ``path``, or of its nearest parent that stands in the file."""
        while path:
            if path in self.positions:
                return self.positions[path]
            path = path[:-1]
        return Position(1, 1)


def read_document(text: str | bytes) -> Document:
    """Parse YAML with the safe loader. Raises BadYaml with a sentence and the place."""
    try:
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None, {}, ())
            entries = tuple(_entries(loader, node, (), ()))
            data = _constructed_document(loader, node, entries)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise bad_yaml(error, text) from None
    except RecursionError:
        raise BadYaml("is nested too deeply to be read", None) from None
    return Document(data, {entry.path: entry.position for entry in entries}, entries)


def position_of(node: yaml.Node) -> Position:
    """Give the place where a node begins."""
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def path_text(path: KeyPath) -> str:
    """Write a path of keys as people do: ``logging.handlers[0].class``."""
    text = ""
    for step in path:
        if isinstance(step, Index):
            text += f"[{step.number}]"
        else:
            word = str(step).lower() if isinstance(step, bool) else str(step)
            text += f".{word}" if text else word
    return text


def _entries(
    loader: Any, node: yaml.Node, path: KeyPath, above: tuple[yaml.Node, ...]
) -> Iterator[Entry]:
    if any(node is parent for parent in above):
        raise BadYaml("an alias (*name) stands inside the value that it names", position_of(node))
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*path, Index(index))
            yield Entry(here, None, item)
            yield from _entries(loader, item, here, above)
    elif isinstance(node, yaml.MappingNode):
        # Merged mappings (<<) come first, so that the mapping's own keys overrule their places.
        for key, value in node.value:
            if key.tag == MERGE:
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    for entry in _entries(loader, merged, path, above):
                        yield replace(entry, merged=True)
        for key, value in node.value:
            if key.tag != MERGE:
                here = (*path, _constructed_key(loader, key))
                yield Entry(here, key, value)
                yield from _entries(loader, value, here, above)


def _constructed_key(loader: Any, key: yaml.Node) -> Any:
    try:
        value = loader.construct_object(key, deep=True)
    except BAD_SCALAR as error:
        raise _bad_scalar(key, error) from None
    try:
        hash(value)
    except TypeError:
        message = "a key must be text, a number or a date, not a list or a mapping"
        raise BadYaml(message, position_of(key)) from None
    return value


def _constructed_document(loader: Any, node: yaml.Node, entries: tuple[Entry, ...]) -> Any:
    try:
        return loader.construct_document(node)
    except BAD_SCALAR as error:  # PyYAML does not tell where
        loader.recursive_objects.clear()
        for scalar in (entry.value for entry in entries):
            if isinstance(scalar, yaml.ScalarNode):
                try:
                    loader.construct_object(scalar)
                except BAD_SCALAR as reason:
                    raise _bad_scalar(scalar, reason) from None
        raise BadYaml(f"this cannot be read: {error}", None) from None


def _bad_scalar(node: yaml.Node, error: Exception) -> BadYaml:
    kind = {"timestamp": "a date", "int": "a number", "float": "a number"}
    tag = node.tag.rpartition(":")[2]
    why = f" ({error})" if isinstance(error, ValueError) else ""
    message = f"{node.value} is read as {kind.get(tag, tag)}, but is none{why}; put it in quotes"
    return BadYaml(message, position_of(node))


def bad_yaml(error: yaml.YAMLError, text: str | bytes) -> BadYaml:
    """Say in a sentence what PyYAML could not read."""
    if isinstance(error, yaml.reader.ReaderError):
        return BadYaml(
            f"this is not text in UTF-8 ({error.reason})", _position_at(text, error.position)
        )
    if not isinstance(error, yaml.MarkedYAMLError):
        return BadYaml(f"this is not YAML: {error}", None)
    mark = error.problem_mark or error.context_mark
    position = Position(mark.line + 1, mark.column + 1) if mark else None
    problem = error.problem or "it cannot be parsed"
    if problem.startswith("could not determine a constructor"):
        tag = problem.rpartition(" ")[2].strip("'")
        return BadYaml(f"the tag {tag} is refused: only plain YAML is read", position)
    context = (error.context or "").removeprefix("while ")
    begun = error.context_mark
    if context and begun and position and begun.line + 1 != position.line:
        context += f" that begins on line {begun.line + 1}"
    message = f"this is not YAML: {problem}" + (f" ({context})" if context else "")
    if mark and "parsing a flow" in context and _character_at(text, mark) == "{":
        message += "; within {…} and […] a text that holds braces has to be in quotes"
    return BadYaml(message, position)


def _character_at(text: str | bytes, mark: yaml.Mark) -> str:
    lines = (text if isinstance(text, str) else text.decode("utf-8", "replace")).split("\n")
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""


def _position_at(text: str | bytes, offset: int) -> Position:
    before = text[:offset] if isinstance(text, str) else text[:offset].decode("utf-8", "replace")
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
