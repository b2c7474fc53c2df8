"""What followed from a job, in the words of ``nowcast run-worker``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast_cli.cli.chain import Follower, ending_of, jobs_after
from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.times import seconds_between, words
from nowcast_cli.cli.watching import Watch, checklist_holds, read_store
from nowcast_cli.store.records import EnsembleRecord

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import JobRecord, MessageRecord

# The file is written within 0.2 s of the message; a full disk can keep it from being written.
_WAIT_FOR_FILE = 10.0  # seconds


@dataclass(frozen=True)
class Decision:
    """What the manager made of the last message of a job; no message: it was cancelled early."""

    message: MessageRecord | None
    jobs: Sequence[Follower]


@dataclass(frozen=True)
class News:
    """What has happened in a chain since it was last looked at."""

    lines: Sequence[str]
    is_over: bool


class Chain:
    """The jobs that follow from a first one, as they begin and end; ensembles as one each."""

    def __init__(self, first: JobRecord | EnsembleRecord) -> None:
        self._first = first
        self._told: dict[str, str] = {first.id: first.state}
        self._jobs: list[JobRecord | EnsembleRecord] = [first]

    def news(self, system: System) -> News | None:
        """Look again; None when there is nothing new."""
        jobs, stuck, is_over = read_store(system, self._look)
        lines = [line for job in jobs for line in self._changes(job)]
        self._jobs = jobs
        if is_over:
            lines += [_stuck(message) for message in stuck if message.job != self._first.id]
        return News(lines, is_over) if lines or is_over else None

    def endings(self, system: System) -> list[MessageRecord | None]:
        """Give the last messages of the jobs."""
        return read_store(system, lambda reader: [ending_of(reader, job) for job in self._jobs])

    def summary(self) -> str:
        """Say how many jobs there were, and how long all took."""
        last = max((job.ended for job in self._jobs if job.ended), default=None)
        number = len(self._jobs)
        took = words(seconds_between(self._first.created, last))
        return f"the chain has ended: {number} job{'s' if number != 1 else ''} in {took}"

    def _look(
        self, reader: Reader
    ) -> tuple[list[JobRecord | EnsembleRecord], list[MessageRecord], bool]:
        # First whether it is over: what begins after that question is seen at the next look.
        chain = self._first.chain
        is_over = reader.chain_is_over(chain)
        found: list[JobRecord | EnsembleRecord] = [
            *reader.jobs(chain=chain, alone=True, limit=None),
            *reader.ensembles(chain=chain),
        ]
        since = [job for job in found if job.id >= self._first.id]
        jobs = sorted(since, key=lambda job: job.id)
        return jobs, reader.messages(chain=chain, states={"stuck"}), is_over

    def _changes(self, job: JobRecord | EnsembleRecord) -> list[str]:
        before = self._told.get(job.id)
        if before == job.state:
            return []
        self._told[job.id] = job.state
        if isinstance(job, EnsembleRecord):
            return [how_it_ended_as_one(job)]
        lines = []
        if job.started is not None and before in (None, "waiting", "held", "submitting"):
            lines.append(f"{job.worker} began (job {_short(job)})")
        if not job.unfinished:
            lines += [how_it_ended(job), *why_it_ended(job)]
        elif job.state == "held":
            lines.append(f"{job.worker} (job {_short(job)}) is held by a barrier")
        return lines


def decision_on(system: System, job: JobRecord) -> Decision | None:
    """Give what was decided to follow from the job; None while that is open."""

    def look(reader: Reader) -> Decision | None:
        message = ending_of(reader, job)
        if message is None:
            return Decision(None, [])
        if message.state == "received":
            return None
        return Decision(message, jobs_after(reader, message))

    return read_store(system, look)


def how_it_ended(job: JobRecord) -> str:
    """Say how a job ended: ``sleep succeeded in 2.0 s (job 5f3a9c21)``."""
    took = seconds_between(job.started, job.ended)
    verb = {"lost": "was lost", "cancelled": "was cancelled"}.get(job.state, job.state)
    time = "" if took is None else f" {'in' if job.state == 'succeeded' else 'after'} {words(took)}"
    return f"{job.worker} {verb}{time} (job {_short(job)})"


def how_it_ended_as_one(ensemble: EnsembleRecord) -> str:
    """Say how an ensemble ended, or that it began."""
    name = f"{ensemble.worker} {ensemble.members}"
    if ensemble.unfinished:
        return f"{name} began (ensemble {ensemble.id[-8:]})"
    took = words(seconds_between(ensemble.created, ensemble.ended))
    verb = "was cancelled" if ensemble.state == "cancelled" else ensemble.state
    return f"{name} {verb} after {took} (ensemble {ensemble.id[-8:]})"


def why_it_ended(job: JobRecord) -> list[str]:
    """Give the reason, where there is one, as a line that goes below :func:`how_it_ended`."""
    reason = (job.reason or "").partition("\n")[0]
    return [f"  {reason}; see `nowcast job show {_short(job)}`"] if reason else []


def what_follows(decision: Decision) -> list[str]:
    """Say what follows, then in further lines what somebody has to do."""
    message = decision.message
    if message is not None and message.state == "stuck":
        return ["what follows could not be decided", _stuck(message)]
    if message is not None and message.note is not None:
        return [f"it is {message.note}"]
    if not decision.jobs:
        return ["nothing follows"]
    if len(decision.jobs) == 1:
        job = decision.jobs[0]
        return [f"{job.worker} follows {_in_brackets(job)}"]
    *others, last = [f"{job.worker} {_in_brackets(job)}" for job in decision.jobs]
    return [f"{', '.join(others)} and {last} follow"]


def follow_chain(
    system: System, out: Output, watch: Watch, first: JobRecord | EnsembleRecord
) -> None:
    """Print what follows from a job or an ensemble, until the chain is over."""
    chain = Chain(first)
    while True:
        news = watch.until(lambda: chain.news(system))
        for line in news.lines:
            out.note(line)
        if news.is_over:
            break
    wait_for_checklist(system, out, watch, chain.endings(system))
    out.note(chain.summary())


def wait_for_checklist(
    system: System, out: Output, watch: Watch, messages: Sequence[MessageRecord | None]
) -> None:
    """Wait until the checklist file has what these messages brought; say so when it has not."""
    numbers = [message.number for message in messages if message]
    if not numbers:
        return
    newest = max(numbers)
    if watch.within(_WAIT_FOR_FILE, lambda: checklist_holds(system, newest)) is None:
        out.note(f"note: {system.paths.checklist_file} does not have it yet: see `nowcast status`")


def _in_brackets(job: Follower) -> str:
    words = {"held": ", held by a barrier", "waiting": ", which waits"}
    return f"({job.kind} {job.id[-8:]}{words.get(job.state, '')})"


def _stuck(message: MessageRecord) -> str:
    lines = (message.error or "").strip().splitlines()
    why = f": {lines[-1]}" if lines else ""
    return (
        f"message {message.number} ({message.source} {message.type}) is stuck{why}; "
        f"see `nowcast message show {message.number}`"
    )


def _short(job: JobRecord) -> str:
    from nowcast_cli.store.records import short_id

    return short_id(job.id)
