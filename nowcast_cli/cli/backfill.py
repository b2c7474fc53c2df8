"""A worker for many dates: one chain a date, in order or several at once.

Which dates are done is read from the journal, where the request for a date stands under an id made
of the backfill, the date and the attempt. So the same command goes on after anything that ended it,
and launches nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nowcast_cli.cli.asking import ask_manager, runs
from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.times import local, seconds_between, words
from nowcast_cli.errors import NotRunning, UsageError

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import EnsembleRecord, JobRecord

_BETWEEN_LOOKS = 0.2  # seconds
_INTERRUPTED = 130

State = Literal["to do", "running", "done", "failed"]


@dataclass(frozen=True)
class Request:
    """What is to be run: a worker once for each date, which ``option`` tells it."""

    worker: str
    module: str
    arguments: tuple[str, ...]
    option: str
    first: date
    last: date
    parallel: int
    host: str = "localhost"

    def dates(self) -> Iterator[date]:
        """Give the dates in order, the last one included."""
        day = self.first
        while day <= self.last:
            yield day
            day += timedelta(days=1)

    def key(self) -> str:
        """Give what tells one backfill from another; the same command has the same."""
        parts = [self.module, *self.arguments, self.option, str(self.first), str(self.last)]
        parts += [] if self.host == "localhost" else [self.host]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DateRun:
    """One date: how often it was launched, and how the last chain of it, ``job``, is."""

    day: date
    state: State = "to do"
    attempt: int = 0
    job: str | None = None


@dataclass(frozen=True)
class Backfill:
    """A backfill that has begun; its file is there until all dates are done."""

    id: str
    file: Path

    def message_id(self, day: date, attempt: int) -> str:
        """Give the id of the request to launch a date: there is one for each attempt."""
        return f"backfill-{self.id}-{day}-{attempt}"


def read_dates(first: str, last: str) -> tuple[date, date]:
    """Read ``--from`` and ``--to``. Raises UsageError."""
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise UsageError(
            f"--from and --to are dates: {error}", hint="--from 2026-11-01 --to 2026-11-20"
        ) from None
    if begin > end:
        raise UsageError(f"--from {begin} is later than --to {end}")
    return begin, end


def to_launch(dates: Sequence[DateRun], parallel: int) -> list[DateRun]:
    """Say which dates are launched next; after a failure none where they go in order. Pure."""
    if parallel == 1 and any(each.state == "failed" for each in dates):
        return []
    running = sum(each.state == "running" for each in dates)
    waiting = [each for each in dates if each.state == "to do"]
    return waiting[: max(0, parallel - running)]


def run_backfill(system: System, out: Output, request: Request) -> int:
    """Run the dates that are not done; returns the exit code."""
    if not runs(system):
        raise NotRunning(
            f"the system {system.paths.deployment} does not run",
            hint="nowcast start; then the same command goes on where it was",
        )
    backfill, is_new = _begin(system, request)
    dates = {day: _found(system, backfill, day) for day in request.dates()}
    done = _count(dates, "done")
    if is_new:
        out.note(f"{len(dates)} dates, from {request.first} to {request.last}")
    else:
        begun = local(_begun(backfill))
        out.note(f"going on with what began {begun}: {done} of {len(dates)} dates are done")
    try:
        return _work(system, out, request, backfill, dates)
    except KeyboardInterrupt:
        running = _count(dates, "running")
        go_on = "1 chain goes on by itself" if running == 1 else f"{running} chains go on"
        out.note(f"\ninterrupted: {go_on}; the same command goes on with the rest")
        return _INTERRUPTED


def _begin(system: System, request: Request) -> tuple[Backfill, bool]:
    """Find the backfill that this command has begun before, or begin it."""
    from nowcast_cli.atomic_files import write_atomically
    from nowcast_cli.identifiers import new_id

    file = system.paths.state / "backfills" / f"{request.key()}.json"
    try:
        return Backfill(str(json.loads(file.read_text())["id"]), file), False
    except (OSError, ValueError, KeyError):
        pass
    file.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "id": new_id(),
        "worker": request.worker,
        "arguments": request.arguments,
        "from": str(request.first),
        "to": str(request.last),
    }
    write_atomically(file, json.dumps(about, indent=2).encode() + b"\n")
    return Backfill(str(about["id"]), file), True


def _begun(backfill: Backfill) -> str:
    from nowcast_cli.identifiers import time_of

    return time_of(backfill.id).isoformat()


def _found(system: System, backfill: Backfill, day: date) -> DateRun:
    """Give a date as the journal has it; one that has failed is to be done again."""
    from nowcast_cli.cli.watching import read_store

    def look(reader: Reader) -> DateRun:
        attempt, job = 0, None
        while record := reader.message_by_exact_id(backfill.message_id(day, attempt + 1)):
            attempt, job = attempt + 1, _job_in(record.reply_text)
        if job is None:
            return DateRun(day, attempt=attempt)
        state = _state_of_chain(reader, job)
        return DateRun(day, "to do" if state == "failed" else state, attempt, job)

    return read_store(system, look)


def _job_in(reply_text: str | None) -> str | None:
    from nowcast_cli.messages import wire

    payload = wire.load(reply_text or "{}").get("payload")
    return str(payload["job"]) if isinstance(payload, dict) and payload.get("job") else None


def _state_of_chain(reader: Reader, chain: str) -> State:
    if not reader.chain_is_over(chain):
        return "running"
    jobs = _jobs_of(reader, chain)
    stuck = reader.messages(chain=chain, states={"stuck"}, limit=1)
    return "failed" if stuck or _bad(jobs) else "done"


def _jobs_of(reader: Reader, chain: str) -> list[JobRecord | EnsembleRecord]:
    """Give the jobs of a chain, the newest first; of ensembles themselves, not their members."""
    found: list[JobRecord | EnsembleRecord] = [
        *reader.jobs(chain=chain, alone=True, limit=None),
        *reader.ensembles(chain=chain),
    ]
    return sorted(found, key=lambda job: job.id, reverse=True)


def _bad(jobs: Sequence[JobRecord | EnsembleRecord]) -> list[JobRecord | EnsembleRecord]:
    tried_again = {job.predecessor for job in jobs if getattr(job, "tried", 1) > 1}
    return [job for job in jobs if job.state != "succeeded" and job.id not in tried_again]


def _work(
    system: System,
    out: Output,
    request: Request,
    backfill: Backfill,
    dates: dict[date, DateRun],
) -> int:
    while True:
        for each in to_launch(list(dates.values()), request.parallel):
            dates[each.day] = _launch(system, out, request, backfill, each)
        running = [each for each in dates.values() if each.state == "running"]
        if not running:
            return _finish(out, backfill, dates)
        for each in running:
            dates[each.day] = _looked_at(system, out, dates, each)
        time.sleep(_BETWEEN_LOOKS)


def _launch(
    system: System, out: Output, request: Request, backfill: Backfill, each: DateRun
) -> DateRun:
    attempt = each.attempt + 1
    payload = {
        "module": request.module,
        "arguments": [request.option, str(each.day), *request.arguments],
        "host": request.host,
    }
    message_id = backfill.message_id(each.day, attempt)
    job = str(ask_manager(system, "launch", payload, request_id=message_id)["job"])
    again = f", attempt {attempt}" if attempt > 1 else ""
    out.note(f"{each.day} launched (job {job[-8:]}{again})")
    return DateRun(each.day, "running", attempt, job)


def _looked_at(
    system: System, out: Output, dates: Mapping[date, DateRun], each: DateRun
) -> DateRun:
    """Look at the chain of a date; tells when it has ended."""
    from nowcast_cli.cli.watching import read_store

    assert each.job is not None, "a date that runs has a chain"
    chain = each.job
    state, jobs = read_store(
        system,
        lambda reader: (_state_of_chain(reader, chain), _jobs_of(reader, chain)),
    )
    if state == "running":
        return each
    if state == "done":
        number = f"{len(jobs)} job{'s' if len(jobs) != 1 else ''}"
        took = words(seconds_between(jobs[-1].created, max(job.ended or "" for job in jobs)))
        done = _count(dates, "done") + 1
        out.note(f"{each.day} succeeded: {number} in {took} ({done} of {len(dates)})")
    else:
        out.note(f"{each.day} failed: {_why(jobs)}")
    return replace(each, state=state)


def _why(jobs: Sequence[JobRecord | EnsembleRecord]) -> str:
    bad = _bad(jobs)
    if not bad:
        return "what follows could not be decided; see nowcast message list --state stuck"
    job = bad[-1]
    return f"{job.worker} {job.state}; see nowcast job show {job.id[-8:]}"


def _finish(out: Output, backfill: Backfill, dates: Mapping[date, DateRun]) -> int:
    failed = [str(each.day) for each in dates.values() if each.state == "failed"]
    done = _count(dates, "done")
    if not failed:
        backfill.file.unlink(missing_ok=True)
        out.note(f"all {done} dates are done")
        return 0
    left = len(dates) - done - len(failed)
    rest = f", {left} are not begun" if left else ""
    out.note(f"{done} of {len(dates)} dates are done{rest}; failed: {', '.join(failed)}")
    out.note("the same command runs what is not done")
    return 1


def _count(dates: Mapping[date, DateRun], state: State) -> int:
    return sum(each.state == state for each in dates.values())
