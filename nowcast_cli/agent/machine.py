"""What a machine is, and how much of it is in use, as the kernel tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GROUPS = Path("/sys/fs/cgroup")
_SECTOR = 512  # bytes, whatever the disk has


def cpus(groups: Path = GROUPS, proc: Path = PROC) -> int:
    """Give the processors that this process may use: of the machine, or of its control group."""
    most = len(os.sched_getaffinity(0))
    for group in _own_groups(groups, proc):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            most = min(most, max(1, int(quota) // int(period)))
    return most


def memory(groups: Path = GROUPS, proc: Path = PROC) -> int:
    """Give the bytes of memory that this process may use: of the machine, or of its group."""
    most = meminfo(_text(proc / "meminfo")).get("MemTotal", 0)
    for group in _own_groups(groups, proc):
        limit = _text(group / "memory.max")
        if limit.isdigit():
            most = min(most, int(limit))
    return most


def free_memory(groups: Path = GROUPS, proc: Path = PROC) -> int:
    """Give the bytes of memory that programs could still get without swapping."""
    free = meminfo(_text(proc / "meminfo")).get("MemAvailable", 0)
    for group in _own_groups(groups, proc):
        limit, used = _text(group / "memory.max"), _text(group / "memory.current")
        if limit.isdigit() and used.isdigit():
            # What is cached of files goes when room is needed.
            cached = _table(_text(group / "memory.stat")).get("inactive_file", 0)
            free = min(free, max(0, int(limit) - int(used) + cached))
    return free


def load() -> float:
    """Give the processes that ran or waited to run in the last minute, on average."""
    return os.getloadavg()[0]


def free_disk(folder: Path) -> int | None:
    """Give the bytes that a user may still write where a folder is; None where nobody knows."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            status = os.statvfs(place)
            return status.f_bavail * status.f_frsize
    return None


def size_of_disk(folder: Path) -> int | None:
    """Give the bytes of the file system that a folder is on; None where nobody knows."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            status = os.statvfs(place)
            return status.f_blocks * status.f_frsize
    return None


def counters(proc: Path = PROC, sys: Path = Path("/sys")) -> dict[str, int]:
    """Give what was read, written, received and sent since the boot, in bytes."""
    read, written = disk_bytes(_text(proc / "diskstats"), _whole_disks(sys))
    received, sent = network_bytes(_text(proc / "net/dev"))
    return {"read": read, "written": written, "received": received, "sent": sent}


def meminfo(text: str) -> dict[str, int]:
    """Read ``/proc/meminfo``: bytes by name."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def disk_bytes(diskstats: str, disks: frozenset[str]) -> tuple[int, int]:
    """Read ``/proc/diskstats``: bytes that were read from and written to those disks."""
    read = written = 0
    for line in diskstats.splitlines():
        words = line.split()
        if len(words) > 9 and words[2] in disks:
            read += int(words[5]) * _SECTOR
            written += int(words[9]) * _SECTOR
    return read, written


def network_bytes(net_dev: str) -> tuple[int, int]:
    """Read ``/proc/net/dev``: bytes that came in and went out, by all but the loopback."""
    received = sent = 0
    for line in net_dev.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and name.strip() != "lo" and len(words) > 8:
            received += int(words[0])
            sent += int(words[8])
    return received, sent


def _whole_disks(sys: Path) -> frozenset[str]:
    """Give the disks that are of hardware: a partition or a volume would count twice."""
    with suppress(OSError):
        return frozenset(
            disk.name for disk in (sys / "block").iterdir() if (disk / "device").exists()
        )
    return frozenset()


def _own_groups(groups: Path, proc: Path) -> Iterator[Path]:
    """Give the control groups (version 2) that this process is in, the innermost first."""
    for line in _text(proc / "self/cgroup").splitlines():
        if line.startswith("0::/"):
            own = groups / line.removeprefix("0::/")
            while own != groups and groups in own.parents:
                yield own
                own = own.parent
            yield groups


def _table(text: str) -> Mapping[str, int]:
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
