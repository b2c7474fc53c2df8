"""What a process forked from the launcher does to become a job of its own."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import CodeType
from typing import NoReturn

from nowcast_cli.crash_points import reached
from nowcast_cli.executors import as_module
from nowcast_cli.executors.command_child import close_all_but, open_streams, stop
from nowcast_cli.executors.ending import call_and_end
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.runner import environment_of

# Read by the interpreter or the C library when a process begins, so a fork would not see them.
_READ_AT_THE_START = ("PYTHON", "LD_", "LC_", "MALLOC_")
_READ_AT_THE_START_TOO = frozenset({"LANG", "LANGUAGE", "TZ", "GLIBC_TUNABLES"})

_CANNOT_BE_RUN = 127  # what a shell answers for a command that it does not find


def become_job(job: JobRequest, runner: socket.socket) -> NoReturn:
    """Run the module of a job in this process, whose claim is made; never returns.

    ``runner`` is a socket that takes a sentence when the module's code cannot begin.
    """
    last_loaded = next(reversed(sys.modules))
    # Worker modules that this one starts by itself inherit the id, but are not the job.
    environment = {**environment_of(job.to_json()), "NOWCAST_JOB_PID": str(os.getpid())}
    try:
        open_streams(job.folder)
        close_all_but(runner.fileno())
        os.chdir(job.working_directory)
    except OSError as error:
        stop(runner, f"the job could not begin in {job.working_directory}: {error}")
    reached("worker.opened_its_streams")
    _take_default_signals()
    fresh = needs_fresh_interpreter(environment, os.environ)
    for name, value in environment.items():
        os.environ[name] = value
    if fresh:
        _execute(job, runner)
    gc.enable()  # what the launcher has frozen stays so: to thaw it is to copy all its pages
    call_and_end(lambda: as_module.run(_code(job, runner)), last_loaded)


def needs_fresh_interpreter(new: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Whether a job's environment changes what only a new interpreter would see."""
    return any(
        name.startswith(_READ_AT_THE_START) or name in _READ_AT_THE_START_TOO
        for name, value in new.items()
        if current.get(name) != value
    )


def _code(job: JobRequest, runner: socket.socket) -> CodeType:
    try:
        code = as_module.prepare(job.module, job.arguments)
    except as_module.NotRunnableError as error:
        if error.__cause__ is not None:
            sys.excepthook(type(error.__cause__), error.__cause__, error.__cause__.__traceback__)
        _tell(runner, str(error))
        print(error, file=sys.stderr)
        raise SystemExit(_CANNOT_BE_RUN) from None
    runner.close()
    return code


def _execute(job: JobRequest, runner: socket.socket) -> NoReturn:
    command = [sys.executable, "-m", job.module, *job.arguments]
    try:
        os.execv(sys.executable, command)
    except OSError as error:
        stop(runner, f"{sys.executable} could not be run: {error}")


def _take_default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _tell(runner: socket.socket, sentence: str) -> None:
    with suppress(OSError):  # the runner may be dead, which is no reason to say nothing at all
        runner.send(sentence.encode(errors="replace")[:4000])
    runner.close()
