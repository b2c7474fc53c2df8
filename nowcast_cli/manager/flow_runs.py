"""The runs of flows that have not ended: moved on by what happens to jobs, by words, by the clock.

What the runs share (which steps run, who waits, what is due) is kept here from turn to turn, as
the admission of jobs does; all that is decided leaves as changes of the turn it is decided in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.registry import Registry
from nowcast_cli.errors import NowcastError
from nowcast_cli.flows.advance import BadEnding, World, advance, ended_attempt, name_of, value_of
from nowcast_cli.flows.definition import Action, Flow, SubFlow, Trigger, Work
from nowcast_cli.flows.described import described
from nowcast_cli.flows.parameters import BadParameter, values_of
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.flows.reopening import dropped, reopened
from nowcast_cli.flows.tokens import Token
from nowcast_cli.flows.triggers import by_end, parameters_of
from nowcast_cli.manager import job_transitions
from nowcast_cli.manager.action_desk import ActionDesk, AttemptEnd
from nowcast_cli.manager.flow_actions import StepActions
from nowcast_cli.manager.flow_jobs import BY_JOB, job_of
from nowcast_cli.manager.flow_moves import (
    End,
    Moves,
    begun_by,
    ended_jobs,
    finder,
    given_by,
    plain,
    token_of,
)
from nowcast_cli.manager.flow_outside import Outside
from nowcast_cli.manager.open_runs import OpenRuns
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.state import State, Step, info, problem
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
from nowcast_cli.store.records import JobRecord, MessageRecord


class FlowRuns:
    """Moves the runs on; what each call gives belongs to the turn in which it is made."""

    def __init__(
        self, store: Store, registry: Registry, outside: Outside, desk: ActionDesk
    ) -> None:
        self._store = store
        self._registry = registry
        self._outside = outside
        self._runs = OpenRuns(store, outside.uptime)
        self._desk = desk
        self._actions = StepActions(desk, self._runs, outside.uptime)
        self._to_see: list[Token] = []  # attempts that ran when an earlier manager ended
        for run in store.open_flow_runs():
            self._to_see += self._runs.take_up(run)
        for token in self._to_see:
            self._actions.take_up(token)

    @property
    def open(self) -> Mapping[str, FlowRunRecord]:
        """The runs that have not ended, by id."""
        return self._runs.by_id

    def use(self, registry: Registry) -> None:
        """Go on with a registry that was reloaded; runs follow the definition they began with."""
        self._registry = registry
        self._actions.look_again()

    def flow_of(self, run: FlowRunRecord) -> Flow:
        """Give the definition that a run follows."""
        return self._runs.flow_of(run)

    def due_in(self) -> float | None:
        """Give the seconds until the clock says that something is to be done, None for never."""
        due = (self._runs.due_in(), self._desk.due_in(), self._actions.due_in())
        return min((each for each in due if each is not None), default=None)

    # --- what is asked for

    def begin(
        self, state: State, flow: Flow, given: Mapping[str, Any], origin: str
    ) -> tuple[Step, FlowRunRecord]:
        """Begin a run; ``origin`` says in words what wants it. Raises BadParameter."""
        return self.call(state, flow, self._values(flow, given), origin)

    def call(
        self, state: State, flow: Flow, values: Mapping[str, Any], origin: str
    ) -> tuple[Step, FlowRunRecord]:
        """Begin a run with these very values."""
        moves = Moves(state)
        run = self._begin(moves, flow, values, origin, None)
        self._settle(moves)
        return moves.step, run

    def complete(self, state: State, token: Token, ended: StepState, gave: Any, why: str) -> Step:
        """Take in a word from outside on how an attempt has ended."""
        moves = Moves(state)
        self._desk.not_begun(str(token))
        ending: BadEnding | None = "failure" if ended == "failed" else None
        self._complete(moves, token, End(ended, gave, why, ending))
        self._settle(moves)
        return moves.step

    def cancel(self, state: State, run: FlowRunRecord, reason: str) -> Step:
        """End an open run by order: its jobs are cancelled, and the runs that do its steps."""
        moves = Moves(state)
        self._cancel(moves, run.id, reason)
        self._settle(moves)
        return moves.step

    def again(self, state: State, run: FlowRunRecord, first: str | None) -> Step:
        """Open a run that has ended: what ended badly is done once more, or all from a step on."""
        moves = Moves(state)
        flow = self.flow_of(run)
        opened = reopened(flow, run, first)
        self._runs.add(opened, flow)
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
        """Take in what a turn has done to jobs and actions of steps, and what the clock says."""
        ends = self._desk.take_ends()
        if not (self.open or ends or self._outside.flows()):
            return
        moves = Moves(turn.state)
        for wanted in begun_by(turn.journalled.values(), self._outside.flows()):
            self._begin_by_trigger(moves, *wanted)
        self._see(moves)
        for job in ended_jobs(turn.changes):
            number = job.final_message
            said = (each for each in turn.journalled.values() if each.number == number)
            self._job_ended(moves, Token.parse(str(job.flow_step)), job, next(said, None))
        for end in ends:
            self._action_ended(moves, end)
        for token in self._runs.overdue():
            self._overran(moves, token)
        self._begin_those_that_are_known(moves)
        moves.put(*self._actions.progress())
        self._settle(moves)
        turn.add(moves.step)

    def _begin_by_trigger(
        self, moves: Moves, flow: Flow, trigger: Trigger, found: Mapping[str, Any], origin: str
    ) -> None:
        try:
            given = parameters_of(trigger, lambda reference: value_of(reference, found))
            flow = self._outside.flow_named(flow.name)
            self._begin(moves, flow, self._values(flow, given), origin, None)
        except (KeyError, BadParameter, NowcastError) as error:
            why = f"{error.args[0]} has no value" if isinstance(error, KeyError) else str(error)
            moves.put(notes=[problem(f"flow {flow.name} does not begin by {origin}: {why}")])

    def _see(self, moves: Moves) -> None:
        """Find the ends that a store which was put together anew does not tell its runs of."""
        for token in self._to_see:
            record = self._running(token)
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
                self._complete(moves, token, End("failed", None, why, "lost"))
        self._to_see.clear()

    def _job_ended(
        self, moves: Moves, token: Token, job: JobRecord, said: MessageRecord | None
    ) -> None:
        ended, ending = BY_JOB[job.state]
        gave = None if ended != "done" or said is None else plain(payload_of(said))
        self._complete(moves, token, End(ended, gave, job.reason or job.state, ending))

    def _action_ended(self, moves: Moves, end: AttemptEnd) -> None:
        """Take in how a performer's order ended; one of another attempt has no effect."""
        result, token = end.result, end.token
        record = self._running(token)
        if record is None or record.performer is None:
            if result.state != "lost":
                words = f"{result.id} is over: that it is {result.state} has no effect"
                moves.put(notes=[info(words)])
            return
        how = self._actions.end_of(token, end)
        if how is None:
            self._put(moves, token.run, record._replace(performer=None))
        else:
            self._complete(moves, token, how)

    def _begin_those_that_are_known(self, moves: Moves) -> None:
        for token in self._actions.take_known():
            record = self._running(token)
            if record is not None:
                self._begin_step(moves, token.run, record)

    def _overran(self, moves: Moves, token: Token) -> None:
        record = self._running(token)
        if record is None:
            return
        ended, why = self._actions.overran(token, record)
        if ended is not None:
            self._complete(moves, token, End(ended, None, why, "failure"))
            self._stop(moves, token, record, why)

    def _running(self, token: Token) -> StepRecord | None:
        """Give the attempt that a token names, where it runs."""
        record = self._runs.current(token)
        return record if record is not None and record.state == "running" else None

    def _complete(self, moves: Moves, token: Token, end: End) -> None:
        """Take in the first word on an attempt; a later one has no effect."""
        record = self._running(token)
        if record is None:
            return
        run = self.open[token.run]
        self._runs.has_ended(run.flow, record.step)
        step = self.flow_of(run).step(record.step)
        after = ended_attempt(
            step,
            record,
            end.state,
            now=self._outside.now(),
            gave=end.gave,
            reason=None if end.state == "done" else end.why,
            ending=end.ending,
            traceback=end.traceback,
            counts=end.counts,
            delay_of=lambda seconds: self._outside.uptime().after(seconds),
        )
        self._put(moves, run.id, after)
        if end.state != "done":
            words = "is tried again" if after.state == "waiting" else after.state
            moves.put(notes=[problem(f"step {name_of(after)} of run {run.id} {words}: {end.why}")])
        elif isinstance(step.does, Action):
            moves.put(*self._actions.published(run, record, end.gave))
        self._runs.to_move(run.id)

    def _cancel(self, moves: Moves, run_id: str, reason: str) -> None:
        now, run = self._outside.now(), self.open[run_id]
        for record in list(run.steps.values()):
            if record.state not in OPEN:
                continue
            if record.state == "running":
                self._runs.has_ended(run.flow, record.step)
            ended = record._replace(
                state="cancelled", ended=now, reason=reason, deadline=None, performer=None
            )
            self._put(moves, run_id, ended)
            if record.state == "running":
                self._stop(moves, token_of(run, record), record, reason)
        self._end(moves, replace(run, state="cancelled", ended=now, reason=reason))

    def _stop(self, moves: Moves, token: Token, record: StepRecord, reason: str) -> None:
        """End what does an attempt."""
        if record.performer is not None:
            self._desk.unwanted(str(token))
        job = moves.state.jobs.get(record.job or "")
        if job is not None and job.unfinished:
            moves.add(job_transitions.cancel(moves.state, job, reason, self._outside.now()))
        elif record.job is not None and record.job in self.open:
            self._cancel(moves, record.job, reason)

    # --- moving

    def _settle(self, moves: Moves) -> None:
        """Take all runs that may move as far as they go."""
        now = self._outside.now()
        while (run := self._runs.next_to_move()) is not None:
            self._move(moves, run, now)

    def _move(self, moves: Moves, run: FlowRunRecord, now: str) -> None:
        shared = self._runs
        world = World(shared.running, shared.conflicts, now)
        moved = advance(self.flow_of(run), run, world)
        shared.keep(moved.run)
        moves.put(*(FlowStepPut(run.id, each) for each in moved.changed))
        for record in moved.begun:
            self._begin_step(moves, run.id, record)
        shared.looked_at(run.id)
        if moved.run.state != "running":
            self._end(moves, moved.run)

    def _begin_step(self, moves: Moves, run_id: str, record: StepRecord) -> None:
        run = self.open[run_id]
        step, token = self.flow_of(run).step(record.step), token_of(run, record)
        if step.timeout is not None and not isinstance(step.does, Action):
            record = record._replace(deadline=self._outside.uptime().after(step.timeout))
        find, is_over, gave = finder(run, record), False, None
        try:
            match step.does:
                case Action():
                    record, is_over, gave = self._actions.begin(run, record, find)
                case Work() as work:
                    job = job_of(run, record, work, find, self._registry, self._outside)
                    words = " ".join((job.worker, *job.arguments))
                    note = info(f"launching {words} (job {job.id}), step {token.step} of {run_id}")
                    moves.launch(job, note)
                    record = record._replace(job=job.id)
                case SubFlow(flow=name, parameters=given):
                    flow = self._outside.flow_named(name)
                    origin = f"step {name_of(record)} of run {run_id[-8:]}"
                    child = self._begin(
                        moves, flow, self._values(flow, filled_in(given, find)), origin, token
                    )
                    record = record._replace(job=child.id)
        except (KeyError, BadParameter, NowcastError) as error:
            why = f"{error.args[0]} has no value" if isinstance(error, KeyError) else str(error)
            self._put(moves, run_id, record)
            self._complete(moves, token, End("failed", None, why, "failure"))
            return
        self._put(moves, run_id, record)
        if is_over:
            self._complete(moves, token, End("done", gave))

    def _begin(
        self,
        moves: Moves,
        flow: Flow,
        values: Mapping[str, Any],
        origin: str,
        parent: Token | None,
    ) -> FlowRunRecord:
        run = FlowRunRecord(
            id=self._outside.new_id(),
            flow=flow.name,
            digest=flow.digest,
            parameters=values,
            state="running",
            origin=origin,
            created=self._outside.now(),
            parent=None if parent is None else str(parent),
        )
        if not self._runs.follows(flow.digest):
            moves.put(DefinitionPut(flow.digest, flow.name, described(flow)))
        self._runs.add(run, flow)
        note = info(f"flow {flow.name} begins (run {run.id}): {origin}")
        moves.put(FlowRunPut(run), notes=[note])
        return run

    def _values(self, flow: Flow, given: Mapping[str, Any]) -> dict[str, Any]:
        return values_of(flow, given, self._outside.today())

    def _end(self, moves: Moves, run: FlowRunRecord) -> None:
        """Take a run out that has ended, and tell the step that it does of another one."""
        self._runs.drop(run.id)
        why = f": {run.reason}" if run.reason else ""
        note = (info if run.state == "done" else problem)(
            f"flow {run.flow} {run.state} (run {run.id}){why}"
        )
        moves.put(FlowRunPut(run), notes=[note])
        self._tell_parent(moves, run)
        for flow, trigger in by_end(self._outside.flows(), run.flow, run.state):
            found = {"steps": given_by(run), "parameters": run.parameters}
            origin = f"flow {run.flow} {run.state} (run {run.id[-8:]})"
            self._begin_by_trigger(moves, flow, trigger, found, origin)

    def _tell_parent(self, moves: Moves, run: FlowRunRecord) -> None:
        if run.parent is not None:
            ended: StepState = "done" if run.state == "done" else "failed"
            why = run.reason or f"its flow was {run.state}"
            end = End(ended, given_by(run), why, "failure")
            self._complete(moves, Token.parse(run.parent), end)

    def _put(self, moves: Moves, run_id: str, record: StepRecord) -> None:
        self._runs.keep_step(run_id, record)
        moves.put(FlowStepPut(run_id, record))
