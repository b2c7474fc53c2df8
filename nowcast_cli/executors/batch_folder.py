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
from nowcast_cli.executors import mirror
from nowcast_cli.executors.batch_system import OUTPUT, BatchSystem
from nowcast_cli.executors.job_folder import JobRequest, last_lines
from nowcast_cli.executors.node import OWN_ID, RAN_AS
from nowcast_cli.executors.shipped import archive

SCRIPT = "batch.sh"
_NATIVE = "native"
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
    mirror.prepare(job)
    file = Path(job.folder, SCRIPT)
    # What a power cut takes of it is written again, and a second batch job has no effect.
    _write(file, script)
    return file


def was_submitted(folder: Path) -> bool:
    """Whether a job may have been submitted, by this process or an earlier one."""
    return (folder / SCRIPT).exists()


def note_native(folder: Path, native_id: str) -> None:
    """Keep what the batch system calls a job; lost, it is looked up. Raises OSError."""
    _write(folder / _NATIVE, json.dumps({"id": native_id}))


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


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    temporary.write_text(text)
    temporary.replace(file)
