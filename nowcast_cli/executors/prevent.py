"""Keeping a job from ever beginning: its claim is taken by somebody who will not run it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nowcast_cli.atomic_files import sync_folder, write_synced
from nowcast_cli.crash_points import reached
from nowcast_cli.process_identity import identity_of
from nowcast_cli.runner import Claim


def prevent(folder: Path, now: str) -> bool:
    """Take the claim of the job in ``folder`` so that no worker can; False when one has it.

    Parameters
    ----------
    now
        The time that the claim tells, ISO 8601 UTC.
    """
    identity = identity_of(os.getpid())
    assert identity is not None, "a process that runs has an identity"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".prevented-{identity.pid}-{identity.started}"
    write_synced(temporary, json.dumps(Claim(identity, None, now).to_json()).encode())
    reached("prevent.written")
    try:
        os.link(temporary, folder / "pid")
        reached("prevent.linked")
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
        sync_folder(folder)
    return True
