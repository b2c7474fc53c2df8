"""What a message does to the checklist. Pure; also used on copies and on what is read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(checklist: Mapping[Any, Any], key: Any, payload: Any) -> tuple[Any, bool]:
    """Give the value at ``key`` after ``payload`` came for it, and whether it was merged.

    A mapping is merged into a mapping; anything else replaces what was there.
    """
    old = checklist.get(key)
    if isinstance(old, dict) and isinstance(payload, dict):
        return {**old, **payload}, True
    return payload, False
