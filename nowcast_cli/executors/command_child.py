"""What the process that holds the claim of a command step does to become the command.

Standard library only: it is shipped to other hosts.
"""

# Strings for paths, as in the runner.
# ruff: noqa: PTH118, PTH120
from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from nowcast_cli.command_end import filled, put_in
from nowcast_cli.crash_points import reached

MESSAGES = "NOWCAST_MESSAGES"  # the types that the command may tell, as JSON

CANNOT_BE_RUN = 127  # what a shell answers for a command that it does not find
# Python ignores these from its start on; a command is to find them as any program does.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_TAKEN = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD)


def become_command(
    job: Mapping[str, Any], runner: socket.socket, environment: Mapping[str, str]
) -> NoReturn:
    """Bring the inputs into scratch, then run the command in this process; never returns.

    The claim is made and the standard streams are open. ``environment`` is all of it but what the
    step itself says. A sentence about why the command cannot begin goes to ``runner``.
    """
    command = command_of(job, environment)
    try:
        bring_inputs(job)
        reached("step.brought_its_inputs")
        os.chdir(command.where)
    except OSError as error:
        stop(runner, could_not_begin(error) + _place(job))
    take_default_signals()
    try:
        os.execvpe(command.words[0], command.words, command.environment)
    except OSError as error:
        stop(runner, cannot_be_run(command, error) + _place(job))


class Command(NamedTuple):
    """What is run: a program that is a path or looked up on PATH, with all that it is given."""

    words: list[str]
    environment: dict[str, str]
    where: str


def command_of(job: Mapping[str, Any], environment: Mapping[str, str]) -> Command:
    """Give what a job runs, where ``environment`` is all but what the step itself says of it."""
    step, folder = job["command"], job["folder"]
    deployment = os.path.dirname(job["config_file"])
    words = [filled(word, folder, deployment) for word in step["words"]]
    if "/" in words[0]:
        words[0] = os.path.join(deployment, words[0])
    own = {name: filled(text, folder, deployment) for name, text in step["environment"].items()}
    return Command(
        words,
        {**environment, MESSAGES: json.dumps(step["messages"]), **own},
        put_in(step["directory"] or f"{folder}/scratch", folder, deployment),
    )


def could_not_begin(error: OSError) -> str:
    """Say why what comes before a command could not be done: the file that it needs, and why."""
    where = f": {error.filename}" if error.filename else ""
    return f"the command could not begin: {error.strerror or error}{where}"


def _place(job: Mapping[str, Any]) -> str:
    """Name this host where it is not the manager's, which may well have the file."""
    elsewhere = job.get("executor", "local") != "local"
    return f", on {socket.gethostname()}" if elsewhere else ""


def cannot_be_run(command: Command, error: OSError) -> str:
    """Say why no process could become the command."""
    return f"{command.words[0]} could not be run: {error.strerror}"


def bring_inputs(job: Mapping[str, Any]) -> None:
    """Copy and link the inputs of a job into its scratch. Raises OSError."""
    step, folder = job["command"], job["folder"]
    deployment = os.path.dirname(job["config_file"])
    for kind in ("link", "copy"):
        for name, path in step[kind].items():
            source = put_in(path, folder, deployment)
            there = f"{folder}/scratch/{name}"
            os.makedirs(os.path.dirname(there), exist_ok=True)  # noqa: PTH103
            if kind == "copy":
                _copy(source, there)
            else:
                os.stat(source)  # noqa: PTH116  a link that leads nowhere is no input
                os.symlink(source, there)  # noqa: PTH211


def _copy(source: str, there: str) -> None:
    import shutil

    if os.path.isdir(source):  # noqa: PTH112
        shutil.copytree(source, there)
    else:
        shutil.copy2(source, there)


def with_tools(environment: Mapping[str, str], tools: str) -> dict[str, str]:
    """Give an environment in which the command finds ``nowcast``: its own first, else ours."""
    path = environment.get("PATH") or os.defpath
    return {**environment, "PATH": f"{path}{os.pathsep}{tools}"}


def open_streams(folder: str) -> None:
    """Have stdout and stderr go to the files of a job, and nothing come in. Raises OSError."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, folder + "/stdout", append),
        (2, folder + "/stderr", append),
    ):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        if opened > 2:
            os.close(opened)


def close_all_but(descriptor: int) -> None:
    """Close what the process had open, but for the standard streams and one more."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))


def take_default_signals() -> None:
    """Let signals do what they do to any program, and none be blocked."""
    for number in _IGNORED:
        # One that waits, for it was blocked, came of a pipe to who has begun this job and has gone:
        # it is not for the job. To ignore it again discards it.
        signal.signal(number, signal.SIG_IGN)
    for number in (*_TAKEN, *_IGNORED):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def stop(runner: socket.socket, sentence: str) -> NoReturn:
    """End a job that could not begin: the sentence becomes the reason in its ``exit``."""
    with suppress(OSError):
        os.write(2, sentence.encode(errors="replace") + b"\n")
    with suppress(OSError):  # the runner may be dead
        runner.send(sentence.encode(errors="replace")[:4000])
    os._exit(CANNOT_BE_RUN)


def tools_beside_the_interpreter() -> str:
    """Give the folder in which this interpreter lies, and so do the commands installed for it."""
    return os.path.dirname(sys.executable)
