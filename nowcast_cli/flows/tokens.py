"""Tokens: what names one attempt of one step of a run, for whoever ends it. Pure."""

from __future__ import annotations

from typing import NamedTuple

_MOST_DIGITS = 18  # of an item and an attempt; of thousands Python makes no number


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
        if not _is_number(attempt) or not (_is_number(item) or item == ""):
            raise BadToken(f"{text!r} is no token: its last parts are numbers")
        return cls(run, step, int(item) if item else None, int(attempt))


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def is_token(text: str) -> bool:
    """Say whether a text names an attempt of a step."""
    try:
        Token.parse(text)
    except BadToken:
        return False
    return True
