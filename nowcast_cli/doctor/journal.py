"""The store: whether it is sound, and what in it waits for somebody."""

from __future__ import annotations

from collections.abc import Iterator

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.executors.job_folder import folder_of, read_claim, read_exit
from nowcast_cli.process_identity import is_alive
from nowcast_cli.store.integrity import MENDED_BY, damage_in
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobRecord, short_id

_LARGE_LOG = 256 << 20  # bytes; a reader that stays open for hours does this
_SHOWN = 5


def store(subject: Subject) -> Iterator[Finding]:
    """Failure means that the manager may not start, or lose what the store can no longer tell."""
    database = subject.paths.database
    if not database.exists():
        if ask_health(subject.paths.run / "manager.sock") is not None:
            yield error(
                f"the store {database} has been removed, and the manager writes where nobody reads",
                "nowcast stop, put back a copy of it if there is one, then nowcast start: "
                "the checklist is kept in the checklist file",
            )
            return
        yield note("the system has never been started: there is no store yet", "nowcast start")
        return
    for damage in damage_in(database):
        yield error(
            f"the store {database} is damaged: {damage}",
            f"nowcast stop, then: {MENDED_BY}",
        )
    log = database.with_name(database.name + "-wal")
    if log.exists() and log.stat().st_size > _LARGE_LOG:
        yield warning(
            f"{log} holds {log.stat().st_size >> 20} MB that are not yet in the store itself",
            "end programs that have the store open for long: fuser -v " + str(database),
        )


def stuck_messages(subject: Subject) -> Iterator[Finding]:
    """Failure means that what should follow from a worker is not launched until somebody acts."""
    try:
        with Reader(subject.paths.database) as reader:
            stuck = reader.messages(states=["stuck"], limit=None)[::-1]
    except NotFound:
        return
    for message in stuck[:_SHOWN]:
        lines = (message.error or "").strip().splitlines()
        yield warning(
            f"message {message.number} ({message.source} {message.type}) is stuck: "
            f"{lines[-1] if lines else 'no reason is known'}",
            f"mend next_workers, or: nowcast message retry {message.number}",
        )
    if len(stuck) > _SHOWN:
        yield warning(f"and {len(stuck) - _SHOWN} more", "nowcast message list --state stuck")


def jobs(subject: Subject) -> Iterator[Finding]:
    """Failure means that the store believes in jobs of which no process is left."""
    if ask_health(subject.paths.run / "manager.sock") is not None:
        return  # it looks after them itself
    try:
        with Reader(subject.paths.database) as reader:
            open_jobs = reader.jobs(states=["submitting", "running"], limit=None)
    except NotFound:
        return
    gone = [job for job in open_jobs if not _lives(subject, job)]
    going_on = len(open_jobs) - len(gone)
    if going_on:
        yield note(f"{going_on} jobs run, and no manager takes in their end", "nowcast start")
    if gone:
        shown = ", ".join(f"{short_id(job.id)} ({job.worker})" for job in gone[:_SHOWN])
        yield note(
            f"{len(gone)} jobs have not begun or have ended since the manager did: {shown}",
            "nowcast start launches the former and takes in the latter",
        )


def _lives(subject: Subject, job: JobRecord) -> bool:
    folder = folder_of(subject.paths.jobs, job.id, job.worker)
    try:
        claim = read_claim(folder)
    except NowcastError:
        return False
    if claim is None or read_exit(folder) is not None:
        return False
    return job.executor != "local" or is_alive(claim.process)  # elsewhere, only its host knows
