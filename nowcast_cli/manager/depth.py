"""How deep a value of JSON is."""

from __future__ import annotations


def depth_of(value: object) -> int:
    """Count the levels of lists and mappings; without recursion, which has a depth of its own."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, list | dict)]:
        depth += 1
        level = [
            item for each in level for item in (each.values() if isinstance(each, dict) else each)
        ]
    return depth
