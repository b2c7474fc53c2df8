"""Files of any kind: nothing is known of them but their size and checksum."""

from __future__ import annotations

from nowcast_cli.products.scanning import Contents, ScannedFile


def recognises(_name: str, _head: bytes) -> bool:
    """Say that any file is one."""
    return True


def scan(_file: ScannedFile) -> Contents:
    """Find nothing."""
    return Contents()
