"""What the process that holds the claim of a job does on another host to become that job.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.executors import job_tool
from nowcast_cli.executors.command_child import (
    become_command,
    open_streams,
    stop,
    take_default_signals,
    with_tools,
)
from nowcast_cli.runner import environment_of

NODE = "node"  # beside the claim: the name of the machine that it was made on


def become_job(job: Mapping[str, Any], runner: socket.socket) -> NoReturn:
    """Turn the worker of a runner, which holds the claim, into what the job is to run."""
    folder = job["folder"]
    new = {
        **environment_of(job),
        "NOWCAST_JOB_PID": str(os.getpid()),
        "NOWCAST_RECORDS": folder + "/records",  # the system's log files are on another host
    }
    command = [sys.executable, "-m", job["module"], *job["arguments"]]
    where = folder
    try:
        write_atomically(Path(folder, NODE), socket.gethostname().encode())
        _take_in_what_was_sent(Path(folder), job.get("received") or ())
        open_streams(folder)
        if job.get("command") is not None:
            tools = job_tool.keep_in(folder)
            become_command(job, runner, with_tools({**os.environ, **new}, tools))
        where = job["working_directory"]
        os.chdir(where)
    except OSError as error:
        stop(runner, _could_not_begin(where, error, of_deployment=where != folder))
    take_default_signals()
    try:
        os.execve(sys.executable, command, {**os.environ, **new})
    except OSError as error:
        stop(runner, f"{sys.executable} could not be run: {error}")


def _could_not_begin(where: str, error: OSError, of_deployment: bool) -> str:
    here = socket.gethostname()
    if of_deployment and isinstance(error, FileNotFoundError):
        return (
            f"there is no folder {where} on {here}: where workers that are modules run, "
            "their system has to be installed too"
        )
    return f"the job could not begin in {where} on {here}: {error}"


def _take_in_what_was_sent(folder: Path, names: Sequence[str]) -> None:
    if names:
        # It loads what other jobs can do without.
        from nowcast_cli.executors import remote_files

        remote_files.take_in(folder, names)
