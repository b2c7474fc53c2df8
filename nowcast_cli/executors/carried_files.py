"""What goes to a host without shared storage with a job, and what comes back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.command_end import put_in
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors.job_folder import JobRequest


@dataclass(frozen=True)
class CarriedFiles:
    """Inputs by their names in scratch, with where they are here; names there of outputs."""

    inputs: Mapping[str, Path]
    outputs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names in scratch."""
        return tuple(dict.fromkeys((*self.inputs, *self.outputs)))


def carried_files(host: RemoteHost, job: JobRequest) -> CarriedFiles | None:
    """Give what is carried for a job; None where it finds its files there.

    An input that is to be a link goes whole: over there it would lead nowhere.
    """
    if host.shared_storage or job.command is None:
        return None
    deployment = str(Path(job.config_file).parent)
    inputs = {**job.command["copy"], **job.command["link"]}
    return CarriedFiles(
        {name: Path(put_in(path, job.folder, deployment)) for name, path in inputs.items()},
        tuple(name for name, *_ in job.command["outputs"]),
    )


def as_carried(host: RemoteHost, job: JobRequest) -> dict[str, Any]:
    """Give what the request says otherwise over there where files are carried for the job."""
    carried = carried_files(host, job)
    if job.command is None or carried is None:
        return {}
    # Without a code that means success nothing is put in place there: that is done here.
    command = {**job.command, "copy": {}, "link": {}, "success_codes": []}
    return {"command": command, "received": list(carried.inputs)}
