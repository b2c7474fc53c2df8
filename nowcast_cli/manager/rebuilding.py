"""What becomes of a store that is older than what has happened since. Pure.

After a restore, and after a repair from a backup, the folders of jobs know more than the store.
Nothing that may have begun is begun again; what still goes on is taken over; and what nobody can
know any more is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from nowcast_cli.config.executors import HERE, LOCAL
from nowcast_cli.executors.job_folder import MemberRequest
from nowcast_cli.manager.found_jobs import FoundJob
from nowcast_cli.store.records import (
    Change,
    EnsemblePut,
    EnsembleRecord,
    JobPut,
    JobRecord,
    JobState,
    Member,
    MessageRecord,
    MessageSettled,
    SchedulePut,
    ScheduleRecord,
)

_LOST_MESSAGE = "known by its folder alone: what it said went with the store of before"
_UNDECIDED = (
    "The store was put back from a copy: what follows from this message may have been launched "
    "since. See nowcast job list, then decide: nowcast message retry {number} launches it."
)


@dataclass
class Rebuilt:
    """The changes that bring a store up to date, and what there is to tell.

    ``told`` has ids of jobs, or numbers of messages, by what was done about them: ``going on``,
    ``taken in`` (their messages wait in their folders), ``ended`` (known by their exit alone),
    ``to begin``, ``lost``, ``undecided``, and items of the schedule that are ``moved on``.
    """

    changes: list[Change] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str, *changes: Change) -> None:
        """Note what was done about a job, a message or an item."""
        self.told.setdefault(kind, []).append(name)
        self.changes += changes


def has_moved_on(
    known: Callable[[str], JobRecord | None], found: Iterable[FoundJob], last: int, shown: int
) -> bool:
    """Say whether anything happened after the store was as it is.

    ``last`` is the store's last message, ``shown`` the one that the checklist file has.
    """
    return shown > last or any(known(job.id) is None for job in found)


def rebuild_jobs(
    rebuilt: Rebuilt,
    open_jobs: Iterable[JobRecord],
    known: Callable[[str], JobRecord | None],
    found: Iterable[FoundJob],
    moved_on: bool,
    now: str,
) -> None:
    """Bring the jobs up to what their folders tell."""
    seen = set()
    for job in found:
        seen.add(job.id)
        record = known(job.id)
        if record is None:
            _settle(rebuilt, _record_of(job), job, is_new=True, now=now)
        elif record.unfinished:
            _settle(rebuilt, record, job, is_new=False, now=now)
    for record in open_jobs:
        begun = record.state in ("submitting", "running")
        if moved_on and begun and record.id not in seen and record.executor == LOCAL:
            reason = "its folder is gone, and nobody can tell any more whether it ran"
            _end(rebuilt, "lost", replace(record, exit={}), "lost", now, reason)


def _record_of(found: FoundJob) -> JobRecord:
    request = found.request
    part = None if request is None else request.ensemble
    return JobRecord(
        id=found.id,
        worker=found.worker,
        module=found.worker if request is None else request.module,
        arguments=() if request is None else request.arguments[1:],
        host=HERE if request is None else request.host,
        executor=LOCAL if request is None else request.executor,
        state="submitting",
        attempt=1 if request is None else request.attempt,
        predecessor=None,
        cause=None,
        chain=found.id,
        barrier=None,
        created=found.created,
        ensemble=None if part is None else part.id,
        member=None if part is None else _member_of(part),
    )


def _member_of(part: MemberRequest) -> Member:
    return Member(part.member, part.index, part.size, part.at_most, part.at_least)


def rebuild_ensembles(
    rebuilt: Rebuilt,
    known: Callable[[str], EnsembleRecord | None],
    found: Iterable[FoundJob],
) -> None:
    """Bring back ensembles that only the folders of their members tell of.

    Their members are counted when the next manager begins; those of which nothing is known by
    then are lost.
    """
    made: dict[str, EnsembleRecord] = {}
    for job in found:
        part = None if job.request is None else job.request.ensemble
        if part is None or part.id in made or known(part.id) is not None:
            continue
        made[part.id] = EnsembleRecord(
            id=part.id,
            worker=job.worker,
            members=f"{part.size} members",
            size=part.size,
            at_most=part.at_most,
            at_least=part.at_least,
            state="open",
            cause=None,
            chain=part.id,
            barrier=None,
            created=job.created,
        )
        rebuilt.add("ensembles", part.id, EnsemblePut(made[part.id]))


def _settle(
    rebuilt: Rebuilt, record: JobRecord, found: FoundJob, *, is_new: bool, now: str
) -> None:
    claim, ended = found.claim, found.exit
    if claim is not None:
        record = replace(record, pid=claim.process.pid, started=claim.claimed_at)
    if ended is not None and not found.waiting:
        state: JobState = "crashed"
        if ended.code in (0, 1):
            state = "failed" if ended.code else "succeeded"
        closed = replace(record, exit=ended.to_json())
        _end(rebuilt, "ended", closed, state, ended.finished_at, _LOST_MESSAGE)
    elif ended is not None or claim is not None:
        if not found.here and is_new:
            reason = "nobody can tell any more on which host it runs"
            _end(rebuilt, "lost", replace(record, exit={}), "lost", now, reason)
            return
        kind = "taken in" if found.waiting else "going on"
        rebuilt.add(kind, record.id, JobPut(replace(record, state="running")))
    elif is_new and (not found.here or found.request is None):
        reason = "its folder does not tell how it was to be begun"
        _end(rebuilt, "lost", replace(record, exit={}), "lost", now, reason)
    elif is_new:
        rebuilt.add("to begin", record.id, JobPut(record))


def _end(
    rebuilt: Rebuilt, kind: str, record: JobRecord, state: JobState, at: str, reason: str
) -> None:
    rebuilt.add(kind, record.id, JobPut(replace(record, state=state, ended=at, reason=reason)))


def hold_back(rebuilt: Rebuilt, undecided: Iterable[MessageRecord], now: str) -> None:
    """Leave to a person what may have been decided since: else it would be launched twice."""
    for record in undecided:
        if record.state == "received":
            error = _UNDECIDED.format(number=record.number)
            settled = MessageSettled(record.number, "stuck", now, error)
            rebuilt.add("undecided", str(record.number), settled)


def pass_over(rebuilt: Rebuilt, schedule: Iterable[ScheduleRecord], now: str) -> None:
    """Pass over what was due since: it may have been launched."""
    for record in schedule:
        if record.cursor < now:
            moved = SchedulePut(replace(record, cursor=now))
            rebuilt.add("moved on", record.item, moved)
