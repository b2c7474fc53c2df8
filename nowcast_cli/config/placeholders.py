"""Placeholders such as ``{run_date}`` in the words of a command step. Pure.

``{{word}}`` stands for the text ``{word}``, and ``${WORD}`` is left to the shell. A date takes a
format: ``{run_date:%Y%m%d}``. In a text that a shell reads, values are quoted as they are filled
in, so that none of them is ever read as part of the program.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

# What is known on the host of the job alone is filled in there: what stands for it until then
# holds a NUL, which no argument, path or variable can.
ON_THE_HOST = ("scratch", "deployment")

_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_TOKEN = re.compile(
    r"\$\{[^{}]*\}"  # the shell's
    r"|\{\{(?P<literal>[^{}]*)\}\}"
    r"|\{(?P<name>[A-Za-z_]\w*)(?::(?P<format>[^{}]*))?\}"
)


_BEGUN = re.compile(r"(?<![{$])\{([A-Za-z_]\w*)")


class FillError(Exception):
    """A value cannot be filled in; the text is a sentence."""


@dataclass(frozen=True)
class Placeholder:
    """One that stands in a text: its name, its format, and whether a shell's quotes are around."""

    name: str
    format: str | None
    quoted: bool


def placeholders(text: str) -> Iterator[Placeholder]:
    """Give the placeholders of a text, in order."""
    for match in _TOKEN.finditer(text):
        if match["name"]:
            yield Placeholder(match["name"], match["format"], _in_quotes(text[: match.start()]))


def unclosed(text: str, known: Collection[str]) -> Iterator[str]:
    """Give the names of ``known`` placeholders that begin in a text, and have no end."""
    for match in _BEGUN.finditer(_TOKEN.sub("", text)):
        if match[1] in known:
            yield match[1]


def fill(text: str, values: Mapping[str, str], *, for_shell: bool = False) -> str:
    """Put the values in place of the placeholders. Raises FillError where one is missing."""

    def value_of(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return "{" + match["literal"] + "}"
        if not match["name"]:
            return match[0]
        return _value(match["name"], match["format"], values, for_shell)

    return _TOKEN.sub(value_of, text)


def shell_text_of(words: list[str] | tuple[str, ...]) -> int | None:
    """Give which word a shell reads as a program: that after ``sh -c``; None where none does."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return None
    for index, word in enumerate(words[1:-1], 1):
        if not word.startswith("-"):
            return None
        if not word.startswith("--") and word.endswith("c"):
            return index + 1
    return None


def _value(name: str, form: str | None, values: Mapping[str, str], for_shell: bool) -> str:
    if name in ON_THE_HOST:
        return f"\0{name}'\0" if for_shell else f"\0{name}\0"
    if name not in values:
        remedy = "; launch it as an ensemble, with members" if name == "member" else ""
        raise FillError(f"there is no value for {{{name}}}{remedy}")
    value = values[name]
    if form is not None:
        try:
            value = date.fromisoformat(value).strftime(form)
        except ValueError:
            raise FillError(
                f"{{{name}:{form}}} wants a date such as 2026-11-22, not {value!r}"
            ) from None
    if "\0" in value:
        raise FillError(f"the value of {{{name}}} holds a character that no command can be given")
    return shlex.quote(value) if for_shell else value


def _in_quotes(text: str) -> bool:
    """Whether a shell, having read ``text``, is within quotes."""
    quote: str | None = None
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\" and quote != "'":
            skip = True
        elif quote is None and character in "'\"":
            quote = character
        elif character == quote:
            quote = None
    return quote is not None
