"""What a message does to the checklist. Pure; also used on copies and on what is read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nowcast_cli.messages import wire
from nowcast_cli.store.records import MessageRecord


def merged(checklist: Mapping[Any, Any], key: Any, payload: Any) -> tuple[Any, bool]:
    """Give the value at ``key`` after ``payload`` came for it, and whether it was merged.

    A mapping is merged into a mapping; anything else replaces what was there.
    """
    old = checklist.get(key)
    if isinstance(old, dict) and isinstance(payload, dict):
        return {**old, **payload}, True
    return payload, False


def fold(checklist: dict[Any, Any], effects: Iterable[MessageRecord]) -> None:
    """Let ``effects``, the oldest first, have their effect on ``checklist``."""
    for record in effects:
        if record.effect == "clear":
            checklist.clear()
        elif record.effect == "put" and record.checklist_key is not None:
            key = wire.load(record.checklist_key)
            payload = None if record.body is None else wire.load(record.body).get("payload")
            checklist[key], _ = merged(checklist, key, payload)
