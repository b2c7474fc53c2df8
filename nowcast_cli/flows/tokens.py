"""Tokens: what names one attempt of one step of a run, for whoever ends it. Pure."""

from __future__ import annotations

from typing import NamedTuple


class BadToken(ValueError):
    """The text names no attempt of a step; the exception's text says why."""


class Token(NamedTuple):
    """An attempt of a step: written ``RUN/STEP/ITEM/ATTEMPT``, without an item ``RUN/STEP//1``."""

    run: str
    step: str
    item: int | None
    attempt: int

    def __str__(self) -> str:
        item = "" if self.item is None else str(self.item)
        return f"{self.run}/{self.step}/{item}/{self.attempt}"

    @property
    def short(self) -> str:
        """What people are shown, and may say: it names its run by the last 8 characters."""
        return str(self._replace(run=self.run[-8:]))

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read what ``str`` wrote. Raises BadToken."""
        run, *rest = text.split("/")
        if len(rest) != 3 or not run or not rest[0]:
            raise BadToken(f"{text!r} is no token; one reads RUN/STEP/ITEM/ATTEMPT")
        step, item, attempt = rest
        if not attempt.isdecimal() or not (item.isdecimal() or item == ""):
            raise BadToken(f"{text!r} is no token: its last parts are numbers")
        return cls(run, step, int(item) if item else None, int(attempt))


def is_token(text: str) -> bool:
    """Say whether a text names an attempt of a step."""
    try:
        Token.parse(text)
    except BadToken:
        return False
    return True
