"""How far a file has been read, in a form that outlives the reader."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANCHOR = 256  # bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in one file, whatever its name is by now.

    Parameters
    ----------
    device, inode
        Which file it is.
    position
        Up to where it has been read, in bytes.
    anchor
        The last bytes before ``position``. A file that does not hold them there any more was
        cut and written anew, or is another one that has got the same inode.
    held
        The beginning of a line whose end has not been read; it has been read from here or from
        the file that this one goes on from.
    changed
        When the file had last changed as it was read: a time in seconds.
    copy
        The file is a copy that was made before the original was cut: the original goes on in
        the middle of what is held.
    """

    device: int
    inode: int
    position: int = 0
    anchor: bytes = b""
    held: bytes = b""
    changed: float = 0.0
    copy: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """What tells the file from all others that exist at the same time."""
        return (self.device, self.inode)

    def to_json(self) -> dict[str, Any]:
        """Give the place as values for JSON."""
        return {
            "device": self.device,
            "inode": self.inode,
            "position": self.position,
            "anchor": base64.b64encode(self.anchor).decode(),
            "held": base64.b64encode(self.held).decode(),
            "changed": self.changed,
            "copy": self.copy,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        return cls(
            int(value["device"]),
            int(value["inode"]),
            int(value["position"]),
            base64.b64decode(value["anchor"]),
            base64.b64decode(value["held"]),
            float(value["changed"]),
            bool(value["copy"]),
        )
