"""Reads the values of one section; what is wrong becomes a finding, and reads as left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.durations import NotADuration, seconds_of

if TYPE_CHECKING:  # every worker reads the registry, and few have a mistake to tell of
    from nowcast_cli.config.findings import Finding
    from nowcast_cli.config.positions import KeyPath

MOST = 1_000_000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Reading:
    """A section that stands at ``path``; ``findings`` gathers its mistakes."""

    def __init__(
        self, entry: Mapping[Any, Any], path: KeyPath, findings: list[Finding] | None = None
    ) -> None:
        self.entry = entry
        self.path = path
        self.findings: list[Finding] = [] if findings is None else findings

    def wrong(self, key: Any, words: str, hint: str | None = None) -> None:
        """Note a mistake in the value of ``key``; a tuple leads further down."""
        from nowcast_cli.config.findings import Finding

        keys = key if isinstance(key, tuple) else (key,)
        self.findings.append(Finding((*self.path, *keys), words, hint=hint))

    def refuse_unknown_keys(self, known: Collection[str]) -> None:
        """Note all keys but the ``known`` ones."""
        for key in self.entry:
            if key not in known:
                from nowcast_cli.config.hints import did_you_mean

                words = "is not a key of this section" + did_you_mean(str(key), known)
                self.wrong(key, words, f"its keys are: {', '.join(known)}")

    def below(self, key: str, example: str) -> Reading | None:
        """Give the section at ``key``, None where there is none or it is of another form."""
        section = self.entry.get(key)
        if section is None:
            return None
        if not isinstance(section, Mapping):
            words = f"must hold keys with values, such as {example}"
            self.wrong(key, f"{words}, not {section!r}")
            return None
        return Reading(section, (*self.path, key), self.findings)

    def environment(self) -> dict[str, str]:
        """Read the variables of ``environment``."""
        section = self.below("environment", "{SPEED: fast}")
        read: dict[str, str] = {}
        for name, value in {} if section is None else section.entry.items():
            if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
                self.wrong(("environment", name), "is no name of a variable")
            elif name.startswith("NOWCAST_"):
                self.wrong(("environment", name), "is set by nowcast itself")
            elif not is_plain(value) or "\0" in str(value):
                self.wrong(("environment", name), f"must be text or a number, not {value!r}")
            else:
                read[name] = text_of(value)
        return read

    def duration(self, key: str) -> float | None:
        """Read a length of time, in seconds."""
        if self.entry.get(key) is None:
            return None
        try:
            return seconds_of(self.entry[key])
        except NotADuration as error:
            self.wrong(key, str(error))
            return None

    def size(self, key: str) -> int | None:
        """Read a size, in bytes."""
        from nowcast_cli.config.sizes import NotASize, bytes_of

        if self.entry.get(key) is None:
            return None
        try:
            return bytes_of(self.entry[key])
        except NotASize as error:
            self.wrong(key, str(error))
            return None

    def whole(self, key: str, least: int) -> int | None:
        """Read a whole number from ``least`` to a million."""
        value = self.entry.get(key)
        if value is None or (_is_number(value, int) and least <= value <= MOST):
            return None if value is None else int(value)
        self.wrong(key, f"must be a whole number from {least} to {MOST}, not {value!r}")
        return None

    def factor(self, key: str) -> float:
        """Read a number from 1 to a million, 1 where there is none."""
        value = self.entry.get(key)
        if value is None:
            return 1.0
        if _is_number(value, int | float) and 1 <= value <= MOST:
            return float(value)
        self.wrong(key, f"must be a number from 1 to {MOST}, not {value!r}")
        return 1.0

    def switch(self, key: str) -> bool:
        """Read true or false, false where there is none."""
        value = self.entry.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, f"must be true or false, not {value!r}")
        return value is True

    def word(self, key: str) -> str | None:
        """Read a text of one line; a number, such as that of a project, is one too."""
        value = self.entry.get(key)
        if value is None:
            return None
        if _is_number(value, int) or (isinstance(value, str) and _is_one_line(value)):
            return str(value)
        self.wrong(key, f"must be a text of one line, not {value!r}")
        return None

    def directives(self) -> tuple[str, ...]:
        """Read lines for the head of a job script."""
        lines = self.lines("directives")
        for option in lines:
            if option.lstrip().startswith("-"):  # the script would run it as a command
                self.wrong(
                    "directives",
                    f"{option!r} is an option, and not a line of a job script",
                    "write the line as the batch system has it, such as '#SBATCH --qos=high', or "
                    "put the option into `resources: {extra: […]}`",
                )
        return lines

    def lines(self, key: str) -> tuple[str, ...]:
        """Read a list of texts, each of one line."""
        value = self.entry.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(v, str) and _is_one_line(v) for v in value):
            return tuple(value)
        self.wrong(key, f"must be a list of texts, each of one line, not {value!r}")
        return ()


def is_plain(value: Any) -> bool:
    """Tell whether a value stands for a text as it is written: a text, number, switch or date."""
    from datetime import date

    return isinstance(value, str | int | float | date)


def text_of(value: Any) -> str:
    """Give a plain value as text, a switch as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_one_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()
