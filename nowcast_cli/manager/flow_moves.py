"""What one call to the runs of flows brings about, and small things that they ask of records."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nowcast_cli.flows.advance import BadEnding, value_of
from nowcast_cli.flows.definition import Flow, Trigger
from nowcast_cli.flows.run_steps import counted
from nowcast_cli.flows.tokens import Token
from nowcast_cli.flows.triggers import by_message
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.state import Note, State, Step, with_jobs
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord, StepState
from nowcast_cli.store.records import Change, JobPut, JobRecord, MessageRecord

_OF_JSON = (str, int, float)  # what JSON has besides None, lists and mappings


class End(NamedTuple):
    """How an attempt has ended: its values are those of ``flows.advance.ended_attempt``."""

    state: StepState
    gave: Any = None
    why: str | None = None
    ending: BadEnding | None = None
    traceback: str | None = None
    counts: bool = True


class Moves:
    """What one call brings about, gathered in order; ``state`` is as all of it leaves it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._launched: list[JobRecord] = []  # not yet in the state: a step may make thousands
        self._changes: list[Change] = []
        self._notes: list[Note] = []

    @property
    def state(self) -> State:
        """The state after all of it."""
        if self._launched:
            self._state, _ = with_jobs(self._state, *self._launched)
            self._launched.clear()
        return self._state

    @property
    def step(self) -> Step:
        """All of it."""
        return Step(self.state, tuple(self._changes), tuple(self._notes))

    def add(self, step: Step) -> None:
        """Take a step, which began with the state as it is."""
        self._state = step.state
        self.put(*step.changes, notes=step.notes)

    def put(self, *changes: Change, notes: Iterable[Note] = ()) -> None:
        """Take changes that leave the state as it is."""
        self._changes += changes
        self._notes += notes

    def launch(self, job: JobRecord, note: Note) -> None:
        """Take a new job."""
        self._launched.append(job)
        self.put(JobPut(job), notes=(note,))


def token_of(run: FlowRunRecord, record: StepRecord) -> Token:
    """Name the current attempt of a step."""
    return Token(run.id, record.step, record.item, record.attempt)


def begun_by(
    records: Iterable[MessageRecord], flows: Collection[Flow]
) -> Iterator[tuple[Flow, Trigger, dict[str, Any], str]]:
    """Give the flows that messages begin, with what they find in them, and what begins them.

    A message of a job that is tried again is none as yet.
    """
    for record in records:
        if record.state == "late" or record.note is not None:
            continue
        for flow, trigger in by_message(flows, record.source, record.type):
            origin = f"message {record.number}, {record.type} of {record.source}"
            yield flow, trigger, {"payload": plain(payload_of(record))}, origin


def ended_jobs(changes: Iterable[Change]) -> list[JobRecord]:
    """Give the jobs of steps that have ended by these changes, and are not tried again."""
    jobs = [change.job for change in changes if isinstance(change, JobPut)]
    tried_again = {job.predecessor for job in jobs}
    latest = {job.id: job for job in jobs if job.flow_step is not None}
    return [job for job in latest.values() if not job.unfinished and job.id not in tried_again]


def plain(value: Any) -> Any:
    """Give a value in the types of JSON; its keys become text, dates ISO 8601."""
    if value is None or isinstance(value, _OF_JSON):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return str(value)


def as_argument(value: Any) -> str:
    """Write a value on a command line: what is no text as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def given_by(run: FlowRunRecord) -> dict[str, Any]:
    """Give what a run hands on: what each of its steps gave."""
    given: dict[str, Any] = {}
    for record in sorted(run.steps.values(), key=lambda record: record.item or 0):
        if record.item is None:
            given[record.step] = record.gave
        else:
            given.setdefault(record.step, []).append(record.gave)
    return given


def finder(run: FlowRunRecord, record: StepRecord) -> Callable[[str], Any]:
    """Give what fills the placeholders of a step: parameters, values of steps, its own item."""

    def find(reference: str) -> Any:
        if record.item is not None and reference.partition(".")[0] == "item":
            return value_of(reference, {"item": record.value})
        return value_of(reference, run.parameters, counted(run.steps))

    return find
