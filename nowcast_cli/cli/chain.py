"""What follows from what: the jobs that a message launched, and the message that ended a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import JobRecord, MessageRecord


def jobs_after(reader: Reader, message: MessageRecord) -> list[JobRecord]:
    """Give the jobs that follow from the message, in the order of launch."""
    return reader.jobs(cause=message.number, limit=None)[::-1]


def attempt_after(reader: Reader, job: JobRecord) -> JobRecord | None:
    """Give the job that tries again what this one did not do; None where there is none."""
    if job.state not in ("failed", "crashed", "timed out", "lost"):
        return None
    chain = reader.jobs(chain=job.chain, limit=None)
    return next((each for each in chain if each.predecessor == job.id and each.tried > 1), None)


def ending_of(reader: Reader, job: JobRecord) -> MessageRecord | None:
    """Give the message that ended the job; None while there is none."""
    if job.final_message is None:
        return None
    return reader.message_of_number(job.final_message)
