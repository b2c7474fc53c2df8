"""What is to happen to the outputs of a command, as it stands in its job's folder meanwhile.

Standard library only: this file is shipped to other hosts together with the runner.
"""

# Strings for paths, as in the runner, of which this is a part.
# ruff: noqa: PTH123
from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

INTENT = "publish.json"


@dataclass(frozen=True)
class Output:
    """A file or folder and where it is to appear, both absolute paths.

    ``link`` is the destination itself, or a folder that it lies in: a symlink, by which all
    outputs that name the same one are seen at one instant. None for a plain file.
    """

    source: str
    destination: str
    link: str | None = None

    def to_json(self) -> list[str | None]:
        """Give what :meth:`from_json` reads."""
        return [self.source, self.destination, self.link]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Output:
        """Read what :meth:`to_json` gave. Raises ValueError."""
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is no output")
        source, destination, link = value
        return cls(str(source), str(destination), None if link is None else str(link))


@dataclass
class Intent:
    """What is being prepared (``ready`` is false), or has been decided (true).

    ``staged`` are sources with what they become first; ``made`` what else is made for it;
    ``renames`` what is left to do, in order, the ``marker`` last. Once it is decided, a marker
    that is there goes ``aside`` before anything else. ``told`` is for whoever ends it.
    """

    token: str
    told: Any
    ready: bool = False
    staged: list[tuple[str, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    renames: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    marker: str | None = None
    aside: str | None = None


def file_of(folder: str) -> str:
    """Give the file of the intent in the folder of a job."""
    return f"{folder}/{INTENT}"


def encoded(intent: Intent) -> bytes:
    """Give an intent as it stands in its file."""
    return json.dumps(vars(intent)).encode()


def write_intent(folder: str, intent: Intent) -> None:
    """Write an intent, not synced. Raises OSError."""
    with open(file_of(folder), "wb") as file:
        file.write(encoded(intent))


def read_intent(folder: str) -> Intent | None:
    """Read the intent in the folder of a job; None where there is none."""
    try:
        with open(file_of(folder), "rb") as file:
            intent = Intent(**json.loads(file.read()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # one that was not written whole has announced nothing
    return intent


def version_of(intent: Intent, link: str) -> str:
    """Give the hidden folder that a symlink leads to once an intent is carried out."""
    return beside(link, intent.token, "v-")


def beside(path: str, token: str, kind: str) -> str:
    """A hidden name beside ``path``; cut, since with an addition it could pass 255 bytes."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name[:100]}.{kind}{token}"
