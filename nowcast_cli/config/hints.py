""" "Did you mean" for names that a person typed."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Give the known name that ``word`` was probably meant to be, or None."""
    from difflib import get_close_matches

    lowered = {name.lower(): name for name in known}
    matches = get_close_matches(word.lower(), lowered, n=1, cutoff=0.75)
    if matches:
        return lowered[matches[0]]
    # two letters that change places are half of a short word, and yet one slip
    swapped = (name for name in lowered if len(name) > 2 and sorted(name) == sorted(word.lower()))
    return lowered.get(next(swapped, ""))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ``; did you mean X?`` to append to a sentence, or nothing."""
    meant = closest(word, known)
    return f"; did you mean {meant!r}?" if meant is not None and meant != word else ""
