"""Sends the inputs of one job to its host, and fetches its outputs: whole, or it says why not.

What was cut off stays where it goes to, and the next try goes on from there. Only what has the
same size and SHA-256 on both sides has come over.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.config.sizes import size_words
from nowcast_cli.executors import mirror, rsync, ssh_command
from nowcast_cli.executors.file_digests import (
    Digests,
    differing,
    digests_of,
    files_of,
    sizes_of,
)
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.rsync_run import RsyncRun, Stopped
from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall
from nowcast_cli.executors.transfer_note import Notes, TransferNote

_TRIES = 3  # for files that are other ones over there than here
_LONG = 30.0  # s after which the log tells of a transfer, and how often it does from then on

_logger = logging.getLogger(__name__)


class NotTransferred(Exception):
    """Trying again would not help; the text is a sentence."""


class NotYetTransferred(Exception):
    """To be tried again: the host is away, or there is something to be mended; a sentence."""


# Gives the names of what is wanted of what a job has left.
Choose = Callable[[Mapping[str, Any]], Sequence[str]]


@dataclass(frozen=True)
class Way:
    """The way to a host: ``run`` is the folder with the socket of the shared connection."""

    host: RemoteHost
    run: Path
    call: SshCall
    rsync: RsyncRun

    @property
    def control(self) -> Path:
        """The socket of the shared connection."""
        return ssh_command.control_path(self.host, self.run)

    def ask(self, what: str, job: JobRequest, **more: Any) -> dict[str, Any]:
        """Have an order about a job carried out (see ``remote_files``)."""
        order = {
            "what": what,
            "root": self.host.state_directory,
            "folder": mirror.folder_there(job),
        }
        try:
            return self.call.exchange(self.host, {**order, **more})
        except NoExchangeError as error:
            raise NotYetTransferred(str(error)) from None

    def went_on(self) -> None:
        """Raise Stopped when nobody wants the files any more."""
        if self.rsync.stopped:
            raise Stopped


def send(way: Way, job: JobRequest, inputs: Mapping[str, Path]) -> None:
    """Send files and folders, by the names that they get there.

    Raises NotTransferred, NotYetTransferred and Stopped.
    """
    wrong: list[str] = []
    for _ in range(_TRIES):
        room = way.ask("make room", job)
        if room["claimed"]:
            return
        _need_rsync(way, room["rsync"])
        wanted = _digests_here(way, inputs)
        _check_room_there(way, room, wanted)
        said = _push(way, job, inputs, room["folder"], wanted, again=bool(wrong))
        wrong = way.ask("examine", job, files=wanted)["wrong"]
        if not wrong:
            return
    raise NotTransferred(_why_other(way, inputs, wanted, wrong) + said)


def fetch(
    way: Way, job: JobRequest, names: Sequence[str], choose: Choose = lambda left: left["there"]
) -> None:
    """Fetch what a job has left, into its scratch folder on this machine.

    Parameters
    ----------
    names
        What it may be, below its scratch folder.
    choose
        Is given what the job has left (see ``remote_files.outputs``), and gives the names of
        what is wanted of that; what is wanted and missing is an error.

    Raises
    ------
    NotTransferred, NotYetTransferred, Stopped
        And what ``choose`` raises.
    """
    scratch = Path(job.folder, "scratch")
    wrong: list[str] = []
    for _ in range(_TRIES):
        left = way.ask("outputs", job, names=names)
        wanted = choose(left)
        if not wanted:
            return
        _need_all(way, left, wanted)
        _need_rsync(way, left["rsync"])
        goals = frozenset(map(PurePosixPath, wanted))
        files = {name: each for name, each in left["files"].items() if _is_in(name, goals)}
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            _check_room_here(scratch, files)
            said = _pull(way, job, wanted, left["scratch"], files, again=bool(wrong))
            there = {name: path for name in files if (path := scratch / name).is_file()}
            wrong = differing(files, digests_of(there, way.went_on))
        except OSError as error:
            raise NotYetTransferred(
                f"the outputs of job {job.id} cannot be written to {scratch}: {error.strerror}"
            ) from error
        if not wrong:
            return
    raise NotTransferred(
        f"{', '.join(wrong)} in {left['scratch']} on host {way.host.name} could not be fetched "
        f"as it is, in {_TRIES} tries: something still writes there{said}"
    )


def _need_rsync(way: Way, there: bool) -> None:
    for where, has in ((f"host {way.host.name}", there), ("this machine", _has_rsync())):
        if not has:
            raise NotYetTransferred(
                f"{where} has no rsync, which brings files of jobs to {way.host.name} and back: "
                "install the package rsync there"
            )


def _has_rsync() -> bool:
    return shutil.which("rsync") is not None


# --- sending


def _digests_here(way: Way, inputs: Mapping[str, Path]) -> Digests:
    try:
        return digests_of(files_of(inputs, links=True), way.went_on)
    except OSError as error:
        raise NotTransferred(
            f"the input {error.filename} cannot be sent to host {way.host.name}: {error.strerror}"
        ) from error


def _check_room_there(way: Way, room: Mapping[str, Any], wanted: Digests) -> None:
    need = sum(size for size, _ in wanted.values()) - room["there"]
    if need > room["free"]:
        raise NotTransferred(
            f"the disk of {room['folder']} on host {way.host.name} has {size_words(room['free'])} "
            f"free, and the inputs take {size_words(need)} more: make room there "
            f"(ssh {way.host.name} du -sh {way.host.state_directory}/jobs)"
        )


def _push(
    way: Way,
    job: JobRequest,
    inputs: Mapping[str, Path],
    folder: str,
    wanted: Digests,
    *,
    again: bool,
) -> str:
    links = Path(job.folder, "outgoing")
    note = TransferNote(
        "sending inputs", way.host.name, len(wanted), sum(size for size, _ in wanted.values())
    )
    try:
        _make_links(links, inputs)
        command = rsync.push(way.host, way.control, links, f"{folder}/incoming", again=again)
        trouble = _run(way, job, command, b"", note)
    except OSError as error:
        raise NotYetTransferred(
            f"the inputs of job {job.id} cannot be sent from {links}: {error.strerror}"
        ) from error
    if trouble is None or trouble.kind == "source":  # the look over there says what is wrong
        shutil.rmtree(links, ignore_errors=True)
        return _said(trouble)
    if trouble.kind == "full":
        raise NotTransferred(
            f"the disk of {folder} on host {way.host.name} is full ({trouble.sentence}): make "
            f"room there (ssh {way.host.name} du -sh {way.host.state_directory}/jobs)"
        )
    raise NotYetTransferred(_sentence(way, trouble))


def _make_links(folder: Path, inputs: Mapping[str, Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in inputs.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)


def _why_other(way: Way, inputs: Mapping[str, Path], wanted: Digests, wrong: Sequence[str]) -> str:
    names = ", ".join(wrong)
    if any(_digests_here(way, inputs).get(name) != wanted[name] for name in wrong):
        return (
            f"the input {names} changed each time while it was sent to host {way.host.name}: "
            "have it written under another name and renamed when it is whole"
        )
    return (
        f"the input {names} is not on host {way.host.name} what it is here, though it was sent "
        f"{_TRIES} times: its disk may be damaged, or something there writes to it"
    )


# --- fetching


def _need_all(way: Way, left: Mapping[str, Any], wanted: Sequence[str]) -> None:
    there = set(left["there"])
    missing = [name for name in wanted if name not in there]
    if missing:
        words = "output was" if len(missing) == 1 else "outputs were"
        where = f"{left['scratch']} on host {way.host.name}"
        raise NotTransferred(f"declared {words} not made in {where}: {', '.join(missing)}")


def _is_in(name: str, wanted: frozenset[PurePosixPath]) -> bool:
    path = PurePosixPath(name)
    return not wanted.isdisjoint((path, *path.parents))


def _check_room_here(scratch: Path, files: Mapping[str, Sequence[Any]]) -> None:
    disk = os.statvfs(scratch)
    free = disk.f_bavail * disk.f_frsize
    have = sum(sizes_of(files_of({"": scratch}, links=False)).values())
    need = sum(size for size, _ in files.values()) - have
    if need > free:
        raise NotYetTransferred(
            f"the disk of {scratch} on this machine has {size_words(free)} free, and the outputs "
            f"that wait on the job's host take {size_words(need)} more: make room here"
        )


def _pull(
    way: Way,
    job: JobRequest,
    names: Sequence[str],
    there: str,
    files: Mapping[str, Sequence[Any]],
    *,
    again: bool,
) -> str:
    scratch = Path(job.folder, "scratch")
    note = TransferNote(
        "fetching outputs", way.host.name, len(files), sum(size for size, _ in files.values())
    )
    command = rsync.pull(way.host, way.control, there, scratch, again=again)
    data = b"".join(name.encode() + b"\0" for name in names)
    trouble = _run(way, job, command, data, note)
    if trouble is None or trouble.kind == "source":
        return _said(trouble)
    if trouble.kind == "full":
        raise NotYetTransferred(
            f"the disk of {scratch} on this machine is full ({trouble.sentence}): the outputs "
            "wait on the job's host, make room here"
        )
    raise NotYetTransferred(_sentence(way, trouble))


# --- both


def _run(
    way: Way, job: JobRequest, command: Sequence[str], data: bytes, note: TransferNote
) -> rsync.Failure | None:
    notes = Notes(Path(job.folder))
    tell = _told_now_and_then(job)

    def came(count: int) -> None:
        notes.write(replace(note, came=count))
        tell(replace(note, came=count))

    try:
        notes.write(note)
        ended = way.rsync.run(command, data, came)
    finally:
        notes.remove()
    return None if ended.code == 0 else rsync.failure(way.host, ended.code, ended.stderr)


def _told_now_and_then(job: JobRequest) -> Callable[[TransferNote], None]:
    due = time.monotonic() + _LONG

    def tell(note: TransferNote) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _LONG
            came, whole = size_words(note.came), size_words(note.bytes)
            _logger.info(
                "job %s (%s): %s, %s of %s, host %s",
                job.id, job.worker, note.what, came, whole, note.host,
            )  # fmt: skip

    return tell


def _said(trouble: rsync.Failure | None) -> str:
    return "" if trouble is None else f" (rsync: {trouble.sentence})"


def _sentence(way: Way, trouble: rsync.Failure) -> str:
    if trouble.kind == "away":
        return trouble.sentence
    return f"files do not come to host {way.host.name} and back: {trouble.sentence}"
