"""One job, in its folder: the runner waits for the worker and tells how it ended.

Two processes belong to a job. The *runner* makes the folder, forks the *worker*, waits for it
and writes ``exit``. The worker claims the job before any of the user's code begins, by one
``link()`` to ``pid``: of all workers that were ever started for a job, by whatever mishap, one
gets past that line.

Standard library only, as its neighbours that it imports: they are shipped together to other hosts.
"""

# See the comment above _prepare for why paths are strings here.
# ruff: noqa: PTH102, PTH103, PTH108, PTH116, PTH120
from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from resource import struct_rusage
from typing import Any, NoReturn

from nowcast_cli import command_end, publishing
from nowcast_cli.atomic_files import sync_folder, write_atomically, write_synced
from nowcast_cli.claims import Claim, Exit
from nowcast_cli.crash_points import reached
from nowcast_cli.process_identity import ProcessIdentity, identity_of, uptime

__all__ = [
    "LONGEST_ORDER",
    "Claim",
    "Exit",
    "Tell",
    "claim_for",
    "conclude",
    "describe",
    "environment_of",
    "exit_of",
    "fork_worker",
    "prepare",
    "roll_forward",
]

# What the worker tells of its own start; a hint, which may get lost: ("claimed", job's id) or
# ("trouble", a sentence).
Tell = Callable[[str, str], None]

# Waits for the worker, by its process id; gives its status and what it has used.
Wait = Callable[[int], tuple[int, struct_rusage]]

LONGEST_ORDER = 1 << 18  # bytes; more than a Unix socket takes by default

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CLAIMED = b"\0"  # the worker's first byte to its runner
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
_LONGEST_REASON = 4096
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some file systems of clusters


def environment_of(job: Mapping[str, Any]) -> dict[str, str]:
    """What a job (the content of its ``job.json``) finds in its environment beside the rest."""
    return {
        **job["environment"],
        "NOWCAST_JOB_ID": job["id"],
        "NOWCAST_ATTEMPT": str(job["attempt"]),
        "NOWCAST_JOB_FOLDER": job["folder"],
        "NOWCAST_SCRATCH": job["folder"] + "/scratch",
        "NOWCAST_YAML": job["config_file"],
    }


def _until_it_ends(worker: int) -> tuple[int, struct_rusage]:
    _, status, usage = os.wait4(worker, 0)
    return status, usage


def fork_worker(
    orders: socket.socket,
    tell: Tell,
    rehearsal: Iterable[Callable[[], None]] = (),
    wait: Wait = _until_it_ends,
    *,
    alike: bool = False,
) -> tuple[dict[str, Any], socket.socket]:
    """Turn this process into a runner with a worker; **returns in the worker alone**.

    Both processes wait for the one order that arrives on ``orders``, the content of a
    ``job.json`` with an absolute ``folder``; they end when that closes before. So a pair can be
    made ahead of its job; the worker takes the steps of a ``rehearsal`` while there is none. The
    runner never comes back: it ends when the job has. So does the pair when another one runs the
    job or has run it.

    The worker holds the claim then, in a session of its own. What it gets is the job and a
    socket: a sentence that it sends there becomes the ``reason`` in ``exit``; it is closed by
    an exec.

    All signals should be blocked on entry, and stay so in the runner: it ends with its worker
    and not by a signal that was meant for somebody else; ``wait`` may take them. The worker has
    to unblock them. With ``alike`` the runner's exit code is that of the worker, for who waits
    for the runner: 128 and the signal that ended it, as of a shell.
    """
    to_worker, to_runner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    runner = _identity(os.getpid())  # asked here: the parent of a worker may be another one soon
    worker = os.fork()
    if worker != 0:
        to_runner.close()
        _run(orders, worker, to_worker, tell, wait, alike)
    orders.close()
    to_worker.close()
    reached("worker.forked")
    process = _identity(os.getpid())
    os.setsid()
    for step in rehearsal:
        if select.select([to_runner], [], [], 0)[0]:
            break
        with suppress(Exception):
            step()
    job = _await_order(to_runner)[1]
    reached("worker.ordered")
    try:
        if not _claim(job["folder"], process, runner):
            os._exit(0)
    except OSError as error:
        _give_up(job, error, tell)
    reached("worker.claimed")
    with suppress(OSError):  # the runner may be dead by now; the job goes on without
        to_runner.send(_CLAIMED)
    tell("claimed", job["id"])
    reached("worker.told_of_its_claim")
    return job, to_runner


def _run(
    orders: socket.socket, worker: int, wire: socket.socket, tell: Tell, wait: Wait, alike: bool
) -> NoReturn:
    """Be the runner: pass the order on, wait for the worker, tell how it ended, end."""
    order, job = _await_order(orders)
    reached("runner.ordered")
    folder: str = job["folder"]
    try:
        if prepare(folder) is None:
            os._exit(0)
        reached("runner.prepared")
        wire.send(order)
        reached("runner.passed_the_order_on")
    except OSError as error:
        _give_up(job, error, tell)
    describe(folder, order)
    status, usage = wait(worker)
    reached("runner.before_exit")
    try:
        said = _received(wire)
        if said.startswith(_CLAIMED) or _holds_claim(folder, worker):
            reason = said.removeprefix(_CLAIMED).decode(errors="replace") or None
            conclude(job, exit_of(status, usage, reason))
    except OSError:
        os._exit(1)  # the folder has gone; the manager learns of the end by this process' own
    code = os.waitstatus_to_exitcode(status)
    os._exit((code if code >= 0 else 128 - code) if alike else 0)


def conclude(job: Mapping[str, Any], outcome: Exit) -> None:
    """Put the outputs of a command in place, then write ``exit``.

    Raises OSError when the folder of the job has gone.
    """
    folder: str = job["folder"]
    if job.get("command") is None:
        _write_exit(folder, outcome)
        reached("runner.after_exit")
        return
    trouble = command_end.publish_outputs(job, outcome.to_json())
    _write_exit(folder, outcome if trouble is None else replace(outcome, reason=trouble))
    reached("runner.after_exit")
    if os.access(f"{folder}/{publishing.INTENT}", os.F_OK):
        publishing.forget(folder)


def roll_forward(folder: str) -> bool:
    """Carry out what the runner of a job, which is dead by now, had decided on its outputs.

    Says whether ``exit`` tells the end of the job now. Where nothing was decided, nothing can be
    seen of the outputs afterwards. Raises OSError when it is not possible now; to be repeated.
    """
    if not os.access(f"{folder}/{publishing.INTENT}", os.F_OK):
        return False
    lock = os.open(folder + "/runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        return _lock(lock) and _roll_forward(folder)
    finally:
        os.close(lock)


def _roll_forward(folder: str) -> bool:
    """Do so alone, under the lock."""
    if os.access(f"{folder}/exit", os.F_OK):
        publishing.forget(folder)
        return True
    decided = publishing.roll_forward(folder)
    if decided is None:
        return False
    ending, trouble = decided
    outcome = Exit.from_json(ending)
    if trouble is not None:
        outcome = replace(outcome, reason=trouble)
    write_atomically(Path(folder, "exit"), json.dumps(outcome.to_json()).encode())
    publishing.forget(folder)
    return True


def _lock(descriptor: int) -> bool:
    """Take the lock of a job's runner; False when another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _await_order(orders: socket.socket) -> tuple[bytes, dict[str, Any]]:
    """Wait for the job to come; ends this process when none will."""
    try:
        order = orders.recv(LONGEST_ORDER)
    except OSError:
        order = b""
    if not order:
        os._exit(0)
    return order, json.loads(order)


# What follows is written with plain strings and few objects: each page of memory that a forked
# process touches is copied for it first, and this is most of what a job costs.


def prepare(folder: str) -> int | None:
    """Make and lock the folder; gives the lock, None when others see to the job already.

    The lock is held until it is closed. Raises OSError.
    """
    if not _make_folder(folder):
        day = os.path.dirname(folder)
        os.makedirs(day, exist_ok=True)
        sync_folder(Path(day).parent)
        _make_folder(folder)
    # To save work only: the claim is what counts.
    lock = os.open(folder + "/runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    is_ours = _lock(lock)
    if is_ours and os.access(folder + "/pid", os.F_OK):
        is_ours = False
        if os.access(f"{folder}/{publishing.INTENT}", os.F_OK):
            _roll_forward(folder)
    if not is_ours:
        os.close(lock)
        return None
    _make_folder(folder + "/outbox")
    _make_folder(folder + "/scratch")
    return lock


def _make_folder(folder: str) -> bool:
    try:
        os.mkdir(folder)
    except FileExistsError:
        pass
    except FileNotFoundError:
        return False
    return True


def _claim(folder: str, process: ProcessIdentity, runner: ProcessIdentity) -> bool:
    """Take the job for this process, once and for all; False when another process has it."""
    if os.getppid() != runner.pid:
        return False  # nobody would see how it ends; asked again, it begins under a new runner
    return claim_for(folder, process, runner)


def claim_for(folder: str, process: ProcessIdentity, runner: ProcessIdentity) -> bool:
    """Take the job for ``process``, which runs none of its code before that; see above.

    Raises OSError.
    """
    content = json.dumps(Claim(process, runner, _now(), uptime()).to_json()).encode()
    temporary = f"{folder}/.pid-{process.pid}-{process.started}"
    write_synced(temporary, content)
    # Opened before the claim: who has made it must not fail for want of a descriptor.
    folders = [os.open(each, _FOLDER) for each in (folder, os.path.dirname(folder))]
    reached("worker.before_claim")
    try:
        os.link(temporary, folder + "/pid")  # the one step that counts
        taken = True
        reached("worker.linked")
    except FileExistsError:
        taken = os.stat(temporary).st_nlink == 2  # NFS may repeat a link that had succeeded
    with suppress(OSError):  # a folder that has just become read-only takes no claim back
        os.unlink(temporary)
    for descriptor in folders:
        os.fsync(descriptor)
        os.close(descriptor)
    return taken


def describe(folder: str, description: bytes) -> None:
    """Write ``job.json``, for people, while the worker is on its way: nothing waits for it."""
    # Not for others to read: the environment of a job may hold a password.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with suppress(OSError):
        file = os.open(folder + "/job.json", flags, 0o600)
        os.write(file, description)
        os.close(file)


def _received(wire: socket.socket) -> bytes:
    """All that the worker has sent; a process that it has forked may still hold the other end."""
    said = b""
    with suppress(BlockingIOError, ConnectionError):
        while part := wire.recv(_LONGEST_REASON, socket.MSG_DONTWAIT):
            said += part
    return said


def _holds_claim(folder: str, worker: int) -> bool:
    """Whether the worker was killed just after its claim, before it could say so."""
    try:
        claim = Claim.from_json(json.loads(Path(folder, "pid").read_bytes()))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    return claim.process.pid == worker and claim.runner == _identity(os.getpid())


def exit_of(status: int, usage: struct_rusage, reason: str | None) -> Exit:
    """Give how a process has ended that was waited for."""
    code = os.waitstatus_to_exitcode(status)
    return Exit(
        code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        finished_at=_now(),
        reason=reason,
        peak_memory=usage.ru_maxrss * 1024,
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 6),
    )


def _write_exit(folder: str, outcome: Exit) -> None:
    """Write ``exit``; where a disk is full or read-only, as soon as it can: nobody else knows."""
    data = json.dumps(outcome.to_json()).encode()
    while True:
        try:
            write_atomically(Path(folder, "exit"), data)
            return
        except OSError as error:
            if error.errno in _GONE:
                raise
            time.sleep(1)


def _give_up(job: Mapping[str, Any], error: OSError, tell: Tell) -> NoReturn:
    tell("trouble", f"job {job['id']} ({job['worker']}) cannot begin: {error}")
    os._exit(1)


def _identity(pid: int) -> ProcessIdentity:
    try:
        identity = identity_of(pid)
    except OSError:
        identity = None  # no descriptor is free
    if identity is None:
        os._exit(0)  # there is no job as yet; for one there will be another pair
    return identity


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{nanoseconds // 1_000_000:03d}Z"
