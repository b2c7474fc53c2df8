"""What the folders of jobs tell by themselves, without the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.executors.job_folder import Claim, Exit, JobRequest, read_claim, read_exit
from nowcast_cli.identifiers import time_of
from nowcast_cli.manager.clock import as_stored


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job by its folder.

    ``request`` is None where ``job.json`` is missing or damaged; ``waiting`` the number of
    messages in its outbox; ``created`` ISO 8601 UTC; ``here`` whether it is one of this machine.
    """

    id: str
    worker: str
    created: str
    request: JobRequest | None
    claim: Claim | None
    exit: Exit | None
    waiting: int
    here: bool


def found_jobs(jobs: Path, config_file: Path) -> Iterator[FoundJob]:
    """Read all folders of jobs, the oldest first; what is no folder of a job is passed over."""
    for folder in sorted(jobs.glob("*/*-*")):
        job_id, worker = folder.name[:36], folder.name[37:]
        with suppress(ValueError, OSError):  # not ours
            created = as_stored(time_of(job_id).timestamp())
            request = _request(folder / "job.json")
            yield FoundJob(
                job_id,
                worker,
                created,
                request,
                read_claim(folder),
                read_exit(folder),
                len(list((folder / "outbox").glob("*.yaml"))),
                # A job of another host is given the configuration of that host.
                request is None or request.config_file == str(config_file),
            )


def _request(path: Path) -> JobRequest | None:
    try:
        return JobRequest.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
