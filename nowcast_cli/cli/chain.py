"""What follows from what: the jobs that a message launched, and the message that ended a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import EnsembleRecord, JobRecord, MessageRecord


@dataclass(frozen=True)
class Follower:
    """A job, or an ensemble as one, that follows from a message."""

    id: str
    worker: str  # with its members, for an ensemble
    state: str
    kind: Literal["job", "ensemble"] = "job"

    @property
    def words(self) -> str:
        """Its name, and how to ask for it: ``run_model (job 5f3a9c21)``."""
        return f"{self.worker} ({self.kind} {self.id[-8:]})"


def jobs_after(reader: Reader, message: MessageRecord) -> list[Follower]:
    """Give the jobs and ensembles that follow from the message, in the order of launch."""
    jobs = [
        Follower(job.id, job.worker, job.state)
        for job in reader.jobs(cause=message.number, alone=True, limit=None)
    ]
    ensembles = [
        Follower(each.id, f"{each.worker} {each.members}", each.state, "ensemble")
        for each in reader.ensembles(cause=message.number)
    ]
    return sorted(jobs + ensembles, key=lambda follower: follower.id)


def attempt_after(reader: Reader, job: JobRecord) -> JobRecord | None:
    """Give the job that tries again what this one did not do; None where there is none."""
    if job.state not in ("failed", "crashed", "timed out", "lost"):
        return None
    chain = reader.jobs(chain=job.chain, limit=None)
    return next((each for each in chain if each.predecessor == job.id and each.tried > 1), None)


def ending_of(reader: Reader, job: JobRecord | EnsembleRecord) -> MessageRecord | None:
    """Give the message that ended the job; None while there is none."""
    if job.final_message is None:
        return None
    return reader.message_of_number(job.final_message)
