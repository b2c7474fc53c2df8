"""Files on their way to their places, and into the index: all or none, whoever dies meanwhile.

Each request has a folder with an intent (see ``publishing``), which tells the request, too. It is
locked by who carries it out. What is decided there and locked by nobody is carried out by the
manager: the files go to their places, then into the index, then the folder is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.atomic_files import copy_synced, remove
from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.products.removing import path_of
from nowcast_cli.publishing import INTENT, NotPublished, Output, forget, publish, roll_forward

FOLDER = "registrations"  # in the state directory
_GATE = ".lock"


@contextmanager
def placed(
    state: Path,
    request_id: str,
    request: Mapping[str, Any],
    moves: Sequence[tuple[Path, Path]],
    link: bool,
) -> Iterator[dict[str, Any]]:
    """Put files in their places, to be registered within the block.

    Gives the request, less what could not be put in its place. When the block is left by an
    exception, the manager registers them once it can.

    Parameters
    ----------
    state
        The state directory of the system.
    request
        What the manager is to be asked: ``register product``.
    moves
        Each file, and the path that it gets.
    link
        The files stay, too; where a hard link is not possible they are copied.

    Raises NowcastError when nothing was put anywhere.
    """
    root = state / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    folder = root / request_id
    descriptor = _entered(folder)
    try:
        try:
            outputs = [
                Output(str(_linked(folder, number, source) if link else source), str(goal))
                for number, (source, goal) in enumerate(moves)
            ]
            told = {
                "request": request,
                "sources": [] if link else [_identity(source) for source, _ in moves],
            }
            publish(str(folder), outputs, None, request_id, told)
        except NotPublished as error:
            _abandon(folder)
            raise NowcastError(str(error)) from None
        except OSError as error:
            _abandon(folder)
            raise NowcastError(
                f"the files could not be put in their places: {error.strerror}",
                cause=error.filename and str(error.filename),
            ) from error
        reached("registration.placed")
        yield in_place(request)
        reached("registration.registered")
        _end(folder, told)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What nobody carries out any more: ``request`` is to be registered, None for nothing.

    ``trouble`` says why its files could not be put in their places.
    """

    folder: Path
    descriptor: int
    request: dict[str, Any] | None = None
    trouble: str | None = None
    told: Any = None

    def end(self) -> None:
        """Forget it: it is registered, or was never decided."""
        if self.request is None:
            _abandon(self.folder)
        else:
            _end(self.folder, self.told)
        self.release()

    def release(self) -> None:
        """Let it be looked at again."""
        os.close(self.descriptor)


def left_over(state: Path) -> list[LeftOver]:
    """Put in their places the files of requests whose process has died. May wait for disks.

    Raises OSError where nobody can tell what there is.
    """
    found = []
    for folder, descriptor in _abandoned(state / FOLDER):
        try:
            rolled = roll_forward(str(folder))
            told = None if rolled is None else rolled[0]
            request = None if told is None else in_place(told["request"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append(LeftOver(folder, descriptor, trouble=str(error) or repr(error)))
        else:
            found.append(LeftOver(folder, descriptor, request, told=told))
    return found


def in_place(request: Mapping[str, Any]) -> dict[str, Any]:
    """Give a request less the files that are not in their places, whole."""
    return {**request, "files": [file for file in request["files"] if _is_there(file)]}


def _is_there(file: Mapping[str, Any]) -> bool:
    path = path_of(str(file["url"]))
    try:
        return path is not None and path.stat().st_size == file["size"]
    except OSError:
        return False


def _entered(folder: Path) -> int:
    """Make a folder and lock it, before anybody could take it for abandoned."""
    with _gate(folder.parent, fcntl.LOCK_SH):
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _abandoned(root: Path) -> list[tuple[Path, int]]:
    """Give the folders that nobody has locked, locked from now on."""
    with suppress(FileNotFoundError, BlockingIOError), _gate(root, fcntl.LOCK_EX | fcntl.LOCK_NB):
        folders = sorted(folder for folder in root.iterdir() if folder.name != _GATE)
        taken = [(folder, _taken(folder)) for folder in folders]
        return [(folder, descriptor) for folder, descriptor in taken if descriptor is not None]
    return []


def _taken(folder: Path) -> int | None:
    """Lock a folder; None where somebody has it, or it has just gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


@contextmanager
def _gate(root: Path, how: int) -> Iterator[None]:
    descriptor = os.open(root / _GATE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _linked(folder: Path, number: int, source: Path) -> Path:
    link = folder / f"{number}-{source.name}"[:200]
    try:
        link.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        copy_synced(source, link)
    return link


def _abandon(folder: Path) -> None:
    """Remove a folder of which nothing was decided, unless something could not be taken back."""
    if not (folder / INTENT).exists():
        with suppress(OSError):
            remove(folder)


def _identity(source: Path) -> list[Any]:
    """Give what tells a file from another one that has its name later."""
    status = source.stat()
    return [str(source), status.st_ino, status.st_mtime_ns]


def _end(folder: Path, told: Mapping[str, Any]) -> None:
    """Remove what was copied, across file systems, where it was to be moved; and the intent."""
    for source in told["sources"]:
        with suppress(OSError):
            if _identity(Path(source[0])) == source:
                Path(source[0]).unlink()
    forget(str(folder))
    with suppress(OSError):
        remove(folder)
