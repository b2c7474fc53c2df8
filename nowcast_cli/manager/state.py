"""The state of a system as the manager decides on it, and what a transition gives back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nowcast_cli.store.records import (
    BarrierRecord,
    Change,
    EnsemblePut,
    EnsembleRecord,
    HoldRecord,
    JobPut,
    JobRecord,
    MessageRecord,
    ScheduleRecord,
)


@dataclass(frozen=True, slots=True)
class State:
    """What is true now.

    ``jobs`` and ``ensembles`` hold those that are open, ``barriers`` those that are active.
    """

    checklist: Mapping[Any, Any] = field(default_factory=dict)
    jobs: Mapping[str, JobRecord] = field(default_factory=dict)
    barriers: tuple[BarrierRecord, ...] = ()
    last_message: int = 0
    last_barrier: int = 0
    schedule: Mapping[str, ScheduleRecord] = field(default_factory=dict)
    holds: Mapping[str | None, HoldRecord] = field(default_factory=dict)
    ensembles: Mapping[str, EnsembleRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    level: int
    text: str


def info(text: str) -> Note:
    """Give a note of the level INFO."""
    return Note(logging.INFO, text)


def warning(text: str) -> Note:
    """Give a note of the level WARNING."""
    return Note(logging.WARNING, text)


def problem(text: str) -> Note:
    """Give a note of the level ERROR."""
    return Note(logging.ERROR, text)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a message: a type of the registry's manager section, or one of ours."""

    type: str
    payload: Any = None


ACKNOWLEDGED = Reply("ack")


def refused(what: str, hint: str | None = None) -> Reply:
    """Give the answer to a request that cannot be met."""
    return Reply("refused", {"what": what, "hint": hint})


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way to the after_ functions.

    ``effect`` says what the message did to the checklist at ``key``, for the copy of the checklist
    that those functions are shown; ``decide`` whether one of them is to be called.
    """

    number: int
    source: str
    type: str
    payload: Any
    effect: Literal["none", "put", "clear"] = "none"
    key: Any = None
    decide: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a transition: the new state, and what has to become of the world.

    ``changes`` are committed first; then the reply leaves, ``entries`` go to the deciders, jobs in
    the changes that are ``submitting`` go to their executor, ``notes`` to the log.
    """

    state: State
    changes: tuple[Change, ...] = ()
    notes: tuple[Note, ...] = ()
    reply: Reply | None = None
    entries: tuple[Entry, ...] = ()
    journalled: MessageRecord | None = None

    def then(self, later: Step) -> Step:
        """Give this step followed by ``later``, which began with this one's state."""
        return Step(
            later.state,
            self.changes + later.changes,
            self.notes + later.notes,
            later.reply or self.reply,
            self.entries + later.entries,
            later.journalled or self.journalled,
        )


def with_jobs(state: State, *jobs: JobRecord) -> tuple[State, tuple[Change, ...]]:
    """Give the state with ``jobs`` put, without those that closed, and the changes that say so."""
    open_jobs = dict(state.jobs)
    for job in jobs:
        if job.unfinished or job.exit is None:
            open_jobs[job.id] = job
        else:
            open_jobs.pop(job.id, None)
    return replace(state, jobs=open_jobs), tuple(JobPut(job) for job in jobs)


def with_ensemble(state: State, ensemble: EnsembleRecord) -> Step:
    """Put an ensemble, or take it out of the state when it has ended."""
    ensembles = dict(state.ensembles)
    if ensemble.unfinished:
        ensembles[ensemble.id] = ensemble
    else:
        ensembles.pop(ensemble.id, None)
    return Step(replace(state, ensembles=ensembles), (EnsemblePut(ensemble),))
