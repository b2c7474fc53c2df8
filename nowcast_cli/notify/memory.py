"""What the notifier remembers over its own end: one small file, whole at every instant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.notify.journal import Cursor, cursor_from_json, cursor_to_json
from nowcast_cli.notify.mailbox import Mailbox, from_json, to_json

FILE_NAME = "notifications.json"


@dataclass(frozen=True, slots=True)
class Memory:
    """How far the journal is told, the mailbox of each channel, and the daemons seen and told.

    ``seen`` are the daemons that have answered, ``down`` those of them that are told as down.
    """

    cursor: Cursor
    boxes: Mapping[str, Mailbox]
    seen: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()

    def box(self, channel: str) -> Mailbox:
        """Give the mailbox of a channel, empty for a new one."""
        return self.boxes.get(channel, Mailbox())

    def with_box(self, channel: str, box: Mailbox) -> Memory:
        """Give the memory with another mailbox for a channel."""
        return replace(self, boxes={**self.boxes, channel: box})


def read_memory(path: Path) -> Memory | None:
    """Read the file; None where there is none, or it is not one of ours."""
    try:
        value = json.loads(path.read_bytes())
        return Memory(
            cursor_from_json(value["cursor"]),
            {name: from_json(box) for name, box in value["boxes"].items()},
            frozenset(value["seen"]),
            frozenset(value["down"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_memory(path: Path, memory: Memory) -> None:
    """Write the file, for the owner alone. Raises OSError; the old one then stays."""
    value = {
        "cursor": cursor_to_json(memory.cursor),
        "boxes": {name: to_json(box) for name, box in memory.boxes.items()},
        "seen": sorted(memory.seen),
        "down": sorted(memory.down),
    }
    write_atomically(path, json.dumps(value, indent=1).encode(), mode=0o600)
