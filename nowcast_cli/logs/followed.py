"""Follows one file by its name: over rotations, cuts, and the end of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nowcast_cli.logs.globs import is_rotation_of
from nowcast_cli.logs.place import Place
from nowcast_cli.logs.tail import Tail

# After so many seconds without a byte, nobody writes to a file that was renamed, or it is closed
# for the time being.
QUIET = 30.0

_REMEMBERED = 4
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".Z", ".lz4"})


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the following of one name stands: its file, and those before it, oldest first.

    ``done`` are the last ones of which nothing more is expected.
    """

    current: Place | None
    older: tuple[Place, ...] = ()
    done: tuple[Place, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as values for JSON."""
        current = None if self.current is None else self.current.to_json()
        return {
            "current": current,
            "older": [place.to_json() for place in self.older],
            "done": [place.to_json() for place in self.done],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Saved:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        current = value["current"]
        return cls(
            None if current is None else Place.from_json(current),
            tuple(Place.from_json(place) for place in value["older"]),
            tuple(Place.from_json(place) for place in value["done"]),
        )


class FollowedFile:
    """The file of one name, and what rotation has made of those that had the name before.

    Parameters
    ----------
    path
        Its name.
    saved
        Where a reader before this one came to; None for a file that is new.
    at_end
        Leave out what a new file already holds.
    """

    def __init__(self, path: Path, saved: Saved | None = None, *, at_end: bool = False) -> None:
        self.path = path
        self._at_end = at_end
        self._current: Tail | None = None
        self._place = saved.current if saved else None  # of a file that is not open
        self._older: list[Tail] = []
        self._lost: list[Place] = list(saved.older) if saved else []
        self._is_first_look = True
        self._done = list(saved.done) if saved else []
        self.behind = False
        self.missed = False

    @property
    def saved(self) -> Saved:
        """Where it stands after the last :meth:`read`."""
        current = self._current.place if self._current else self._place
        older = (*self._lost, *(tail.place for tail in self._older))
        return Saved(current, older, tuple(self._done))

    @property
    def is_open(self) -> bool:
        """Whether something was read from it a short time ago."""
        return self._current is not None

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing more to read, and no file of the name."""
        saved = self.saved
        return saved.current is None and not saved.older and not self.path.exists()

    @property
    def waits_since(self) -> float | None:
        """Since when half a line waits for its end; None when none does."""
        tail = self._current
        return tail.quiet_since if tail is not None and tail.place.held else None

    def read(self, now: float) -> list[bytes]:
        """Give the lines that have been completed since the last call, in order.

        ``now`` is a time in seconds that never goes back. After it ``behind`` says whether
        there is more at once, ``missed`` whether a file went that had not been read to its end.
        """
        self.behind = False
        status = _status(self.path)
        self._find_older(now)
        self._see_change(status, now)
        self._is_first_look = False
        lines = self._read_older(now)
        if self._current is not None and not self.behind:
            lines += self._read_current(self._current, now)
            self._close_when_quiet(self._current, now)
        return lines

    def finish(self) -> list[bytes]:
        """Give what is held as a line: the writer of the file has ended."""
        return self._current.finish() if self._current is not None else []

    def close(self) -> None:
        """Close the files; what was read stays known in ``saved`` alone."""
        for tail in (*self._older, self._current):
            if tail is not None:
                tail.close()
        self._older, self._current = [], None

    def _see_change(self, status: os.stat_result | None, now: float) -> None:
        """Open the file when it is new or has grown; put it behind when it was renamed."""
        known = self.saved.current
        if status is not None and known is not None and _identity(status) == known.identity:
            is_as_read = (status.st_size, status.st_mtime) == (known.position, known.changed)
            if self._current is None and not is_as_read:
                self._open(known, now)
            return
        if known is not None:
            self._put_behind(known, now)
        if status is not None and not self._take_back(_identity(status)):
            self._open(None, now)

    def _take_back(self, identity: tuple[int, int]) -> bool:
        """See whether a file that was renamed has its name again."""
        for tail in self._older:
            if tail.place.identity == identity and not tail.place.copy:
                self._older.remove(tail)
                self._current = tail
                return True
        return False

    def _open(self, place: Place | None, now: float) -> None:
        at_end, self._at_end = self._at_end, False
        try:
            tail = Tail.open(self.path, place, now, at_end=at_end)
        except OSError:  # gone again, or not ours to read: the next look will tell
            self._at_end = at_end
            return
        self._current, self._place = tail, None

    def _put_behind(self, known: Place, now: float) -> None:
        """Go on reading a file that has lost its name, and those that had the name after it."""
        tail = self._current or _renamed(self.path, known, now) or _copied(self.path, known, now)
        self._current, self._place = None, None
        if tail is None:
            self.missed |= self._is_first_look  # else it was read to its end, and then quiet
            self._older += self._between(known.changed, now)
            return
        tail.quiet_since = max(tail.quiet_since, now - QUIET / 2)  # somebody may still write
        self._older.append(tail)
        self._older += self._between(tail.changed, now)

    def _between(self, changed: float, now: float, *, copy: bool = False) -> list[Tail]:
        """Open what was rotated since a file changed last, and had the name between two looks."""
        open_ones = [*self._older, *([self._current] if self._current else [])]
        identities = {tail.place.identity for tail in open_ones}
        found = []
        for other in _rotated(self.path, changed):
            done = (_opened(other, place, now) for place in self._done)
            tail = next((tail for tail in done if tail is not None), None)
            tail = tail or _opened(other, None, now)
            if tail is None:
                continue
            if tail.place.identity in identities:
                tail.close()
                continue
            tail.place = replace(tail.place, copy=copy)
            found.append(tail)
        return found

    def _find_older(self, now: float) -> None:
        """Open files that had been put behind by a reader before this one, where they are now."""
        lost, self._lost = self._lost, []
        found = [_renamed(self.path, place, now) for place in lost]
        self._older += [tail for tail in found if tail is not None]

    def _read_older(self, now: float) -> list[bytes]:
        lines: list[bytes] = []
        for tail in list(self._older):
            more, self.behind = _read(tail, now)
            lines += more
            if self.behind:
                break  # in order: first this one to its end
            if tail.place.copy:
                lines += self._go_on_from(tail)
            elif now - tail.quiet_since >= QUIET:
                lines += tail.finish()
                self._drop(tail)
        return lines

    def _go_on_from(self, copy: Tail) -> list[bytes]:
        """Take over the half line at the end of a copy: its file goes on with it."""
        held = copy.place.held
        self._drop(copy)
        following = self._older[0] if self._older and self._older[0].place.copy else self._current
        if following is None or following.place.position or following.place.held:
            return [held] if held else []
        following.place = replace(following.place, held=held)
        return []

    def _drop(self, tail: Tail) -> None:
        self._older.remove(tail)
        self._done = [*self._done, tail.place][-_REMEMBERED:]
        tail.close()

    def _read_current(self, tail: Tail, now: float) -> list[bytes]:
        lines: list[bytes] = []
        try:
            was_cut = tail.was_cut()
        except OSError:
            return []
        if was_cut:
            copy = _copied(self.path, tail.place, now)
            if copy is None:
                lines += tail.finish()
                tail.begin_again()
            else:
                tail.begin_again()
                self._older.append(copy)
                self._older += self._between(copy.changed, now, copy=True)
                self.behind = True  # the copy comes first
                return lines
        more, self.behind = _read(tail, now)
        return lines + more

    def _close_when_quiet(self, tail: Tail, now: float) -> None:
        """Hold no file open that does not grow: there may be thousands."""
        if now - tail.quiet_since >= QUIET and not tail.place.held and not self._older:
            self._place, self._current = replace(tail.place, changed=tail.changed), None
            tail.close()


def _read(tail: Tail, now: float) -> tuple[list[bytes], bool]:
    try:
        return tail.read(now)
    except OSError:  # a mount that went away, for one: it may be back at the next look
        return [], False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _neighbours(path: Path) -> Iterator[Path]:
    """List what rotation may have made of a file, the newest first."""
    names = path.parent.glob(f"{_escaped(path.stem)}*")
    beside = [other for other in names if other != path and other.suffix not in _COMPRESSED]
    found = [(status.st_mtime, other) for other in beside if (status := _status(other))]
    yield from (other for _, other in sorted(found, key=_age, reverse=True))


def _age(found: tuple[float, Path]) -> tuple[float, int]:
    """Sort by the time of the last change; within one tick of the clock, .1 came after .2."""
    changed, path = found
    number = path.suffix[1:]
    return changed, -int(number) if number.isdecimal() else 0


def _rotated(path: Path, since: float) -> list[Path]:
    """List what rotation has made of a file and has changed since a time, the oldest first."""
    newest_first = [other for other in _neighbours(path) if is_rotation_of(other, path)]
    found = [(status.st_mtime, o) for o in newest_first if (status := _status(o)) is not None]
    return [other for changed, other in reversed(found) if changed >= since]


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _renamed(path: Path, place: Place, now: float) -> Tail | None:
    for other in _neighbours(path):
        status = _status(other)
        if status is not None and _identity(status) == place.identity:
            return _opened(other, place, now)
    return None


def _copied(path: Path, place: Place, now: float) -> Tail | None:
    """Find the copy that was made of a file before it was cut; None for a file never read."""
    if not place.anchor:
        return None
    for other in _neighbours(path):
        status = _status(other)
        if status is not None and status.st_size >= place.position:
            device, inode = _identity(status)
            at = replace(place, device=device, inode=inode, copy=True)
            found = _opened(other, at, now)
            if found is not None:
                return found
    return None


def _opened(path: Path, place: Place | None, now: float) -> Tail | None:
    """Open a file at a place; None when it cannot be read, or is not the one of that place."""
    try:
        tail = Tail.open(path, place, now)
    except OSError:
        return None
    if tail.was_cut():
        tail.close()
        return None
    return tail
