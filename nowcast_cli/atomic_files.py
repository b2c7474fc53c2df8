"""Files that are whole at every instant: written or moved beside their place, then renamed.

Standard library only: this file is shipped to other hosts together with the runner.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from nowcast_cli.crash_points import reached


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Give ``path`` the content ``data``; a reader sees the old file or the new one.

    The content and the folder's entry are on the disk when this returns. ``mode`` is what the
    file is created with, less the umask. Raises OSError; the old file then stays as it was.
    """
    temporary = _beside(path)
    try:
        write_synced(temporary, data, mode)
        reached("files.written")
        temporary.replace(path)
        reached("files.renamed")
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path | str, data: bytes, mode: int = 0o644) -> None:
    """Create ``path``, which must not exist, with ``data`` on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_into_place(source: Path, destination: Path) -> None:
    """Move a file or a folder; a reader sees what was there before or all of the new.

    The content is on the disk before the name appears. Across file systems the content is
    copied beside the destination first. A file replaces a file; a folder replaces nothing but
    an empty folder. Raises OSError; the destination is then as it was and the source remains.
    """
    sync_tree(source)
    try:
        source.replace(destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_then_rename(source, destination)
        remove(source)
    sync_folder(destination.parent)
    if source.parent != destination.parent and source.parent.is_dir():
        sync_folder(source.parent)


def sync_folder(path: Path | str) -> None:
    """Put the folder's entries on the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    # The name is not taken from the path whole: with an addition it could pass 255 bytes.
    return path.with_name(f".{path.name[:32]}.{os.getpid()}-{os.urandom(4).hex()}.part")


def copy_synced(source: Path, destination: Path) -> None:
    """Copy a file or folder to where nothing is; all of it is on the disk then. Raises OSError."""
    import shutil  # it loads three compression libraries, which few callers need

    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, destination, symlinks=True)
    else:
        shutil.copy2(source, destination, follow_symlinks=False)
    sync_tree(destination)


def _copy_then_rename(source: Path, destination: Path) -> None:
    temporary = _beside(destination)
    try:
        copy_synced(source, temporary)
        temporary.replace(destination)
    except BaseException:
        remove(temporary)
        raise


def sync_tree(path: Path) -> None:
    """Put the content of a file, or of a folder with all below it, on the disk. Raises OSError."""
    if path.is_symlink():
        return
    if path.is_dir():
        for entry in path.iterdir():
            sync_tree(entry)
        sync_folder(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all below it; what is not there is gone already."""
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
