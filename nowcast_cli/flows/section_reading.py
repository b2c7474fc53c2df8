"""Reads values of a section of YAML; what is wrong becomes a finding and reads as left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import Index, KeyPath
from nowcast_cli.config.reading import Reading
from nowcast_cli.flows.conditions import BadCondition, condition_references
from nowcast_cli.flows.placeholders import BadPlaceholder, references

Scalar = str | int | float | bool | None


class SectionReading(Reading):
    """The values of one mapping of a flow, which has no other keys than the ``known`` ones."""

    def __init__(
        self, entry: Any, path: KeyPath, findings: list[Finding], known: Iterable[str]
    ) -> None:
        super().__init__({}, path, findings)
        if not isinstance(entry, Mapping):
            self.findings.append(Finding(path, f"must hold keys with values, not {entry!r}"))
            return
        # The plain word `on` is true in YAML: as a key it can only be meant as it stands.
        self.entry = {"on" if key is True else key: value for key, value in entry.items()}
        self.refuse_unknown_keys(tuple(known))

    def wrong(self, key: Any, words: str, hint: str | None = None) -> None:
        """Note a mistake in the value of a key."""
        super().wrong(True if key == "on" and key not in self.path else key, words, hint)

    def text(self, key: str) -> str | None:
        """Give a text, None where there is none."""
        value = self.entry.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self.wrong(key, f"must be text, not {value!r}")
        return None

    def one_of(self, key: str, known: tuple[str, ...], default: str) -> str:
        """Give one of the words that are known."""
        value = self.entry.get(key, default)
        if value in known:
            return str(value)
        self.wrong(key, f"must be {' or '.join(known)}, not {value!r}")
        return default

    def names(self, key: str) -> tuple[str, ...]:
        """Give a list of texts; one text stands for a list of one."""
        value = self.entry.get(key)
        items = [value] if isinstance(value, str) else value
        if items is None:
            return ()
        if isinstance(items, list) and all(isinstance(item, str) and item for item in items):
            return tuple(dict.fromkeys(items))
        self.wrong(key, f"must be a name or a list of names, not {value!r}")
        return ()

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Give the mapping at a key, its own keys as text."""
        value = self.entry.get(key)
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return {str(name): item for name, item in value.items()}
        self.wrong(key, f"must hold keys with values, not {value!r}")
        return {}

    def arguments(self, key: str) -> tuple[str, ...]:
        """Give what stands on a command line: a list, or a text that a shell would split."""
        import shlex

        value = self.entry.get(key)
        if isinstance(value, str):
            try:
                return tuple(shlex.split(value))
            except ValueError as error:
                self.wrong(key, f"{value!r} is no command line: {error}")
                return ()
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, Scalar) for item in value):
            return tuple(str(item) for item in value)
        self.wrong(key, f"must be a text or a list of texts, not {value!r}")
        return ()

    def check_placeholders(self, *keys: str) -> None:
        """Refuse braces that hold no reference."""
        for key in keys:
            try:
                list(references(self.entry.get(key)))
            except BadPlaceholder as error:
                self.wrong(key, str(error))

    def condition(self, key: str) -> str | None:
        """Give a condition, None where there is none or what stands there is none."""
        value = self.entry.get(key)
        if value is None:
            return None
        text = str(value)
        try:
            condition_references(text)
        except BadCondition as error:
            self.wrong(key, str(error))
            return None
        return text


def items_of(value: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    """Give the items of a list with their paths; one value stands for a list of one."""
    if isinstance(value, list):
        return [((*path, Index(number)), item) for number, item in enumerate(value)]
    return [] if value is None else [(path, value)]
