"""What a worker requires of the host that it runs on: ``requires`` in its entry. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowcast_cli.config.reading import Reading

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=+-]{0,63}")  # of a host


@dataclass(frozen=True, slots=True)
class Requirements:
    """Tags that a host must have, and such as it must not have."""

    tags: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def met_by(self, tags: Collection[str]) -> bool:
        """Say whether a host with these tags will do."""
        return self.tags.issubset(tags) and self.without.isdisjoint(tags)

    @property
    def words(self) -> str:
        """The tags as they are written, for people; empty for none."""
        return ", ".join((*sorted(self.tags), *(f"!{tag}" for tag in sorted(self.without))))


NO_REQUIREMENTS = Requirements()


def requirements_in(reading: Reading) -> Requirements:
    """Read the section ``requires`` of a worker."""
    section = reading.below("requires", '{tags: [gpu, "!old"]}')
    if section is None:
        return NO_REQUIREMENTS
    section.refuse_unknown_keys(("tags",))
    given = section.lines("tags")
    for tag in given:
        if TAG.fullmatch(tag.removeprefix("!")) is None:
            words = f"holds {tag!r}: a tag is of letters, digits and ._:=+-, after ! for not"
            section.wrong("tags", words)
    tags = frozenset(tag for tag in given if not tag.startswith("!"))
    without = frozenset(tag[1:] for tag in given if tag.startswith("!"))
    for tag in sorted(tags & without):
        section.wrong("tags", f"asks for {tag} and for !{tag}, which no host can have")
    return Requirements(tags, without)
