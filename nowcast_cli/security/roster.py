"""The list of public keys: who is known, in which role, and until when. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from nowcast_cli.security.key import ROLES, Role, is_curve_key

Standing = str  # "valid", "replaced" (valid for a while yet) or "revoked"


@dataclass(frozen=True)
class Entry:
    """A public key. Times are UTC as ``2026-11-22T03:04:05Z``; ``until`` None is for good.

    ``host`` is the other host whose jobs are given the key, None for none.
    """

    name: str
    role: Role
    public: str
    host: str | None
    created: str
    until: str | None = None

    def is_valid(self, now: str) -> bool:
        """Say whether the key opens the door."""
        return self.until is None or now < self.until

    def standing(self, now: str) -> Standing:
        """Say in a word how it stands with the key."""
        if self.until is None:
            return "valid"
        return "replaced" if now < self.until else "revoked"


@dataclass(frozen=True)
class Roster:
    """All keys that were ever made, the oldest first; a key that has ended stays, to be told."""

    entries: tuple[Entry, ...] = ()

    def by_public(self, public: str) -> Entry | None:
        """Give the entry of a public key."""
        return next((entry for entry in self.entries if entry.public == public), None)

    def named(self, name: str) -> tuple[Entry, ...]:
        """Give the keys that the name has had, the newest last."""
        return tuple(entry for entry in self.entries if entry.name == name)

    def current(self, name: str) -> Entry | None:
        """Give the key of that name which is neither replaced nor revoked."""
        return next((entry for entry in self.named(name) if entry.until is None), None)

    def current_entries(self) -> tuple[Entry, ...]:
        """Give the keys that are neither replaced nor revoked."""
        return tuple(entry for entry in self.entries if entry.until is None)

    def key_of_host(self, host: str) -> Entry | None:
        """Give the key that jobs on another host are given, None where it has none."""
        return next((entry for entry in self.current_entries() if entry.host == host), None)

    def added(self, entry: Entry) -> Roster:
        """Give the list with one more key."""
        return Roster((*self.entries, entry))

    def ended(self, name: str, until: str) -> Roster:
        """Give the list in which no key of that name is valid for longer than ``until``."""
        return Roster(
            tuple(
                replace(entry, until=until)
                if entry.name == name and entry.is_valid(until)
                else entry
                for entry in self.entries
            )
        )

    def to_text(self) -> str:
        """Give the content of ``authorized.json``."""
        return json.dumps({"keys": [asdict(entry) for entry in self.entries]}, indent=1) + "\n"


def read_roster(text: str | bytes) -> Roster:
    """Read what :meth:`Roster.to_text` gave. Raises ValueError that says what is wrong."""
    found: Any = json.loads(text)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it holds no list of keys")
    return Roster(tuple(_entries(keys)))


def _entries(keys: list[Any]) -> Iterable[Entry]:
    for number, item in enumerate(keys, 1):
        try:
            entry = Entry(**item)
        except TypeError:
            raise ValueError(f"its entry {number} is no key") from None
        texts = (entry.name, entry.created)
        if (
            entry.role not in ROLES
            or not is_curve_key(entry.public)
            or not all(isinstance(text, str) for text in texts)
            or not all(text is None or isinstance(text, str) for text in (entry.host, entry.until))
        ):
            raise ValueError(f"its entry {number} is no key")
        yield entry
