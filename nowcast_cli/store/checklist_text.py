"""The checklist as text, kept in fragments so that a change costs what has changed.

A small key is one fragment. Once the text of a key passes ``LARGE`` bytes, and its value is a
mapping, each of its sub-keys is a fragment of its own: a message that changes one sub-key of a
megabyte dumps that sub-key alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

LARGE = 4096


class _Dumper(yaml.CSafeDumper):
    """Writes no anchors: they would be the same in several fragments of one document."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def dump(value: Any) -> str:
    """Give ``value`` as block style YAML text."""
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True))


@dataclass(frozen=True, slots=True)
class Fragment:
    """A row of the checklist: ``text`` opens its key itself, or belongs below ``line``."""

    key: str
    subkey: str
    line: str
    text: str


@dataclass(frozen=True, slots=True)
class FragmentChanges:
    """What has changed, in this order: all rows go, the rows of keys go, rows come."""

    cleared: bool
    dropped_keys: tuple[str, ...]
    put: tuple[Fragment, ...]


@lru_cache(maxsize=4096, typed=True)
def _key_text(key: Any) -> str:
    # A scalar alone would be ended by "...", and the text of a key must tell 1 from "1".
    return dump([key])[2:].rstrip("\n")


def whole_fragment(key: Any, value: Any) -> Fragment:
    """Give the one fragment of a small key."""
    return Fragment(_key_text(key), "", "", dump({key: value}))


def sub_fragment(key: Any, subkey: Any, value: Any) -> Fragment:
    """Give the fragment of one sub-key of a large key."""
    line, _, rest = dump({key: {subkey: value}}).partition("\n")
    return Fragment(_key_text(key), _key_text(subkey), line + "\n", rest)


def _fragments_of(key: Any, value: Any) -> Iterator[Fragment]:
    """Give the fragments of a key: one, or one a sub-key where it is large."""
    whole = whole_fragment(key, value)
    if _can_be_split(key, value, whole.text):
        for subkey, item in value.items():
            yield sub_fragment(key, subkey, item)
    else:
        yield whole


def _can_be_split(key: Any, value: Any, text: str) -> bool:
    return (
        len(text) > LARGE
        and isinstance(value, dict)
        and len(value) > 1
        # A long or multi-line key is written as "? key", over more than one line.
        and not text.startswith("?")
        and len(_key_text(key)) < 100
    )


class ChecklistText:
    """The fragments of the checklist as it is now, and which of them are not saved.

    Values are turned into text when the text is wanted: a key that changes a thousand times
    between two looks is dumped once.
    """

    def __init__(self, fragments: Iterable[Fragment] = ()) -> None:
        self._keys: dict[str, dict[str, Fragment]] = {}
        self._changed: dict[Any, tuple[Any, set[Any] | None]] = {}
        for fragment in fragments:
            self._keys.setdefault(fragment.key, {})[fragment.subkey] = fragment
        self.saved()

    def put(self, key: Any, value: Any, subkeys: Iterable[Any] | None) -> None:
        """Take in a key's new ``value``, of which only ``subkeys`` changed where they are given."""
        _, before = self._changed.get(key, (None, set()))
        both = None if subkeys is None or before is None else before.union(subkeys)
        self._changed[key] = (value, both)

    def clear(self) -> None:
        """Forget every key."""
        self._keys.clear()
        self._changed.clear()
        self.saved()
        self._unsaved_clear = True

    def document(self) -> str:
        """Give the whole checklist as one YAML document."""
        self._render()
        return "".join(self._lines()) or "{}\n"

    def fragments(self) -> Iterator[Fragment]:
        """Give the fragments of the whole checklist, in the order of the document."""
        self._render()
        for name in sorted(self._keys):
            rows = self._keys[name]
            yield from (rows[subkey] for subkey in sorted(rows))

    def unsaved(self) -> FragmentChanges:
        """Give what has changed in the fragments since :meth:`saved`."""
        self._render()
        return FragmentChanges(
            self._unsaved_clear,
            tuple(self._unsaved_drops),
            tuple(row for rows in self._unsaved_puts.values() for row in rows.values()),
        )

    def saved(self) -> None:
        """Take in that all fragments are saved."""
        self._unsaved_clear = False
        self._unsaved_drops: set[str] = set()
        self._unsaved_puts: dict[str, dict[str, Fragment]] = {}

    def _render(self) -> None:
        for key, (value, subkeys) in self._changed.items():
            self._render_key(key, value, subkeys)
        self._changed.clear()

    def _render_key(self, key: Any, value: Any, subkeys: set[Any] | None) -> None:
        name = _key_text(key)
        rows = self._keys.get(name, {})
        if subkeys is not None and rows and "" not in rows:
            fragments = [sub_fragment(key, subkey, value[subkey]) for subkey in subkeys]
        else:
            fragments = list(_fragments_of(key, value))
            if not rows.keys() <= {fragment.subkey for fragment in fragments}:
                self._unsaved_drops.add(name)
                self._unsaved_puts.pop(name, None)
            rows = {}
        rows.update((fragment.subkey, fragment) for fragment in fragments)
        self._keys[name] = rows
        self._unsaved_puts.setdefault(name, {}).update((row.subkey, row) for row in fragments)

    def _lines(self) -> Iterator[str]:
        for name in sorted(self._keys):
            rows = self._keys[name]
            for index, subkey in enumerate(sorted(rows)):
                if index == 0:
                    yield rows[subkey].line
                yield rows[subkey].text
