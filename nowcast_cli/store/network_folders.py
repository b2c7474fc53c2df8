"""Which folders lie on which file system, by what the kernel says of the mounts."""

from __future__ import annotations

from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "gpfs", "lustre", "beegfs", "ceph",
     "glusterfs", "fuse.glusterfs", "afs"}
)  # fmt: skip


def network_file_system_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Give the type of the network file system that ``folder`` lies on, None for a local one."""
    kind = file_system_of(folder, mounts)
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Give the type of the file system that ``folder`` lies on, such as ``ext4``."""
    resolved = folder.resolve()
    longest, kind = -1, ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, mount_point, file_system, *_ = line.split(" ")
        point = Path(mount_point.encode().decode("unicode_escape"))
        if resolved.is_relative_to(point) and len(point.parts) >= longest:
            longest, kind = len(point.parts), file_system
    return kind
