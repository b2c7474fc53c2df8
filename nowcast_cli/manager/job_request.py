"""What is asked of the executor of a job, from its record and the configuration. Pure."""

from __future__ import annotations

from nowcast_cli.config.executors import Place
from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.job_folder import JobRequest, MemberRequest, folder_of
from nowcast_cli.store.records import JobRecord


def place_of(job: JobRecord) -> Place:
    """Give where a job runs."""
    return Place(job.executor, job.host)


def request_of(job: JobRecord, paths: SystemPaths, registry: Registry) -> JobRequest:
    """Give the request for a job."""
    place = place_of(job)
    return JobRequest(
        id=job.id,
        attempt=job.attempt,
        worker=job.worker,
        module=job.module,
        arguments=(str(paths.config_file), *job.arguments),
        folder=str(folder_of(paths.jobs, job.id, job.worker)),
        config_file=str(paths.config_file),
        working_directory=str(paths.deployment),
        environment={**(job.environment or {}), **_of_member(job)},
        executor=job.executor,
        host=job.host,
        resources=registry.resources_of(job.worker, place),
        directives=registry.directives_of(job.worker, place),
        ensemble=_member_of(job),
    )


def _of_member(job: JobRecord) -> dict[str, str]:
    return {} if job.member is None else {"NOWCAST_MEMBER": str(job.member.label)}


def _member_of(job: JobRecord) -> MemberRequest | None:
    member = job.member
    if member is None or job.ensemble is None:
        return None
    numbers = (member.index, member.size, member.at_most, member.at_least)
    return MemberRequest(job.ensemble, member.label, *numbers)
