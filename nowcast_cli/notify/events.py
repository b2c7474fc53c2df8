"""What is worth telling, as values, and the words for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nowcast_cli.notify.channels import Kind
from nowcast_cli.store.records import JobRecord, MessageRecord, short_id


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: to which worker or daemon, when (ISO 8601 UTC), in words.

    ``what`` tells events of one kind and subject apart: those with the same one are told once a
    period. ``headline`` is a sentence without its end, ``details`` are lines below it.
    """

    kind: Kind
    subject: str
    what: str
    at: str
    headline: str
    details: tuple[str, ...] = ()


def of_message(message: MessageRecord, job: JobRecord | None) -> Event | None:
    """Give the bad ending that a message tells of; None where it tells of none.

    ``job`` is the job that sent it, or for which it was made.
    """
    if message.outcome not in ("failure", "crash") or message.state == "late":
        return None
    if job is not None and job.state == "lost":
        return _of_job("lost", job, message.received, "was lost: nobody can tell how it ended")
    worker, where = message.source, _where(job)
    told = f"message {message.number}: {message.type}"
    reason = () if job is None or job.reason is None else (job.reason,)
    details = (*reason, told, *where)
    if message.outcome == "failure":
        return Event("failure", worker, "", message.received, f"{worker} failed", details)
    return Event("crash", worker, "crashed", message.received, f"{worker} crashed", details)


def of_every_message(message: MessageRecord) -> Event | None:
    """Give any message of a worker, for those who are told of each."""
    if message.state == "late":
        return None
    return Event(
        "message",
        message.source,
        message.type,
        message.received,
        f"{message.source}: {message.type}",
    )


def of_job(job: JobRecord) -> Event:
    """Give the bad ending of a job of which no message tells."""
    at = job.ended or job.created
    if job.state == "lost":
        return _of_job("lost", job, at, "was lost: nobody can tell how it ended")
    if job.state == "timed out":
        return _of_job("crash", job, at, "took too long and was ended")
    return _of_job("crash", job, at, "crashed")


def of_stuck(message: MessageRecord) -> Event:
    """Give a message on which nothing could be decided."""
    lines = [line for line in (message.error or "").splitlines() if line.strip()]
    return Event(
        "stuck",
        message.source,
        "",
        message.decided or message.received,
        f"what follows from {message.source} is not launched: its message is stuck",
        (
            *lines[-1:],
            f"mend next_workers, or: nowcast message retry {message.number}",
        ),
    )


def of_overdue(message: MessageRecord, payload: Any) -> Event:
    """Give a worker that was expected and is not there, by the message that says so."""
    facts: Mapping[Any, Any] = payload if isinstance(payload, Mapping) else {}
    worker = str(facts.get("worker", "a worker"))
    headline = f"{worker} is overdue"
    why = str(facts.get("what", "")).removeprefix(f"{headline}: ")
    return Event("overdue", worker, "", message.received, headline, (why,) if why else ())


def of_slow(message: MessageRecord, payload: Any) -> Event:
    """Give a job that takes far longer than any before, by the message that says so."""
    facts: Mapping[Any, Any] = payload if isinstance(payload, Mapping) else {}
    worker = str(facts.get("worker", "a worker"))
    why = str(facts.get("what", ""))
    show = () if message.job is None else (f"nowcast job show {short_id(message.job)}",)
    details = (why, *show) if why else show
    headline = f"{worker} takes far longer than it ever did"
    return Event("slow", worker, "", message.received, headline, details)


def of_daemon_down(name: str, at: str, seconds: float) -> Event:
    """Give a daemon that was there, and no longer answers."""
    words = name.replace("_", " ")
    return Event(
        "daemon down",
        name,
        "",
        at,
        f"the {words} is down: it has not answered for {seconds:.0f} s",
        ("nowcast status",),
    )


def local(instant: str) -> str:
    """Give an ISO 8601 instant as people here read it, with the name of the time zone."""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _of_job(kind: Kind, job: JobRecord, at: str, how: str) -> Event:
    reason = () if job.reason is None else (job.reason,)
    return Event(kind, job.worker, job.state, at, f"{job.worker} {how}", (*reason, *_where(job)))


def _where(job: JobRecord | None) -> tuple[str, ...]:
    return () if job is None else (f"nowcast job show {short_id(job.id)}",)
