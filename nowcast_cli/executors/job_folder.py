"""The folder of a job: where it lies, what is asked for in it, and what it tells.

::

    jobs/2026-11-22/<id>-<worker>/
      job.json  runner.lock  pid  stdout  stderr  records  exit  outbox/  scratch/

``pid`` is the claim, made once by the very process that runs the job's code; ``exit`` is written
by the runner when that process has ended. ``records`` is what a job of another host has logged.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nowcast_cli.config.executors import HERE, LOCAL
from nowcast_cli.config.resources import NO_RESOURCES, Resources
from nowcast_cli.errors import NowcastError
from nowcast_cli.identifiers import time_of
from nowcast_cli.process_identity import NOT_ABOUT_THE_FILE, is_alive
from nowcast_cli.runner import Claim, Exit

__all__ = [
    "ENDED",
    "RECORDS",
    "Claim",
    "Exit",
    "JobRequest",
    "MemberRequest",
    "encoded",
    "folder_of",
    "is_running",
    "last_lines",
    "read_claim",
    "read_exit",
    "read_left",
]

T = TypeVar("T")
_logger = logging.getLogger(__name__)
_LONGEST_TAIL = 256 * 1024
LONGEST_REQUEST = 150_000  # bytes; a socket takes 208 KiB with what the kernel adds
RECORDS = "records"
# That the process has ended of a job whose `exit` waits for its outputs, which are being fetched.
ENDED = "ended"


@dataclass(frozen=True)
class MemberRequest:
    """The ensemble that a job is a member of: its ``id``, and which of ``size`` members it is.

    ``member`` is its name, ``index`` its place from 0 on; ``at_most`` run at once, None for all.
    It ends when ``at_least`` have succeeded, None where all are waited for.
    """

    id: str
    member: int | str
    index: int
    size: int
    at_most: int | None
    at_least: int | None = None

    def to_json(self) -> dict[str, Any]:
        """What stands in ``job.json``."""
        return {
            "id": self.id,
            "member": self.member,
            "index": self.index,
            "size": self.size,
            "at_most": self.at_most,
            "at_least": self.at_least,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> MemberRequest | None:
        """Read what :meth:`to_json` gave. Raises KeyError, TypeError or ValueError."""
        if value is None:
            return None
        member, at_most, at_least = value["member"], value["at_most"], value.get("at_least")
        return cls(
            id=str(value["id"]),
            member=member if isinstance(member, int) else str(member),
            index=int(value["index"]),
            size=int(value["size"]),
            at_most=None if at_most is None else int(at_most),
            at_least=None if at_least is None else int(at_least),
        )


@dataclass(frozen=True)
class JobRequest:
    """What is to be run: one attempt of one job.

    ``module`` and ``arguments`` are what follows ``python -m``. ``environment`` is added to the
    environment of the launcher. Paths are absolute. ``executor`` is the name of the one that runs
    it, ``host`` where that one is; ``resources`` and ``directives`` are what it asks for there,
    the defaults included.
    ``ensemble`` is the one that it is a member of, None for a job by itself. ``command`` is what
    is run instead of the module, as ``config.step_filling`` gives it; None for a module.
    """

    id: str
    attempt: int
    worker: str
    module: str
    arguments: tuple[str, ...]
    folder: str
    config_file: str
    working_directory: str
    environment: Mapping[str, str]
    executor: str = LOCAL
    host: str = HERE
    resources: Resources = NO_RESOURCES
    directives: tuple[str, ...] = ()
    ensemble: MemberRequest | None = None
    command: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of ``job.json`` and of a request to the launcher."""
        return {
            "id": self.id,
            "attempt": self.attempt,
            "worker": self.worker,
            "module": self.module,
            "arguments": list(self.arguments),
            "folder": self.folder,
            "config_file": self.config_file,
            "working_directory": self.working_directory,
            "environment": dict(self.environment),
            "executor": self.executor,
            "host": self.host,
            "resources": self.resources.to_json(),
            "directives": list(self.directives),
            "ensemble": None if self.ensemble is None else self.ensemble.to_json(),
            "command": self.command,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobRequest:
        """Read what :meth:`to_json` gave, also that of an earlier version.

        Raises KeyError, TypeError or ValueError.
        """
        return cls(
            id=str(value["id"]),
            attempt=int(value["attempt"]),
            worker=str(value["worker"]),
            module=str(value["module"]),
            arguments=tuple(str(argument) for argument in value["arguments"]),
            folder=str(value["folder"]),
            config_file=str(value["config_file"]),
            working_directory=str(value["working_directory"]),
            environment={str(key): str(text) for key, text in value["environment"].items()},
            executor=str(value.get("executor", LOCAL)),
            host=str(value.get("host", HERE)),
            resources=Resources.from_json(value.get("resources", {})),
            directives=tuple(str(line) for line in value.get("directives", ())),
            ensemble=MemberRequest.from_json(value.get("ensemble")),
            command=value.get("command"),
        )


def encoded(job: JobRequest) -> bytes:
    """Give the request as JSON, as it is sent to whoever runs the job.

    Raises NowcastError when it is longer than a socket carries.
    """
    data = json.dumps(job.to_json()).encode()
    if len(data) > LONGEST_REQUEST:
        raise NowcastError(
            f"the arguments and environment of worker {job.worker} cannot be passed",
            cause=f"they take {len(data):,} bytes of at most {LONGEST_REQUEST:,}",
            hint="pass long values by a file or by the checklist",
        )
    return data


@lru_cache(maxsize=4096)
def folder_of(jobs: Path, job_id: str, worker: str) -> Path:
    """The folder of a job below ``jobs``: ``<UTC day of the id>/<id>-<worker>``."""
    return jobs / time_of(job_id).strftime("%Y-%m-%d") / f"{job_id}-{worker}"


def is_running(claim: Claim) -> bool:
    """Whether there is a process of this machine that may yet tell how the job ended.

    Raises OSError when nobody can tell, for want of descriptors or memory.
    """
    return any(each is not None and is_alive(each) for each in (claim.runner, claim.process))


def read_claim(folder: Path) -> Claim | None:
    """The claim of the job, or None when no process has claimed it or the file is damaged.

    Raises OSError when nobody can tell, for want of descriptors or memory.
    """
    return _read(folder / "pid", Claim.from_json)


def read_exit(folder: Path) -> Exit | None:
    """How the job's process ended, or None when nothing (readable) says so.

    Raises OSError when nobody can tell, for want of descriptors or memory.
    """
    return _read(folder / "exit", Exit.from_json)


def read_left(folder: Path) -> str | None:
    """What is there still of a job that was ended on another host, in words; None for nothing."""
    return _read(folder / "left", lambda words: str(words["left"]))


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines of a text file, of at most 256 KiB; [] when there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LONGEST_TAIL))
            data = file.read()
    except OSError:
        return []
    lines = data.decode("utf-8", errors="replace").splitlines()
    return lines[-count:] if count > 0 else []


def _read(path: Path, decode: Callable[[Mapping[str, Any]], T]) -> T | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NOT_ABOUT_THE_FILE:
            raise
        _logger.error("cannot read %s: %s", path, error)
        return None
    try:
        return decode(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _logger.error("%s is damaged, it is taken as not there: %s", path, error)
        return None
