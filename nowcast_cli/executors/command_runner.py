"""A runner of commands, on the launcher's side: one job after the other, each with all its files.

It is not forked anew for each job, since a process that has just been forked copies each page that
it touches, which costs more than all the rest. For the same reason the command is not forked but
spawned, by way of a shell that waits at a gate until the job is claimed for it: so no code of a
job begins before its claim. When the runner dies first, the shell ends and nothing has begun.

Standard library only.
"""

# Strings for paths, as in the runner.
# ruff: noqa: PTH118
from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from nowcast_cli.crash_points import reached
from nowcast_cli.executors.command_child import (
    CANNOT_BE_RUN,
    Command,
    bring_inputs,
    cannot_be_run,
    command_of,
    could_not_begin,
    tools_beside_the_interpreter,
    with_tools,
)
from nowcast_cli.process_identity import ProcessIdentity, identity_of
from nowcast_cli.runner import (
    LONGEST_ORDER,
    Exit,
    Tell,
    claim_for,
    conclude,
    describe,
    environment_of,
    exit_of,
    prepare,
)

_SHELL = "/bin/sh"
_GATE = 3  # the descriptor by which the shell is let go
# The id of the process stays what it is: that of the job.
_SCRIPT = (
    f"read -r go <&{_GATE} || exit {CANNOT_BE_RUN}; exec {_GATE}<&-; "
    'export NOWCAST_JOB_PID=$$; exec "$@"'
)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
# A shell passes on what it has a name for; others, as exported functions, are given by `env`.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Caught and not ignored or blocked, which a command would inherit: none of them is for this one.
_CAUGHT = (
    signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1,
    signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU, signal.SIGTSTP,
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
)  # fmt: skip
_DEFAULT = (*_CAUGHT, signal.SIGCHLD)


def serve(orders: socket.socket) -> NoReturn:
    """Run the jobs that come by ``orders``, one after the other; ends when that closes.

    What is told there as JSON: ``{"started": id}``, ``{"ended": id}`` when the next one may come,
    and before that ``{"trouble": sentence}`` of a job that could not begin.
    """
    runner = identity_of(os.getpid())
    assert runner is not None, "a process that runs has an identity"
    for number in _CAUGHT:
        signal.signal(number, _nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir("/")  # one that stands in a folder keeps its file system from being unmounted

    def tell(kind: str, text: str) -> None:
        with suppress(OSError):  # the launcher has gone: this job is the last one
            orders.send(json.dumps({kind: text}).encode())

    while True:
        order = _received(orders)
        job = json.loads(order)
        reached("runner.ordered")
        try:
            _run(job, order, runner, tell)
        except OSError as error:
            tell("trouble", f"job {job['id']} ({job['worker']}) cannot begin: {error}")
        tell("ended", job["id"])


def _received(orders: socket.socket) -> bytes:
    try:
        order = orders.recv(LONGEST_ORDER)
    except OSError:
        order = b""
    if not order:
        os._exit(0)
    return order


def _run(job: Mapping[str, Any], order: bytes, runner: ProcessIdentity, tell: Tell) -> None:
    """Run one job. Raises OSError when it could not begin."""
    lock = prepare(job["folder"])
    if lock is None:
        return
    reached("runner.prepared")
    try:
        describe(job["folder"], order)
        worker, gate, reason = _spawn(job)
        try:
            is_ours = claim_for(job["folder"], _identity(worker), runner)
        except OSError:
            _dismiss(worker, gate)
            raise
        if not is_ours:
            _dismiss(worker, gate)
            return
        reached("step.claimed")
        tell("started", job["id"])
        reason = reason or _let_go(job, gate)
        gate.close()
        reached("step.let_go")
        _, status, usage = os.wait4(worker, 0)
        reached("runner.before_exit")
        _conclude(job, exit_of(status, usage, reason))
    finally:
        os.close(lock)


def _identity(worker: int) -> ProcessIdentity:
    process = identity_of(worker)
    assert process is not None, "nobody else waits for it"
    return process


def _dismiss(worker: int, gate: socket.socket) -> None:
    """Have a shell end that waits to be let go."""
    gate.close()
    os.waitpid(worker, 0)


def _conclude(job: Mapping[str, Any], ending: Exit) -> None:
    if ending.reason is not None:
        with suppress(OSError), open(job["folder"] + "/stderr", "ab") as stderr:  # noqa: PTH123
            stderr.write(ending.reason.encode(errors="replace") + b"\n")
    try:
        conclude(job, ending)
    except OSError:
        os._exit(1)  # the folder has gone; the manager learns of the end by this process' own


def _let_go(job: Mapping[str, Any], gate: socket.socket) -> str | None:
    """Do what comes before the command, and let it begin; or say in a sentence why it cannot."""
    try:
        bring_inputs(job)
    except OSError as error:
        return could_not_begin(error)
    reached("step.brought_its_inputs")
    with suppress(OSError):  # it was ended meanwhile
        gate.send(b"\n")
    return None


def _spawn(job: Mapping[str, Any]) -> tuple[int, socket.socket, str | None]:
    """Start the shell that becomes the command once it is let go by the socket.

    Gives a sentence as well where the command can be seen to be none. Raises OSError.
    """
    variables = {**os.environ, **environment_of(job)}
    command = command_of(job, with_tools(variables, tools_beside_the_interpreter()))
    reason = _why_not(command)
    if reason is not None:
        command = Command([], {}, "/")
    ours, theirs = socket.socketpair()
    try:
        with suppress(OSError):
            os.chdir(command.where)
        worker = os.posix_spawn(
            _SHELL,
            ["sh", "-c", _SCRIPT, "sh", *_for_a_shell(command)],
            command.environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _GATE),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, job["folder"] + "/stdout", _APPEND, 0o644),
                (os.POSIX_SPAWN_OPEN, 2, job["folder"] + "/stderr", _APPEND, 0o644),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        os.chdir("/")
    reached("step.spawned")
    return worker, ours, reason


def _for_a_shell(command: Command) -> list[str]:
    """Give the words for `exec`, by way of `env` where the shell would lose a variable."""
    lost = [f"{name}={text}" for name, text in command.environment.items() if not _is_name(name)]
    return ["env", *lost, *command.words] if lost else command.words


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _why_not(command: Command) -> str | None:
    """Say why the command cannot begin, as its own process would have found."""
    if not os.access(command.where, os.X_OK):
        return f"the command could not begin: there is no folder {command.where} to run it in"
    program = command.words[0]
    folders = [""] if "/" in program else command.environment["PATH"].split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return None
    there = "/" in program and os.path.exists(program)  # noqa: PTH110
    number = errno.EACCES if there else errno.ENOENT
    return cannot_be_run(command, OSError(number, os.strerror(number)))


def _nothing(number: int, frame: FrameType | None) -> None:
    """Take a signal, so that it does not end this process."""
