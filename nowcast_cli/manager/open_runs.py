"""The runs of flows that have not ended, and what they share: who runs, who waits, what is due."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush

from nowcast_cli.flows.conflicts import Conflicts, StepName, with_conflicts_of
from nowcast_cli.flows.definition import Flow
from nowcast_cli.flows.run_steps import counted
from nowcast_cli.flows.tokens import Token
from nowcast_cli.flows.yaml_flows import flow_described
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.flow_moves import token_of
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord


class OpenRuns:
    """Keeps the runs by id; ``running`` counts the steps that run, of all runs together."""

    def __init__(self, store: Store, uptime: Callable[[], Uptime]) -> None:
        self._store = store
        self._uptime = uptime
        self._definitions: dict[str, Flow] = {}
        self._alarms: list[tuple[float, str]] = []  # a heap: on the clock of this boot, token
        self._followed: Counter[str] = Counter()  # runs by the digest of their definition
        self._outermost: dict[str, str] = {}
        self._to_move: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[StepName, dict[str, None]] = {}  # runs by the step that has no room
        self._waits_for: dict[str, frozenset[StepName]] = {}  # the same by run
        self.conflicts: Conflicts = {}
        self.running: Counter[StepName] = Counter()
        self.by_id: dict[str, FlowRunRecord] = {}

    def take_up(self, run: FlowRunRecord) -> list[Token]:
        """Go on with a run of an earlier manager; give the attempts that run."""
        self.add(run, self.flow_of(run))
        running = []
        for record in run.steps.values():
            self._set_alarm(run, record)
            if record.state == "running":
                self.running[(run.flow, record.step)] += 1
                running.append(token_of(run, record))
        return running

    def add(self, run: FlowRunRecord, flow: Flow) -> None:
        """Take a run in that is new, or was opened again."""
        if not self.follows(run.digest):
            self._definitions[run.digest] = flow
            self.conflicts = with_conflicts_of(self.conflicts, flow)
        self._followed[run.digest] += 1
        self.by_id[run.id] = replace(run, steps=counted(run.steps))
        self.to_move(run.id)

    def follows(self, digest: str) -> bool:
        """Say whether an open run follows that definition, so that the store has it."""
        return self._followed[digest] > 0

    def flow_of(self, run: FlowRunRecord) -> Flow:
        """Give the definition that a run follows."""
        flow = self._definitions.get(run.digest)
        if flow is None:
            found = self._store.flow_definition(run.digest)
            assert found is not None, "a run and its definition are written together"
            flow = flow_described(*found)
            if self.follows(run.digest):
                self._definitions[run.digest] = flow
        return flow

    def current(self, token: Token) -> StepRecord | None:
        """Give the attempt that a token names, where it runs or waits."""
        run = self.by_id.get(token.run)
        record = None if run is None else run.steps.get((token.step, token.item))
        return None if record is None or record.attempt != token.attempt else record

    def outermost(self, run: FlowRunRecord) -> str:
        """Give the id of the run that a run is a part of, however deep; else its own."""
        known = self._outermost.get(run.id)
        if known is None:
            above = None if run.parent is None else Token.parse(run.parent).run
            parent = self.by_id.get(above or "")
            known = self.outermost(parent) if parent is not None else above or run.id
            self._outermost[run.id] = known
        return known

    def keep(self, run: FlowRunRecord) -> None:
        """Take a run as it is now."""
        self.by_id[run.id] = run

    def keep_step(self, run_id: str, record: StepRecord) -> None:
        """Take a step of a run as it is now."""
        run = self.by_id[run_id]
        counted(run.steps).put(record)
        self._set_alarm(run, record)

    def drop(self, run_id: str) -> None:
        """Let go of a run that has ended."""
        run = self.by_id.pop(run_id, None)
        if run is not None:
            self._followed[run.digest] -= 1
            if not self._followed[run.digest]:
                del self._followed[run.digest]
                # There is one for each time that was ever given to the call of an action.
                self._definitions.pop(run.digest, None)
            self._outermost.pop(run_id, None)
        self._wait_for(run_id, frozenset())
        if not self.by_id:
            self._alarms.clear()  # all of them are of runs that have ended

    # --- who is to move, and when

    def to_move(self, run_id: str) -> None:
        """Have a run looked at."""
        self._to_move[run_id] = None

    def has_ended(self, flow: str, step: str) -> None:
        """Count one less of a step; have the runs looked at that may have waited for that."""
        me = (flow, step)
        self.running[me] -= 1
        if self._waiting:
            for name in (me, *self.conflicts.get(me, ())):
                self._to_move.update(self._waiting.get(name, {}))

    def next_to_move(self) -> FlowRunRecord | None:
        """Give a run that is to be looked at; None when there is none."""
        while self._to_move:
            run = self.by_id.get(self._to_move.popitem(last=False)[0])
            if run is not None:
                return run
        return None

    def looked_at(self, run_id: str) -> None:
        """Note which steps of the run wait for room, after it has moved."""
        run = self.by_id[run_id]
        steps = counted(run.steps)
        if steps.ready or run_id in self._waits_for:
            self._wait_for(run_id, frozenset((run.flow, name) for name in steps.names_that_wait()))

    def _wait_for(self, run_id: str, steps: frozenset[StepName]) -> None:
        before = self._waits_for.pop(run_id, frozenset())
        for step in before - steps:
            del self._waiting[step][run_id]
            if not self._waiting[step]:
                del self._waiting[step]
        for step in steps - before:
            self._waiting.setdefault(step, {})[run_id] = None
        if steps:
            self._waits_for[run_id] = steps

    def _set_alarm(self, run: FlowRunRecord, record: StepRecord) -> None:
        running = record.state == "running"
        delay = record.deadline if running else record.delay if record.state == "waiting" else None
        if delay is not None:
            now = self._uptime()
            due = now.seconds + now.left(delay)
            heappush(self._alarms, (due, str(token_of(run, record))))

    def look_later(self, token: Token, seconds: float) -> None:
        """Have an attempt be overdue once more after so many seconds."""
        heappush(self._alarms, (self._uptime().seconds + seconds, str(token)))

    def due_in(self) -> float | None:
        """Give the seconds until a run is to be looked at, None for never."""
        if self._to_move:
            return 0.0
        if not self._alarms:
            return None
        return max(0.0, self._alarms[0][0] - self._uptime().seconds)

    def overdue(self) -> list[Token]:
        """Give the attempts whose deadline is over; what waited for its delay is to move."""
        now, found = self._uptime().seconds, []
        while self._alarms and self._alarms[0][0] <= now:
            token = Token.parse(heappop(self._alarms)[1])
            record = self.current(token)
            if record is not None and record.state == "running":
                found.append(token)
            elif record is not None and record.state == "waiting":
                counted(self.by_id[token.run].steps).let_begin(record)
                self.to_move(token.run)
        return found
