"""One job of a batch system as the engine knows it, and what its end means. Pure but for clocks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from nowcast_cli.executors.batch_system import NativeState
from nowcast_cli.executors.job_folder import Exit, JobRequest
from nowcast_cli.executors.native import Native, Verdict

# Words of ours, until the batch system is asked for its own, which are in capitals or codes.
SUBMITTED, BEGUN, ENDED = "submitted", "begun", "ended"


@dataclass
class BatchJob:
    """What the thread of the engine knows; other threads read ``native``, ``verdict``, ``settled``.

    ``begin`` says that it is to be submitted where it was not, ``cancel`` that it is to be ended,
    ``may_be_submitted`` that its token has to be looked up first. Times are in seconds of a
    monotonic clock: ``left_at`` since when an ``exit`` waits for its explanation, ``ended_at``
    since when the batch system has called it ended, ``asked_at`` when it was last asked why,
    ``cancelled_at`` when it was last asked to end it, ``since`` when this process was asked for
    the job. ``before`` is its state before it ended.
    """

    request: JobRequest
    begin: bool
    cancel: bool = False
    loaded: bool = False
    may_be_submitted: bool = False
    claimed: bool = False
    native_id: str | None = None
    state: NativeState | None = None
    native: Native | None = None
    left_at: float | None = None
    ended_at: float | None = None
    asked_at: float | None = None
    before: NativeState | None = None
    cancelled_at: float | None = None
    verdict: Verdict | None = None
    settled: bool = False
    since: float = field(default_factory=time.monotonic)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.request.folder)

    @property
    def is_to_be_submitted(self) -> bool:
        """Whether it is certain that the batch system has not got it as yet, and should."""
        there = self.native_id is not None or self.may_be_submitted or self.ended_at is not None
        return self.begin and not (there or self.cancel or self.settled)

    @property
    def is_in_system(self) -> bool:
        """Whether the batch system is worth asking for it."""
        return self.native_id is not None and self.ended_at is None and not self.settled

    @property
    def is_active(self) -> bool:
        """Whether something may appear in its folder at any moment."""
        return self.claimed or (self.state is not None and self.state.state == "running")

    def taken(self, native_id: str) -> None:
        """Note what the batch system calls it."""
        self.native_id, self.may_be_submitted, self.ended_at = native_id, False, None
        self.state, self.native = None, Native(native_id, SUBMITTED)

    def told(self, state: NativeState, now: float) -> bool:
        """Take in its state; says whether that is news for people.

        Where the batch system no longer knows the job, its last words are kept for them.
        """
        if state.state == "ended" and self.ended_at is None:
            self.ended_at, self.before = now, self.state
        self.state = state
        assert self.native_id is not None
        before = self.native or Native(self.native_id, SUBMITTED)
        words = (state.native, state.reason) if state.native else (ENDED, "")
        self.native = Native(self.native_id, *words)
        return self.native != before

    def seen(self, word: str) -> None:
        """Take in that it has begun or ended, before the batch system is asked again."""
        if self.native is not None:
            self.native = Native(self.native.id, word, unknown=self.native.unknown)

    def unknown(self) -> bool:
        """Mark what is known as the last that was; says whether that is news."""
        if self.native is None or self.native.unknown or self.settled:
            return False
        self.native = Native(self.native.id, self.native.state, self.native.reason, unknown=True)
        return True


def is_clean(exit_record: Exit | None) -> bool:
    """Whether a job has ended as it should: nobody has to be asked why."""
    return exit_record is not None and exit_record.code == 0


def never_began(name: str, job: BatchJob, why: Verdict | None, last_words: str) -> Verdict:
    """Give the verdict on a job that has ended and can begin no more."""
    if why is not None:
        return Verdict("timed out" if why.kind == "timed out" else "crashed", why.reason)
    said = f": {last_words}" if last_words else ""
    if not said and job.before is not None and job.before.state == "pending":
        how = "it was taken out of the queue before it began, and not by nowcast"
        return Verdict("crashed", f"{how} ({_in_words(name, job)})")
    return Verdict("crashed", f"it could not begin on its node{said} ({_in_words(name, job)})")


def vanished(name: str, job: BatchJob, why: Verdict | None) -> Verdict:
    """Give the verdict on a job that has begun, and of which no process is left to tell its end."""
    if why is not None:
        return why
    return Verdict("lost", f"its runner has left no word of its end ({_in_words(name, job)})")


def _in_words(name: str, job: BatchJob) -> str:
    if job.native_id is None:
        return f"{name} knows of no job for it"
    if job.state is None or not job.state.native:
        return f"{name} no longer knows its job {job.native_id}"
    reason = f", {job.state.reason}" if job.state.reason else ""
    return f"{name} calls its job {job.native_id} {job.state.native}{reason}"
