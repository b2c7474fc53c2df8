"""The line format of ``flows.ini`` and ``actions.ini``: sections with lines, and where they stand.

As Python's configparser has it (``[section]``, ``#`` and ``;`` begin a comment line), which does
not tell the line of what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nowcast_cli.config.problem import Problem


@dataclass(frozen=True, slots=True)
class Line:
    """A line that says something, without the blanks around it; counted from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, the line of its head, and its lines."""

    name: str
    number: int
    lines: tuple[Line, ...]


def read_sections(file: Path) -> tuple[Sequence[Section], list[Problem]]:
    """Read a file into its sections; gives what is wrong with its form beside them."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return (), [Problem(file, None, None, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        return (), [Problem(file, number, None, "", "this is not text in UTF-8")]
    return _sections(file, text)


def _sections(file: Path, text: str) -> tuple[Sequence[Section], list[Problem]]:
    sections: list[Section] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = Line(number, raw.strip())
        if not line.text or line.text[0] in "#;":
            continue
        if line.text.startswith("["):
            name = line.text[1:-1].strip() if line.text.endswith("]") else ""
            if not name:
                words = f"{line.text} is no head of a section; one reads: [name]"
                problems.append(Problem(file, number, 1, "", words))
            problems += _twice(file, sections, name, number)
            sections.append(Section(name, number, ()))
        elif not sections:
            words = f"{line.text!r} stands before the first [section]"
            problems.append(Problem(file, number, 1, "", words))
        else:
            sections[-1] = replace(sections[-1], lines=(*sections[-1].lines, line))
    return [section for section in sections if section.name], problems


def _twice(file: Path, sections: Sequence[Section], name: str, number: int) -> list[Problem]:
    first = next((section.number for section in sections if name == section.name != ""), None)
    if first is None:
        return []
    words = f"stands twice (first on line {first})"
    return [Problem(file, number, 1, f"[{name}]", words, hint="give one of the two another name")]
