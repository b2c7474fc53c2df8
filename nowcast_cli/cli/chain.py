"""What follows from what: the jobs that a message launched, and the message that ended a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import JobRecord, MessageRecord


def jobs_after(reader: Reader, message: MessageRecord) -> list[JobRecord]:
    """Give the jobs that follow from the message, in the order of launch."""
    return reader.jobs(cause=message.number, limit=None)[::-1]


def ending_of(reader: Reader, job: JobRecord) -> MessageRecord | None:
    """Give the message that ended the job; None while there is none."""
    if job.final_message is None:
        return None
    return reader.message(str(job.final_message))
