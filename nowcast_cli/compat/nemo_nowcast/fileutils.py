"""Permissions of files, in words."""

from __future__ import annotations

from dataclasses import dataclass

_BITS = {"r": 4, "w": 2, "x": 1}


@dataclass(frozen=True)
class FilePerms:
    """Permissions as letters of ``rwx`` for each kind of user; ``int()`` gives the mode.

    ``path.chmod(int(FilePerms(user="rw", group="rw", other="r")))`` sets mode 664. Letters may
    stand in any order. Raises ValueError for any other letter.
    """

    user: str = ""
    group: str = ""
    other: str = ""

    def __post_init__(self) -> None:
        for who, letters in vars(self).items():
            if strange := "".join(sorted(set(letters) - _BITS.keys())):
                raise ValueError(
                    f"{who} permissions {letters!r} have {strange!r} in them; the letters are "
                    "r, w, x"
                )
            ordered = "".join(letter for letter in _BITS if letter in letters)
            object.__setattr__(self, who, ordered)

    def __int__(self) -> int:
        return _digit(self.user) << 6 | _digit(self.group) << 3 | _digit(self.other)


def _digit(letters: str) -> int:
    return sum(_BITS[letter] for letter in letters)
