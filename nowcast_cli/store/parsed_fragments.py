"""The checklist as values: parsed a fragment at a time, each text once.

A megabyte takes a second (as one document, two). Who is to need the checklist at once, later,
follows its fragments meanwhile, and then parses what has changed since.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from nowcast_cli.store.checklist_text import ChecklistText, Fragment


class ParsedFragments:
    """Values by the text of their fragments.

    The values are handed out as they are, so :meth:`checklist_of` is for one use.
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[Any, Any]] = {}

    def checklist_of(self, text: ChecklistText) -> dict[Any, Any]:
        """Give the checklist that is written in ``text``."""
        checklist: dict[Any, Any] = {}
        for fragment in text.fragments():
            for key, value in self._value(_text_of(fragment)).items():
                if fragment.subkey:
                    checklist.setdefault(key, {}).update(value)
                else:
                    checklist[key] = value
        return checklist

    def follow(self, fragments: Iterable[Fragment]) -> Iterator[None]:
        """Come to know these fragments and no others; yields after each that had to be parsed."""
        wanted = {_text_of(fragment) for fragment in fragments}
        self._values = {text: self._values[text] for text in wanted & self._values.keys()}
        for text in wanted - self._values.keys():
            self._values[text] = self._value(text)
            yield

    def _value(self, text: str) -> dict[Any, Any]:
        known = self._values.get(text)
        if known is not None:
            return known
        parsed: dict[Any, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
        return parsed


class FollowedFragments:
    """The fragments of a store that somebody else writes, parsed a little at a time."""

    def __init__(self, database: Path) -> None:
        self.parsed = ParsedFragments()
        self._database = database
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._work: Iterator[None] = iter(())

    def work(self, seconds: float) -> None:
        """Parse what is new in the store for at most about so long; the rest at the next call.

        What cannot be read is left out: it is parsed when it is needed.
        """
        end = time.monotonic() + seconds
        try:
            for _ in self._work:
                if time.monotonic() > end:
                    return
            self._look()
        except (sqlite3.Error, yaml.YAMLError):
            self.close()

    def _look(self) -> None:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{self._database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            rows = self._connection.execute("SELECT key, subkey, line, fragment FROM checklist")
            self._work = self.parsed.follow([Fragment(*row) for row in rows])

    def close(self) -> None:
        """Let go of the store; what is parsed stays."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._version, self._work = None, -1, iter(())


def _text_of(fragment: Fragment) -> str:
    return fragment.line + fragment.text
