"""The runs of flows that have not ended: moved on by what happens to jobs, by words, by the clock.

What the runs share (which steps run, who waits, what is due) is kept here from turn to turn, as
the admission of jobs does; all that is decided leaves as changes of the turn it is decided in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from nowcast_cli.config.executors import HERE
from nowcast_cli.config.registry import Registry
from nowcast_cli.errors import NowcastError
from nowcast_cli.flows.advance import BadEnding, World, advance, ended_attempt, name_of, value_of
from nowcast_cli.flows.conflicts import Conflicts, StepName, with_conflicts_of
from nowcast_cli.flows.definition import Action, Flow, SubFlow, Trigger, Work
from nowcast_cli.flows.described import described
from nowcast_cli.flows.parameters import BadParameter, values_of
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.flows.reopening import dropped, reopened
from nowcast_cli.flows.tokens import Token
from nowcast_cli.flows.triggers import by_end, by_message, parameters_of
from nowcast_cli.flows.yaml_flows import flow_described
from nowcast_cli.manager import job_transitions
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.job_transitions import new_job
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.state import Note, State, Step, info, problem, with_jobs
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import (
    OPEN,
    DefinitionPut,
    FlowRunPut,
    FlowRunRecord,
    FlowStepDropped,
    FlowStepPut,
    StepRecord,
    StepState,
)
from nowcast_cli.store.records import Change, JobPut, JobRecord, MessageRecord

LONGEST_WAIT = 86400.0  # s for a word from outside, where the step sets no timeout
_BY_JOB: Mapping[str, tuple[StepState, BadEnding | None]] = {
    "succeeded": ("done", None),
    "failed": ("failed", "failure"),
    "crashed": ("failed", "crash"),
    "timed out": ("failed", "crash"),
    "lost": ("failed", "lost"),
    "cancelled": ("cancelled", None),
}


@dataclass(frozen=True, slots=True)
class Outside:
    """What the runs need of the world: times, ids, the module of a worker, and flows by name.

    ``today`` is a date of the system's time zone. ``module_of`` and ``flow_named`` raise
    NowcastError.
    """

    now: Callable[[], str]
    today: Callable[[], date]
    uptime: Callable[[], Uptime]
    new_id: Callable[[], str]
    module_of: Callable[[str], str]
    flow_named: Callable[[str], Flow]
    flows: Callable[[], Collection[Flow]]


class _Moves:
    """What one call brings about, gathered in order; ``state`` is as all of it leaves it."""

    def __init__(self, state: State) -> None:
        self.step = Step(state)

    @property
    def state(self) -> State:
        return self.step.state

    def add(self, step: Step) -> None:
        self.step = self.step.then(step)

    def put(self, *changes: Change, notes: Iterable[Note] = ()) -> None:
        self.step = self.step.then(Step(self.state, changes, tuple(notes)))


class FlowRuns:
    """Moves the runs on; what each call gives belongs to the turn in which it is made."""

    def __init__(self, store: Store, registry: Registry, outside: Outside) -> None:
        self._store = store
        self._registry = registry
        self._outside = outside
        self._definitions: dict[str, Flow] = {}
        self._conflicts: Conflicts = {}
        self._running: Counter[StepName] = Counter()
        self._waiting: set[str] = set()  # runs of which a step waits for others, or for its delay
        self._due: dict[Token, float] = {}  # on the clock of this boot
        self._to_move: dict[str, None] = {}
        self.open: dict[str, FlowRunRecord] = {}
        self._to_see: list[Token] = []  # attempts that ran when an earlier manager ended
        for run in store.open_flow_runs():
            self._take_up(run)

    def use(self, registry: Registry) -> None:
        """Go on with a registry that was reloaded; runs follow the definition they began with."""
        self._registry = registry

    def _take_up(self, run: FlowRunRecord) -> None:
        self.open[run.id] = run
        self._to_move[run.id] = None
        self._conflicts = with_conflicts_of(self._conflicts, self.flow_of(run))
        now = self._outside.uptime()
        for record in run.steps.values():
            if record.state == "running":
                self._running[(run.flow, record.step)] += 1
                self._to_see.append(_token(run, record))
                if record.deadline is not None:
                    self._due[_token(run, record)] = now.seconds + now.left(record.deadline)

    def flow_of(self, run: FlowRunRecord) -> Flow:
        """Give the definition that a run follows."""
        if run.digest not in self._definitions:
            found = self._store.flow_definition(run.digest)
            assert found is not None, "a run and its definition are written together"
            self._definitions[run.digest] = flow_described(*found)
        return self._definitions[run.digest]

    def due_in(self) -> float | None:
        """Give the seconds until the clock says that something is to be done, None for never."""
        if self._to_move:
            return 0.0
        now = self._outside.uptime()
        times = [due - now.seconds for due in self._due.values()]
        times += [
            now.left(record.delay)
            for run_id in self._waiting
            for record in self.open[run_id].steps.values()
            if record.state == "waiting" and record.delay is not None
        ]
        return max(0.0, min(times)) if times else None

    # --- what is asked for

    def begin(
        self, state: State, flow: Flow, given: Mapping[str, Any], origin: str
    ) -> tuple[Step, FlowRunRecord]:
        """Begin a run; ``origin`` says in words what wants it. Raises BadParameter."""
        moves = _Moves(state)
        run = self._begin(moves, flow, given, origin, None)
        self._settle(moves)
        return moves.step, run

    def complete(self, state: State, token: Token, ended: StepState, gave: Any, why: str) -> Step:
        """Take in a word from outside on how an attempt has ended."""
        moves = _Moves(state)
        self._complete(moves, token, ended, gave, why, "failure" if ended == "failed" else None)
        self._settle(moves)
        return moves.step

    def cancel(self, state: State, run: FlowRunRecord, reason: str) -> Step:
        """End an open run by order: its jobs are cancelled, and the runs that do its steps."""
        moves = _Moves(state)
        self._cancel(moves, run.id, reason)
        self._settle(moves)
        return moves.step

    def again(self, state: State, run: FlowRunRecord, first: str | None) -> Step:
        """Open a run that has ended: what ended badly is done once more, or all from a step on."""
        moves = _Moves(state)
        flow = self.flow_of(run)
        self._conflicts = with_conflicts_of(self._conflicts, flow)
        opened = reopened(flow, run, first)
        self.open[run.id] = opened
        self._to_move[run.id] = None
        changed = [record for key, record in opened.steps.items() if record != run.steps[key]]
        moves.put(
            FlowRunPut(opened),
            *(FlowStepDropped(run.id, each.step, each.item) for each in dropped(run, opened)),
            *(FlowStepPut(run.id, record) for record in changed),
            notes=[info(f"flow {run.flow} goes on (run {run.id})")],
        )
        self._settle(moves)
        return moves.step

    # --- what happens

    def follow(self, turn: Turn) -> None:
        """Take in what a turn has done to the jobs of steps, and what the clock says."""
        if not (self.open or self._outside.flows()):
            return
        moves = _Moves(turn.state)
        for record in turn.journalled.values():
            self._begin_by_message(moves, record)
        self._see(moves)
        for job in _ended_jobs(turn.changes):
            number = job.final_message
            said = (each for each in turn.journalled.values() if each.number == number)
            self._job_ended(moves, Token.parse(str(job.flow_step)), job, next(said, None))
        now = self._outside.uptime().seconds
        for token in [token for token, due in self._due.items() if due <= now]:
            self._overran(moves, token)
        if moves.step.changes or self.due_in() == 0.0:
            self._to_move.update(dict.fromkeys(self._waiting))
        self._settle(moves)
        turn.add(moves.step)

    def _begin_by_message(self, moves: _Moves, record: MessageRecord) -> None:
        """Begin the runs that a message asks for; one that is tried again is none as yet."""
        if record.outcome is None or record.state == "late" or record.note is not None:
            return
        for flow, trigger in by_message(self._outside.flows(), record.source, record.type):
            found = {"payload": plain(payload_of(record))}
            origin = f"message {record.number}, {record.type} of {record.source}"
            self._begin_by_trigger(moves, flow, trigger, found, origin)

    def _begin_by_trigger(
        self, moves: _Moves, flow: Flow, trigger: Trigger, found: Mapping[str, Any], origin: str
    ) -> None:
        try:
            given = parameters_of(trigger, lambda reference: value_of(reference, found, {}))
            self._begin(moves, self._outside.flow_named(flow.name), given, origin, None)
        except (KeyError, BadParameter, NowcastError) as error:
            why = f"{error.args[0]} has no value" if isinstance(error, KeyError) else str(error)
            moves.put(notes=[problem(f"flow {flow.name} does not begin by {origin}: {why}")])

    def _see(self, moves: _Moves) -> None:
        """Find the ends that a store which was put together anew does not tell its runs of."""
        for token in self._to_see:
            record = self._current(token)
            if record is None or record.job is None or record.job in moves.state.jobs:
                continue
            job, child = self._store.job(record.job), self._store.flow_run(record.job)
            if job is not None and not job.unfinished:
                number = job.final_message
                said = None if number is None else self._store.message_by_number(number)
                self._job_ended(moves, token, job, said)
            elif child is not None and child.state != "running":
                self._tell_parent(moves, child)
            elif job is None and child is None:
                why = f"nothing is known any more of {record.job}"
                self._complete(moves, token, "failed", None, why, "lost")
        self._to_see.clear()

    def _job_ended(
        self, moves: _Moves, token: Token, job: JobRecord, said: MessageRecord | None
    ) -> None:
        ended, ending = _BY_JOB[job.state]
        gave = None if ended != "done" or said is None else plain(payload_of(said))
        self._complete(moves, token, ended, gave, job.reason or job.state, ending)

    def _overran(self, moves: _Moves, token: Token) -> None:
        del self._due[token]
        record = self._current(token)
        if record is not None:
            why = "it took longer than its timeout"
            self._complete(moves, token, "timed out", None, why, None)
            self._stop(moves, record, why)

    def _current(self, token: Token) -> StepRecord | None:
        """Give the attempt that a token names, where it runs."""
        run = self.open.get(token.run)
        record = None if run is None else run.steps.get((token.step, token.item))
        if record is None or record.state != "running" or record.attempt != token.attempt:
            return None
        return record

    def _complete(
        self,
        moves: _Moves,
        token: Token,
        ended: StepState,
        gave: Any,
        why: str | None,
        ending: BadEnding | None,
    ) -> None:
        """Take in the first word on an attempt; a later one has no effect."""
        record = self._current(token)
        if record is None:
            return
        run = self.open[token.run]
        self._running[(run.flow, record.step)] -= 1
        self._due.pop(token, None)
        step = self.flow_of(run).step(record.step)
        after = ended_attempt(
            step,
            record,
            ended,
            now=self._outside.now(),
            gave=gave,
            reason=None if ended == "done" else why,
            ending=ending,
            delay_of=self._outside.uptime().after,
        )
        self._put(moves, run.id, after)
        if ended != "done":
            words = "is tried again" if after.state == "waiting" else after.state
            moves.put(notes=[problem(f"step {name_of(after)} of run {run.id} {words}: {why}")])
        self._to_move.update(dict.fromkeys((run.id, *self._waiting)))

    def _cancel(self, moves: _Moves, run_id: str, reason: str) -> None:
        now = self._outside.now()
        for record in list(self.open[run_id].steps.values()):
            if record.state not in OPEN:
                continue
            if record.state == "running":
                run = self.open[run_id]
                self._running[(run.flow, record.step)] -= 1
                self._due.pop(_token(run, record), None)
            ended = replace(record, state="cancelled", ended=now, reason=reason, deadline=None)
            self._put(moves, run_id, ended)
            if record.state == "running":
                self._stop(moves, record, reason)
        self._end(moves, replace(self.open[run_id], state="cancelled", ended=now, reason=reason))

    def _stop(self, moves: _Moves, record: StepRecord, reason: str) -> None:
        """End what does a step."""
        job = moves.state.jobs.get(record.job or "")
        if job is not None and job.unfinished:
            moves.add(job_transitions.cancel(moves.state, job, reason, self._outside.now()))
        elif record.job in self.open:
            self._cancel(moves, record.job, reason)

    # --- moving

    def _settle(self, moves: _Moves) -> None:
        """Take all runs that may move as far as they go."""
        while self._to_move:
            run_id = next(iter(self._to_move))
            del self._to_move[run_id]
            if run_id in self.open:
                self._move(moves, run_id)

    def _move(self, moves: _Moves, run_id: str) -> None:
        run, left = self.open[run_id], self._outside.uptime().left
        world = World(self._running, self._conflicts, self._outside.now(), left)
        moved = advance(self.flow_of(run), run, world)
        self.open[run_id] = moved.run
        moves.put(*(FlowStepPut(run_id, each) for each in moved.changed if each not in moved.begun))
        for record in moved.begun:
            self._begin_step(moves, run_id, record)
        if run_id not in self.open:
            return
        waits = any(each.state == "waiting" for each in self.open[run_id].steps.values())
        (self._waiting.add if waits else self._waiting.discard)(run_id)
        if moved.run.state != "running":
            self._end(moves, moved.run)

    def _begin_step(self, moves: _Moves, run_id: str, record: StepRecord) -> None:
        run = self.open[run_id]
        step, token = self.flow_of(run).step(record.step), _token(run, record)
        longest = step.timeout or (LONGEST_WAIT if isinstance(step.does, Action) else None)
        if longest is not None:
            delay = self._outside.uptime().after(longest)
            record = replace(record, deadline=delay)
            self._due[token] = delay.due
        find = _finder(run, record)
        try:
            match step.does:
                case Work() as work:
                    job = self._job(run, record, work, find)
                    new_state, changes = with_jobs(moves.state, job)
                    words = " ".join((job.worker, *job.arguments))
                    note = info(f"launching {words} (job {job.id}), step {token.step} of {run_id}")
                    moves.add(Step(new_state, changes, (note,)))
                    record = replace(record, job=job.id)
                case SubFlow(flow=name, parameters=given):
                    flow = self._outside.flow_named(name)
                    origin = f"step {name_of(record)} of run {run_id}"
                    child = self._begin(moves, flow, filled_in(given, find), origin, token)
                    record = replace(record, job=child.id)
        except (KeyError, BadParameter, NowcastError) as error:
            why = f"{error.args[0]} has no value" if isinstance(error, KeyError) else str(error)
            self._put(moves, run_id, record)
            self._complete(moves, token, "failed", None, why, "failure")
            return
        self._put(moves, run_id, record)

    def _job(
        self, run: FlowRunRecord, record: StepRecord, work: Work, find: Callable[[str], Any]
    ) -> JobRecord:
        """Give the job of a step; it waits for the process of the attempt before to be gone."""
        job = new_job(
            self._outside.new_id(),
            self._outside.module_of(work.worker),
            tuple(_as_argument(each) for each in filled_in(work.arguments, find)),
            self._registry.place_of(work.worker, work.executor or HERE),
            cause=None,
            chain=run.id,
            now=self._outside.now(),
            attempt=record.attempt,
            predecessor=record.job,
            worker=work.worker,
        )
        return replace(job, flow_step=str(_token(run, record)))

    def _begin(
        self,
        moves: _Moves,
        flow: Flow,
        given: Mapping[str, Any],
        origin: str,
        parent: Token | None,
    ) -> FlowRunRecord:
        run = FlowRunRecord(
            id=self._outside.new_id(),
            flow=flow.name,
            digest=flow.digest,
            parameters=values_of(flow, given, self._outside.today()),
            state="running",
            origin=origin,
            created=self._outside.now(),
            parent=None if parent is None else str(parent),
        )
        self._definitions[flow.digest] = flow
        self._conflicts = with_conflicts_of(self._conflicts, flow)
        self.open[run.id] = run
        self._to_move[run.id] = None
        moves.put(
            DefinitionPut(flow.digest, flow.name, described(flow)),
            FlowRunPut(run),
            notes=[info(f"flow {flow.name} begins (run {run.id}): {origin}")],
        )
        return run

    def _end(self, moves: _Moves, run: FlowRunRecord) -> None:
        """Take a run out that has ended, and tell the step that it does of another one."""
        self.open.pop(run.id, None)
        self._waiting.discard(run.id)
        why = f": {run.reason}" if run.reason else ""
        note = (info if run.state == "done" else problem)(
            f"flow {run.flow} {run.state} (run {run.id}){why}"
        )
        moves.put(FlowRunPut(run), notes=[note])
        self._tell_parent(moves, run)
        for flow, trigger in by_end(self._outside.flows(), run.flow, run.state):
            found = {"steps": _given_by(run), "parameters": run.parameters}
            origin = f"flow {run.flow} {run.state} (run {run.id})"
            self._begin_by_trigger(moves, flow, trigger, found, origin)

    def _tell_parent(self, moves: _Moves, run: FlowRunRecord) -> None:
        if run.parent is not None:
            ended: StepState = "done" if run.state == "done" else "failed"
            why = run.reason or f"its flow was {run.state}"
            self._complete(moves, Token.parse(run.parent), ended, _given_by(run), why, "failure")

    def _put(self, moves: _Moves, run_id: str, record: StepRecord) -> None:
        run = self.open[run_id]
        steps = {**run.steps, (record.step, record.item): record}
        self.open[run_id] = replace(run, steps=steps)
        moves.put(FlowStepPut(run_id, record))


def _token(run: FlowRunRecord, record: StepRecord) -> Token:
    return Token(run.id, record.step, record.item, record.attempt)


def _ended_jobs(changes: Iterable[Change]) -> list[JobRecord]:
    """Give the jobs of steps that have ended by these changes, and are not tried again."""
    jobs = [change.job for change in changes if isinstance(change, JobPut)]
    tried_again = {job.predecessor for job in jobs}
    latest = {job.id: job for job in jobs if job.flow_step is not None}
    return [job for job in latest.values() if not job.unfinished and job.id not in tried_again]


def plain(value: Any) -> Any:
    """Give a value in the types of JSON; its keys become text, dates ISO 8601."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _as_argument(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _given_by(run: FlowRunRecord) -> dict[str, Any]:
    """Give what a run hands on: what each of its steps gave."""
    given: dict[str, Any] = {}
    for record in sorted(run.steps.values(), key=lambda record: record.item or 0):
        if record.item is None:
            given[record.step] = record.gave
        else:
            given.setdefault(record.step, []).append(record.gave)
    return given


def _finder(run: FlowRunRecord, record: StepRecord) -> Callable[[str], Any]:
    by_step: dict[str, list[StepRecord]] = {}
    for each in run.steps.values():
        by_step.setdefault(each.step, []).append(each)

    def find(reference: str) -> Any:
        if record.item is not None and reference.partition(".")[0] == "item":
            return value_of(reference, {"item": record.value}, {})
        return value_of(reference, run.parameters, by_step)

    return find
