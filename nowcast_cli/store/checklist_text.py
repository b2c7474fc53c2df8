"""The checklist as text, kept in fragments so that a change costs what has changed.

A small key is one fragment. Once the text of a key passes ``LARGE`` bytes, and its value is a
mapping, each of its sub-keys is a fragment of its own: a message that changes one sub-key of a
megabyte dumps that sub-key alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    """What a change means for the rows: keys whose rows go, then rows that come."""

    dropped_keys: tuple[str, ...]
    put: tuple[Fragment, ...]


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
    """The fragments of the checklist as it is now."""

    def __init__(self, fragments: Iterable[Fragment] = ()) -> None:
        self._keys: dict[str, dict[str, Fragment]] = {}
        for fragment in fragments:
            self._keys.setdefault(fragment.key, {})[fragment.subkey] = fragment

    def put(self, key: Any, value: Any, subkeys: tuple[Any, ...] | None) -> FragmentChanges:
        """Take in a key's new ``value``, of which only ``subkeys`` changed where they are given."""
        name = _key_text(key)
        rows = self._keys.get(name, {})
        if subkeys is not None and rows and "" not in rows:
            changed = tuple(sub_fragment(key, subkey, value[subkey]) for subkey in subkeys)
            rows.update((fragment.subkey, fragment) for fragment in changed)
            return FragmentChanges((), changed)
        whole = whole_fragment(key, value)
        if _can_be_split(key, value, whole.text):
            new = tuple(sub_fragment(key, subkey, item) for subkey, item in value.items())
        else:
            new = (whole,)
        self._keys[name] = {fragment.subkey: fragment for fragment in new}
        dropped = () if rows.keys() <= self._keys[name].keys() else (name,)
        return FragmentChanges(dropped, new)

    def clear(self) -> None:
        """Forget every key."""
        self._keys.clear()

    def _lines(self) -> Iterator[str]:
        for name in sorted(self._keys):
            rows = self._keys[name]
            for index, subkey in enumerate(sorted(rows)):
                if index == 0:
                    yield rows[subkey].line
                yield rows[subkey].text

    def document(self) -> str:
        """Give the whole checklist as one YAML document."""
        return "".join(self._lines()) or "{}\n"
