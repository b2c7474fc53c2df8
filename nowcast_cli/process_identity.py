"""Who a process is, beyond its number, which the kernel gives to another one later.

Standard library only: this file is shipped to other hosts together with the runner.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# Errors of an open() that say something of this process or machine alone: what is asked for may
# well be there.
NOT_ABOUT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of this machine.

    ``started`` is in clock ticks since the boot (field 22 of ``/proc/PID/stat``), ``boot`` the
    kernel's random id of the boot.
    """

    pid: int
    started: int
    boot: str


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of a process, also of a zombie; None when there is no such process.

    Raises OSError when it cannot be seen for want of descriptors or memory.
    """
    stat = _state_and_start(pid)
    return None if stat is None else ProcessIdentity(pid, stat[1], boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """True while that very process runs or sleeps. A zombie is not alive.

    Raises OSError when it cannot be seen for want of descriptors or memory.
    """
    if identity.boot != boot_id():
        return False
    stat = _state_and_start(identity.pid)
    return stat is not None and stat[1] == identity.started and stat[0] not in "ZX"


def uptime() -> float:
    """The seconds since the boot, those included in which the machine slept: nobody sets them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def began_at(identity: ProcessIdentity) -> float:
    """The :func:`uptime` of its boot at which a process began."""
    return identity.started / os.sysconf("SC_CLK_TCK")


def to_json(identity: ProcessIdentity) -> dict[str, Any]:
    """The identity as ``{"pid", "started", "boot"}``."""
    return {"pid": identity.pid, "started": identity.started, "boot": identity.boot}


def from_json(value: Mapping[str, Any]) -> ProcessIdentity:
    """The identity that :func:`to_json` gave. Raises ValueError for anything else."""
    try:
        pid, started, boot = value["pid"], value["started"], value["boot"]
    except (KeyError, TypeError):
        raise ValueError(f"this is no identity of a process: {value!r}") from None
    if not (isinstance(pid, int) and isinstance(started, int) and isinstance(boot, str)):
        raise ValueError(f"this is no identity of a process: {value!r}")
    return ProcessIdentity(pid, started, boot)


@cache
def boot_id() -> str:
    """The kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _state_and_start(pid: int) -> tuple[str, int] | None:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in NOT_ABOUT_THE_FILE:
            raise
        return None
    try:
        text = os.read(descriptor, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    # The command's name stands in parentheses and may itself hold spaces and parentheses.
    fields = text.rpartition(b")")[2].split()
    return fields[0].decode("ascii"), int(fields[19])
