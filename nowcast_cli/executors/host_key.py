"""The key that jobs on another host connect with, as it is sent there with each order."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from nowcast_cli.security.key import key_file, read_key
from nowcast_cli.security.key_ring import KeyRing


def key_for(keys: Path, host: str) -> dict[str, str] | None:
    """Give the key of a host: the ``file`` for it there, and the ``text``; None without a key.

    Several systems may share a host's folder, so the name of the file is this system's own.
    Raises KeyTrouble.
    """
    entry = KeyRing(keys).roster().key_of_host(host)
    if entry is None:
        return None
    key = read_key(key_file(keys, entry.name))
    system = sha256(f"{os.uname().nodename}:{keys}".encode()).hexdigest()[:12]
    return {"file": f"{system}.key", "text": key.to_text()}
