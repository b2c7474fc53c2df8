"""Files that may be complete soon: when each is to be looked at, and when it is complete. Pure.

A file that was renamed into its place is complete at once. One that is written in place is
complete when nobody writes it and it did not change for as long as its trigger says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from nowcast_cli.file_watcher.triggers import FileTrigger, Look

# What the kernel tells of a file: that it is there, was opened, was written, was closed after
# writing or without, or was renamed to its name.
Heard = Literal["made", "opened", "written", "closed", "closed unwritten", "renamed"]
# So long a word that a file is written counts without a change, as that it was closed may be lost.
LONGEST_PAUSE = 600.0  # s
# As far as that tells, a file is open to be written, or was only made, or neither.
_Word = Literal["made", "written"] | None
# Tells whether a file is open for writing, None where that cannot be known.
IsWritten = Callable[[str], bool | None]


@dataclass(slots=True)
class _Candidate:
    trigger: FileTrigger
    since: float  # when it was last seen to change
    due: float
    look: Look | None = None
    is_renamed: bool = False
    word: _Word = None


class Candidates:
    """Files by flow and path; times are of a clock that nobody sets, in seconds."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], _Candidate] = {}
        self._due: list[tuple[float, tuple[str, str]]] = []

    def __len__(self) -> int:
        return len(self._of)

    def due_in(self, now: float) -> float | None:
        """Give the seconds until one is to be looked at, None where there is none."""
        return max(0.0, self._due[0][0] - now) if self._due else None

    def heard(self, trigger: FileTrigger, path: str, word: Heard, now: float) -> None:
        """Take in what the kernel tells of a file."""
        key = (trigger.flow, path)
        if word in ("opened", "closed unwritten") and key not in self._of:
            return  # by a reader, such as this very process
        found = self._candidate(trigger, path, now)
        # One that is written again, where it was renamed to, is as any that is written in place.
        found.is_renamed = word == "renamed" or (
            found.is_renamed and word not in ("made", "written")
        )
        found.word = _after(found.word, word)
        if word == "renamed":
            self._look_at(found, key, now)
        elif word not in ("opened", "closed unwritten"):
            found.since, found.due, found.look = now, now + trigger.settled, None

    def found(self, trigger: FileTrigger, path: str, look: Look, now: float) -> bool:
        """Take in a file that was found by looking; tell whether it is new."""
        is_new = (trigger.flow, path) not in self._of
        if is_new:
            self._candidate(trigger, path, now).look = look
        return is_new

    def complete(
        self, look: Callable[[str], Look | None], is_written: IsWritten, now: float
    ) -> Iterator[tuple[FileTrigger, str, Look]]:
        """Give the files that are complete by now; they are let go of, as those that have gone."""
        while self._due and self._due[0][0] <= now:
            key = heappop(self._due)[1]
            found = self._of.get(key)
            if found is None:
                continue
            if found.due > now:
                heappush(self._due, (found.due, key))
                continue
            seen = look(key[1])
            if seen is None:
                del self._of[key]
            elif self._is_complete(found, key[1], seen, is_written, now):
                del self._of[key]
                yield found.trigger, key[1], seen
            else:
                # At once where it takes no time: it is looked at again in the next turn.
                self._look_at(found, key, now + max(found.trigger.settled, 0.1))

    def _is_complete(
        self, found: _Candidate, path: str, seen: Look, is_written: IsWritten, now: float
    ) -> bool:
        if found.is_renamed:
            return True
        if seen != found.look:
            is_first, found.look = found.look is None, seen
            if not is_first:
                found.since = now
        if now - found.since < found.trigger.settled:
            return False
        written = is_written(path)
        if written is None:  # it is another user's: what the kernel told has to do
            return found.word != "written" or now - found.since > LONGEST_PAUSE
        return not written

    def _candidate(self, trigger: FileTrigger, path: str, now: float) -> _Candidate:
        key = (trigger.flow, path)
        if key not in self._of:
            self._of[key] = _Candidate(trigger, now, 0.0)
            self._look_at(self._of[key], key, now + trigger.settled)
        return self._of[key]

    def _look_at(self, found: _Candidate, key: tuple[str, str], at: float) -> None:
        found.due = at
        heappush(self._due, (at, key))


def _after(before: _Word, heard: Heard) -> _Word:
    """Take in a word; a file that is made by its link alone is never opened by who made it."""
    match heard:
        case "made":
            return "made"
        case "opened":
            return "written" if before == "made" else before
        case "written":
            return "written"
        case _:
            return None
