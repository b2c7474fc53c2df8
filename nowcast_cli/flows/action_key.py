"""Action keys, ``Sender?Context@Decorator?Action``: what is to be done, and for whom. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

DELIMITER = "~"

_FIELD = re.compile(r"[A-Za-z0-9_-]*")
_FORM = "Sender?Context@Decorator?Action"


class BadActionKey(ValueError):
    """The text is no action key; the exception's text says why, in words to put after its name."""


@dataclass(frozen=True, slots=True, order=True)
class ActionKey:
    """What one step of a flow does; each field may be empty.

    Equal keys have equal fields; :meth:`matches` is the comparison with wildcards.
    """

    sender: str = ""
    context: str = ""
    decorator: str = ""
    action: str = ""

    @classmethod
    def parse(cls, text: str) -> ActionKey:
        """Read ``Sender?Context@Decorator?Action``. Raises BadActionKey."""
        if text == "":
            raise BadActionKey(f"is empty; an action key is {_FORM}")
        parts = text.split("?")
        if len(parts) != 3:
            raise BadActionKey(f"has {_counted(len(parts) - 1)} and not two: it is {_FORM}")
        sender, middle, action = parts
        context, *decorators = middle.split("@")
        if len(decorators) > 1:
            raise BadActionKey("has a second @; there is one decorator at most")
        if decorators == [""]:
            raise BadActionKey("names no decorator after its @")
        decorator = decorators[0] if decorators else ""
        fields = {"sender": sender, "context": context, "decorator": decorator, "action": action}
        for name, value in fields.items():
            if not _FIELD.fullmatch(value):
                raise BadActionKey(
                    f"has {value!r} as its {name}: letters, digits, _ and - can stand there"
                )
        return cls(**fields)

    def __str__(self) -> str:
        decorated = f"@{self.decorator}" if self.decorator else ""
        return f"{self.sender}?{self.context}{decorated}?{self.action}"

    @property
    def undecorated(self) -> ActionKey:
        """The same key without its decorator."""
        return replace(self, decorator="")

    def topic(self, flow: str) -> str:
        """Give the topic of its events: ``flow~decorator~sender~context~action``."""
        return DELIMITER.join((flow, self.decorator, self.sender, self.context, self.action))

    def matches(self, other: ActionKey) -> bool:
        """Say whether the two agree, where an empty field of either agrees with anything."""
        pairs = (
            (self.sender, other.sender),
            (self.context, other.context),
            (self.decorator, other.decorator),
            (self.action, other.action),
        )
        return all(not (mine and theirs) or mine == theirs for mine, theirs in pairs)

    def lookups(self) -> Iterator[ActionKey]:
        """Give the keys under which a mapping may answer it, the first that is there wins.

        In the order ``S?C?A``, ``S??A``, ``?C?A``, ``S?C?``, ``S??``, ``??A``, ``?C?``; each with
        the decorator before its twin without.
        """
        kept = (
            ("sender", "context", "action"),
            ("sender", "action"),
            ("context", "action"),
            ("sender", "context"),
            ("sender",),
            ("action",),
            ("context",),
        )
        given: set[ActionKey] = {ActionKey(), ActionKey(decorator=self.decorator)}
        for fields in kept:
            values = {field: getattr(self, field) for field in fields}
            for key in (ActionKey(decorator=self.decorator, **values), ActionKey(**values)):
                if key not in given:
                    given.add(key)
                    yield key


END = ActionKey(action="done")


def subscription(*fields: str) -> str:
    """Give the prefix of all topics that begin with these fields: the flow, its decorator, ….

    It ends in the delimiter, so that the topics of ``salish`` are not those of ``salish2``.
    """
    return "".join(field + DELIMITER for field in fields)


def _counted(marks: int) -> str:
    return {0: "no question mark", 1: "one question mark"}.get(marks, f"{marks} question marks")
