"""The files of a batch job in its folder, which lies on storage that the nodes share.

::

    batch.sh   the job script, written before it is submitted: who finds it looks the token up
    native     what the batch system calls the job (JSON)
    batch.out  what the batch system and the job script print
    ran_as     which of several batch jobs holds the claim
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from contextlib import suppress
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.executors.batch_system import OUTPUT, BatchSystem
from nowcast_cli.executors.job_folder import JobRequest, last_lines
from nowcast_cli.executors.node import OWN_ID, RAN_AS
from nowcast_cli.executors.shipped import archive

SCRIPT = "batch.sh"
_NATIVE = "native"
_REQUEST = "job.json"
_MARGIN = 0.8  # of the time that a batch system leaves: what ends has to be written down, too

_logger = logging.getLogger(__name__)


def token_of(job: JobRequest) -> str:
    """Give what a job is found by in its batch system."""
    return f"{job.id}.{job.attempt}"


def script_of(system: BatchSystem, job: JobRequest, python: str, code: Path) -> str:
    """Give the job script; ``code`` is the shipped archive."""
    before, after = program(system, python, code)
    words = [*before, job.folder, *after]
    return "\n".join(
        (
            "#!/bin/sh",
            *system.header(job),
            f"export {OWN_ID}={system.own_id}",
            f"exec {shlex.join(words)}",
            "",
        )
    )


def program(system: BatchSystem, python: str, code: Path) -> tuple[list[str], list[str]]:
    """Give the words that run a job on its node: those before its folder, and those after it."""
    after = [f"{_MARGIN * system.grace:g}"]
    if system.signals_script_alone:
        after.append("forward")
    if system.warning is not None:
        after.append(system.warning)
    return [python, "-I", "-S", str(code), "run"], after


def install(folder: Path) -> Path:
    """Put the archive where the nodes find it; gives its file. Raises OSError."""
    code = archive()
    file = folder / f"{code.digest}.pyz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, code.data)
    return file


def prepare(job: JobRequest, script: str) -> Path:
    """Write all that the node needs; gives the file of the script. Raises OSError."""
    put_request(job)
    file = Path(job.folder, SCRIPT)
    write(file, script)
    return file


def put_request(job: JobRequest) -> None:
    """Make the folder, and ``job.json`` in it. Raises OSError.

    Not synced, nor is anything else here: a job more in the queue costs a program more and not a
    wait for the disk. What a power cut takes is mended (:func:`mend`) or looked up, and a second
    batch job has no effect.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Not for others to read: the environment of a job may hold a password.
    write(folder / _REQUEST, json.dumps(job.to_json()), 0o600)


def mend(job: JobRequest) -> None:
    """Write ``job.json`` again where a power cut has taken it of a job that waits in the queue."""
    try:
        json.loads(Path(job.folder, _REQUEST).read_bytes())
    except (OSError, ValueError):
        put_request(job)


def was_submitted(folder: Path) -> bool:
    """Whether a job may have been submitted, by this process or an earlier one."""
    return (folder / SCRIPT).exists()


def note_native(folder: Path, native_id: str) -> None:
    """Keep what the batch system calls a job; lost, it is looked up. Raises OSError."""
    write(folder / _NATIVE, json.dumps({"id": native_id}))


def read_native(folder: Path) -> str | None:
    """Give what the batch system calls a job; None where nothing is noted."""
    try:
        return str(json.loads((folder / _NATIVE).read_text())["id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _logger.error("%s cannot be read, the job is looked up: %s", folder / _NATIVE, error)
        return None


def read_ran_as(folder: Path) -> str | None:
    """Give the id of the batch job that holds the claim; None where it has not said so."""
    with suppress(OSError):
        return (folder / RAN_AS).read_text() or None
    return None


def look_again(folder: Path) -> None:
    """Have a network file system ask its server what is in the folder, and not its memory."""
    with suppress(OSError):
        os.listdir(folder)  # noqa: PTH208


def output(folder: Path) -> str:
    """Give the end of what the batch system and the job script have printed."""
    return "\n".join(last_lines(folder / OUTPUT, 200))


def last_output(folder: Path) -> str:
    """Give the last line of it; empty where nothing was printed."""
    return "".join(last_lines(folder / OUTPUT, 1)).strip()


def write(file: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, whole at every instant, and not synced. Raises OSError."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "w") as opened:  # noqa: PTH123
        opened.write(text)
    temporary.replace(file)
