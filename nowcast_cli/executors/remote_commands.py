"""Runs one command with a deadline, here or, shipped, on a head node: those of batch systems.

Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

# Is told of the process while it runs, so that it can be ended from another thread.
Began = Callable[["subprocess.Popen[bytes]"], None]

_LONGEST_ANSWER = 1 << 24  # bytes


def run_command(order: Mapping[str, Any], began: Began | None = None) -> dict[str, Any]:
    """Run ``command`` and give what it answers.

    Parameters
    ----------
    order
        ``command``, the argv, and ``deadline``, the seconds after which it is killed.

    Returns
    -------
    dict
        ``code`` (None where it did not end in time), ``stdout`` and ``stderr``; or ``trouble``,
        why it cannot be run.
    """
    try:
        process = subprocess.Popen(
            order["command"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts ends with it
        )
    except OSError as error:
        return {"trouble": f"{order['command'][0]} cannot be run: {error.strerror}"}
    if began is not None:
        began(process)
    try:
        stdout, stderr = process.communicate(timeout=order["deadline"])
    except subprocess.TimeoutExpired:
        kill(process)
        _let_go(process)
        return {"code": None, "stdout": "", "stderr": ""}
    return {
        "code": process.returncode,
        "stdout": stdout[:_LONGEST_ANSWER].decode(errors="replace"),
        "stderr": stderr[:_LONGEST_ANSWER].decode(errors="replace"),
    }


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command with all that it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    # What has left its session may hold the pipes open: they are not waited for.
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left to it
        process.wait(1.0)
