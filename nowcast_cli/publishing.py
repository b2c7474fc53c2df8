"""Outputs of a command appear at their destinations all, or none: by an intent that is on the disk.

What is to happen is written to ``publish.json`` in the job's folder. Until that says ``ready``,
nothing can be seen at any destination, and what was prepared is taken back. From then on only
renames are left, and whoever finds the runner dead carries them out: each is done once, however
often it is asked for, since what was renamed is at its old place no more.

Standard library only: this file is shipped to other hosts together with the runner.
"""

# Strings for paths, as in the runner, of which this is a part.
# ruff: noqa: PTH103, PTH104, PTH108, PTH112, PTH115, PTH119, PTH120, PTH208, PTH211
from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nowcast_cli.atomic_files import (
    copy_synced,
    remove,
    sync_folder,
    sync_tree,
    write_atomically,
    write_synced,
)
from nowcast_cli.crash_points import reached
from nowcast_cli.publish_intent import (
    INTENT,
    Intent,
    Output,
    beside,
    encoded,
    file_of,
    read_intent,
    version_of,
    write_intent,
)

__all__ = ["INTENT", "NotPublished", "Output", "forget", "publish", "roll_forward"]

# A rename that fails so will not do better later.
_FOR_GOOD = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST)
_RETRY = 1.0  # s between two tries of a rename, once one has been done
_KEPT_VERSIONS = 2  # of what a symlink leads to: that one, and the one before


class NotPublished(Exception):
    """Nothing was published; all destinations are as they were. The text is a sentence."""


def publish(
    folder: str, outputs: Sequence[Output], marker: str | None, token: str, told: Any
) -> str | None:
    """Put the outputs in place; to be followed by :func:`forget` once ``told`` is on the disk.

    Gives None, or a sentence about what could not be put in place when the rest already was:
    it is where it came from then.

    Parameters
    ----------
    folder
        Where the intent is kept.
    marker
        A file that is made when all the rest is in place, and removed before it is touched.
    token
        Becomes part of the names of temporary files: one for each attempt.
    told
        Anything that JSON holds, for :func:`roll_forward` to give back.

    Raises
    ------
    NotPublished
        When something is missing or cannot be put where it should; nothing has changed then.
    """
    intent = Intent(token, told)
    _check(folder, outputs, marker)
    try:
        _prepare(folder, intent, outputs, marker)
        _rename_first(intent)
    except OSError as error:
        _take_back(folder, intent)
        raise NotPublished(_sentence(error)) from error
    while True:
        try:
            return _rename(intent)
        except OSError:  # some is in place: there is no way back, and no other way on
            time.sleep(_RETRY)


def roll_forward(folder: str) -> tuple[Any, str | None] | None:
    """End what a process that is dead by now has begun: what that was ``told``, and a sentence.

    The sentence is that of :func:`publish`. None when nothing was decided: what was prepared has
    been taken back. Raises OSError when that is not possible now; to be repeated. The caller has
    to see to it that it is alone.
    """
    intent = read_intent(folder)
    if intent is None:
        return None
    if not intent.ready:
        _take_back(folder, intent)
        return None
    return intent.told, _rename(intent)


def forget(folder: str) -> None:
    """Remove the intent, which is carried out, and versions that no symlink leads to any more."""
    intent = read_intent(folder)
    with suppress(OSError):
        os.unlink(file_of(folder))
        reached("publish.forgotten")
    for link in intent.links if intent is not None else ():
        with suppress(OSError):
            _prune(link)


# --- checking


def _check(folder: str, outputs: Sequence[Output], marker: str | None) -> None:
    """Find what is no matter of the disk. Raises NotPublished."""
    missing = [
        output.source.removeprefix(f"{folder}/scratch/")
        for output in outputs
        if not os.path.lexists(output.source)
    ]
    if missing:
        words = "output was" if len(missing) == 1 else "outputs were"
        raise NotPublished(f"declared {words} not made: {', '.join(missing)}")
    sources = sorted(output.source for output in outputs)
    for number, other in enumerate(sources[1:]):
        one = sources[number]
        if other == one or other.startswith(f"{one}/"):
            raise NotPublished(f"{other} cannot go to two places: {one} is to be moved, too")
    for output in outputs:
        _check_kinds(output)
    if marker is not None and os.path.isdir(marker):
        raise NotPublished(f"the marker {marker} cannot be written: there is a folder")


def _check_kinds(output: Output) -> None:
    kind = os.lstat(output.source).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise NotPublished(f"{output.source} is neither a file nor a folder, so it stays there")
    place = output.link or output.destination
    if not os.path.lexists(place):
        return
    there = os.lstat(place).st_mode
    if output.link is not None:
        if not stat.S_ISLNK(there):
            raise NotPublished(
                f"{place} is to become a symlink, and is none yet: move it away, once"
            )
    elif stat.S_ISDIR(there) and (not stat.S_ISDIR(kind) or os.listdir(place)):
        raise NotPublished(f"{place} is a folder, which only `as: symlink` could replace")
    elif stat.S_ISDIR(kind) and not stat.S_ISDIR(there):
        raise NotPublished(f"{place} is a file, which the folder {output.source} cannot replace")


# --- preparing


def _prepare(folder: str, intent: Intent, outputs: Sequence[Output], marker: str | None) -> None:
    """Do all that may fail, where nobody sees it; then decide. Raises OSError."""
    _note(folder, intent, outputs, marker)
    reached("publish.noted")
    for output in outputs:
        if output.link is None:
            _plan_file(intent, output)
    _plan_links(intent, outputs)
    _plan_marker(intent)
    if intent.staged:
        write_intent(folder, intent)
    for output in outputs:
        sync_tree(Path(output.source))
    for source, staged in intent.staged:
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        _bring(source, staged)
        reached("publish.staged")
    for link in intent.links:
        os.symlink(os.path.basename(version_of(intent, link)), beside(link, intent.token, "link"))
        sync_tree(Path(version_of(intent, link)))
    if marker is not None:
        write_synced(intent.renames[-1][0], f"{intent.token}\n".encode())
    _sync([staged for _, staged in intent.staged])
    reached("publish.prepared")
    intent.ready = True
    write_atomically(Path(file_of(folder)), encoded(intent))
    reached("publish.ready")


def _note(folder: str, intent: Intent, outputs: Sequence[Output], marker: str | None) -> None:
    """Write down what may be made anywhere, before anything is.

    Not synced: what a power cut leaves of it, it leaves of what this speaks of, too.
    """
    intent.links = list(dict.fromkeys(each.link for each in outputs if each.link is not None))
    for output in outputs:
        if output.link is None:
            intent.made.append(beside(output.destination, intent.token, "probe"))
    for link in intent.links:
        intent.made += [version_of(intent, link), beside(link, intent.token, "link")]
    if marker is not None:
        intent.marker = marker
        intent.made.append(beside(marker, intent.token, "part"))
    write_intent(folder, intent)


def _plan_file(intent: Intent, output: Output) -> None:
    """Have a file renamed to its place from where it is, or first copied beside that."""
    if _is_at_hand(output, intent.token):
        intent.renames.append((output.source, output.destination))
        return
    staged = beside(output.destination, intent.token, "part")
    intent.staged.append((output.source, staged))
    intent.renames.append((staged, output.destination))


def _plan_links(intent: Intent, outputs: Sequence[Output]) -> None:
    """Have what is reached by a symlink go to a folder of its own, which nobody knows yet."""
    for output in outputs:
        if output.link is not None:
            below = output.destination[len(output.link) :]
            intent.staged.append((output.source, version_of(intent, output.link) + below))
    intent.renames += [(beside(link, intent.token, "link"), link) for link in intent.links]
    for link in intent.links:
        os.makedirs(os.path.dirname(link), exist_ok=True)


def _plan_marker(intent: Intent) -> None:
    if intent.marker is not None:
        os.makedirs(os.path.dirname(intent.marker), exist_ok=True)
        intent.renames.append((beside(intent.marker, intent.token, "part"), intent.marker))
        intent.aside = beside(intent.marker, intent.token, "old")


def _is_at_hand(output: Output, token: str) -> bool:
    """Whether a rename leads to the destination; tried, which also shows whether it may be."""
    os.makedirs(os.path.dirname(output.destination), exist_ok=True)
    probe = beside(output.source, token, "probe")
    there = beside(output.destination, token, "probe")
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.rename(probe, there)
    except OSError as error:
        os.unlink(probe)
        if error.errno != errno.EXDEV:
            raise OSError(error.errno, error.strerror, output.destination) from None
        return False
    reached("publish.probed")
    os.unlink(there)
    return True


def _bring(source: str, staged: str) -> None:
    """Rename, or across file systems copy."""
    try:
        os.rename(source, staged)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_synced(Path(source), Path(staged))


def _take_back(folder: str, intent: Intent) -> None:
    """Undo what was prepared: sources are where they were, and nothing is left elsewhere.

    What cannot go back to its source stays; it is never removed.
    """
    if intent.ready:  # nobody may carry out what is being undone
        intent.ready = False
        try:
            write_atomically(Path(file_of(folder)), encoded(intent))
        except OSError:
            with suppress(OSError):
                os.unlink(file_of(folder))
    stays = False
    for source, staged in intent.staged:
        try:
            if os.path.lexists(staged) and not os.path.lexists(source):
                os.rename(staged, source)
            else:
                remove(Path(staged))
        except OSError:
            stays = True
    if intent.aside is not None and intent.marker is not None:
        with suppress(OSError):
            os.rename(intent.aside, intent.marker)
    if stays:
        return
    for path in intent.made:
        with suppress(OSError):
            remove(Path(path))
    with suppress(OSError):
        os.unlink(file_of(folder))


# --- carrying out


def _rename_first(intent: Intent) -> None:
    """Take the first step; where it cannot be taken there still is a way back. Raises OSError."""
    _set_marker_aside(intent)
    if intent.renames:
        _move(*intent.renames[0])


def _set_marker_aside(intent: Intent) -> None:
    if intent.marker is None or intent.aside is None:
        return
    if os.path.lexists(intent.renames[-1][0]):  # else the new one is in its place already
        with suppress(FileNotFoundError):
            os.rename(intent.marker, intent.aside)
            reached("publish.unmarked")


def _rename(intent: Intent) -> str | None:
    """Carry out what is left of a decided intent; a sentence about what will never be possible.

    Raises OSError when something is not possible now; may be repeated.
    """
    _set_marker_aside(intent)
    troubles: list[str] = []
    last = len(intent.renames) - 1
    for number, (path, goal) in enumerate(intent.renames):
        if intent.marker is not None and number == last:
            _sync([goal for _, goal in intent.renames[:-1]])  # it tells of what is on the disk
            if troubles:
                remove(Path(path))
                break
        try:
            _move(path, goal)
        except OSError as error:
            if error.errno not in _FOR_GOOD:
                raise
            troubles.append(_sentence(error))
    _sync([goal for _, goal in intent.renames])
    if intent.aside is not None:
        remove(Path(intent.aside))
    reached("publish.synced")
    return f"{'; '.join(troubles)} (all others are in place)" if troubles else None


def _move(path: str, goal: str) -> None:
    try:
        os.rename(path, goal)
    except FileNotFoundError:
        if not os.path.lexists(path):
            return  # done already
        os.makedirs(os.path.dirname(goal), exist_ok=True)  # removed since the check
        os.rename(path, goal)
    reached("publish.renamed")


def _sync(paths: Iterable[str]) -> None:
    for parent in {os.path.dirname(path) for path in paths}:
        sync_folder(parent)


def _prune(link: str) -> None:
    """Remove versions of what a symlink leads to, but for that one and the one before."""
    parent = os.path.dirname(link)
    prefix = os.path.basename(beside(link, "", "v-"))
    now = os.readlink(link)
    names = [name for name in os.listdir(parent) if name.startswith(prefix) and name != now]
    names.sort(key=lambda name: os.lstat(f"{parent}/{name}").st_ctime_ns)
    for name in names[: 1 - _KEPT_VERSIONS]:
        remove(Path(parent, name))


def _sentence(error: OSError) -> str:
    where = error.filename2 or error.filename
    what = error.strerror or str(error)
    return f"outputs could not be put in place: {what}" + (f": {where}" if where else "")
