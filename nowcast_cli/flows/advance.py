"""What comes next in a run of a flow: which steps begin, and whether it has ended. Pure.

====================  =========================================================================
a step of a run       becomes
====================  =========================================================================
not there             ``waiting``, when all that it comes after has ended well; or ``skipped``,
                      when its condition is false
``waiting``           ``running``, when its delay is over, and neither its concurrency nor a
                      conflict is in the way
``running``           ``done``, ``failed``, ``timed out`` or ``cancelled``, by the first word on its
                      attempt; ``waiting`` again, when it is to be tried again
====================  =========================================================================

A run whose step has failed begins nothing more but what stands in for it, and ends when nothing
of it runs any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

from nowcast_cli.flows.conditions import BadCondition, holds
from nowcast_cli.flows.definition import GO_ON, Action, Flow, Step
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.flows.run_steps import RunSteps, counted
from nowcast_cli.store.delay import Delay
from nowcast_cli.store.flow_records import (
    ENDED_WELL,
    FlowRunRecord,
    RunState,
    StepRecord,
    StepState,
)

MOST_ITEMS = 10_000  # that one step is run for: all of them begin in one turn of the manager
MOST_UNCOUNTED = 100  # attempts that are no tries, before others like them are
MOST_LOST = 10  # attempts at an action, of which the last may be lost
_LONGEST_VALUE = 20  # characters of what a step is run for, in its name
StepName = tuple[str, str]  # flow, step
BadEnding = Literal["failure", "crash", "lost"]


class World(NamedTuple):
    """What a run shares with the others: which steps run, which may not meet, and the time."""

    running: Counter[StepName]
    conflicts: Mapping[StepName, frozenset[StepName]]
    now: str

    def has_room(self, flow: str, step: Step) -> bool:
        """Say whether one more of a step may run: by its concurrency, and by its conflicts."""
        me = (flow, step.name)
        if step.concurrency is not None and self.running[me] >= step.concurrency:
            return False
        return not any(self.running[it] for it in self.conflicts.get(me, ()) if it != me)


class Advanced(NamedTuple):
    """A run as it is now, the steps that begin by that, and those that change otherwise."""

    run: FlowRunRecord
    begun: tuple[StepRecord, ...] = ()
    changed: tuple[StepRecord, ...] = ()


def advance(flow: Flow, run: FlowRunRecord, world: World) -> Advanced:
    """Take a run as far as it goes without anybody's word; ``world.running`` counts along.

    Steps that are counted (:mod:`nowcast_cli.flows.run_steps`) are moved where they are.
    """
    if run.state != "running":
        return Advanced(run)
    moving = _Moving(flow, run, world)
    while moving.expand():
        pass
    begun = tuple(moving.begin())
    ended = moving.end(bool(begun))
    return Advanced(ended, begun, tuple(moving.changed.values()))


class _Moving:
    """One run while it moves."""

    def __init__(self, flow: Flow, run: FlowRunRecord, world: World) -> None:
        self._flow = flow
        self._steps = counted(run.steps)
        self._run = run if self._steps is run.steps else replace(run, steps=self._steps)
        self._world = world
        self.changed: dict[tuple[str, int | None], StepRecord] = {}

    def expand(self) -> bool:
        """Let the steps come to be that can, by what has ended; True where that may let others."""
        ended, self._steps.ended = self._steps.ended, set()
        if not ended:
            return False
        is_failing = bool(self._failed())
        may_be = self._stand_ins() if is_failing else self._after(ended)
        for step in self._of(may_be):
            if step.name in may_be and not self._steps.has(step.name) and self._is_due(step):
                for record in self._made(step):
                    self._put(record)
                if step.name in self._steps.ended and not is_failing:
                    may_be |= self._after({step.name})
        return bool(self._steps.ended)

    def _of(self, names: set[str]) -> tuple[Step, ...]:
        """Give at least the steps of these names, in the order of the file; mostly it is one."""
        return tuple(map(self._flow.step, names)) if len(names) < 2 else self._flow.steps

    def _after(self, ended: Iterable[str]) -> set[str]:
        followers = {name for each in ended for name in self._flow.followers(each)}
        return followers - self._flow.stand_ins if self._flow.stand_ins else followers

    def _stand_ins(self) -> set[str]:
        """Give what stands in for the steps that have failed, and all that comes after it."""
        called = {step.on_failure for step in self._failed()} & self._flow.stand_ins
        reached = set(called)
        for _ in self._flow.steps:  # what follows from them, however deep
            reached |= {step.name for step in self._flow.steps if reached & set(step.after)}
        return reached

    def _is_due(self, step: Step) -> bool:
        return all(self._is_past(self._flow.step(name)) for name in step.after)

    def _is_past(self, step: Step) -> bool:
        if not self._steps.is_over(step.name):
            return False
        return step.on_failure == GO_ON or not self._steps.ended_badly(step.name)

    def _failed(self) -> list[Step]:
        """Give the steps that have failed, and whose failure is one of the run."""
        if not self._steps.bad:
            return []
        return [
            step
            for step in self._flow.steps
            if step.on_failure != GO_ON and self._steps.ended_badly(step.name)
        ]

    def _made(self, step: Step) -> Iterator[StepRecord]:
        if step.when is None and step.for_each is None:
            yield StepRecord(step.name, None, "waiting", self._run.first_attempt)
            return
        now = self._world.now
        new = partial(StepRecord, step.name, attempt=self._run.first_attempt)
        try:
            if step.when is not None and not holds(step.when, self._find):
                yield new(None, "skipped", ended=now, reason=f"not {step.when}")
                return
            if step.for_each is None:
                yield new(None, "waiting")
                return
            items = _items(filled_in(step.for_each, self._find))
        except (BadCondition, KeyError, ValueError) as error:
            words = f"{error.args[0]!s} has no value" if isinstance(error, KeyError) else str(error)
            yield new(None, "failed", ended=now, reason=words)
            return
        if not items:
            yield new(None, "skipped", ended=now, reason="for each of nothing")
        for number, item in enumerate(items):
            yield new(number, "waiting", value=item)

    def _find(self, reference: str) -> Any:
        return value_of(reference, self._run.parameters, self._steps)

    def begin(self) -> Iterator[StepRecord]:
        """Begin what waits and may."""
        ready = self._steps.ready & self._stand_ins() if self._failed() else self._steps.ready
        for step in self._of(ready):
            while (
                step.name in ready
                and (record := self._steps.next_ready(step.name)) is not None
                and self._world.has_room(self._flow.name, step)
            ):
                self._world.running[(self._flow.name, step.name)] += 1
                begun = record._replace(
                    state="running", begun=self._world.now, delay=None, reason=None
                )
                self._put(begun)
                del self.changed[(begun.step, begun.item)]
                yield begun

    def end(self, has_begun: bool) -> FlowRunRecord:
        """Give the run; ended, where nothing of it is open."""
        steps = self._steps
        if has_begun or steps.running:
            return self._run
        failed = self._failed()
        if steps.waiting:
            if not failed or self._stand_ins_wait():
                return self._run
            for record in [each for each in steps.values() if each.state == "waiting"]:
                never = (
                    "not begun" if record.attempt == self._run.first_attempt else "not tried again"
                )
                why = f"{never}: step {failed[0].name} has ended badly"
                self._put(record._replace(state="cancelled", ended=self._world.now, reason=why))
        state, reason = self._outcome(failed)
        return replace(self._run, state=state, reason=reason, ended=self._world.now)

    def _stand_ins_wait(self) -> bool:
        waiting = (record.step for record in self._steps.values() if record.state == "waiting")
        return not self._stand_ins().isdisjoint(waiting)

    def _outcome(self, failed: Iterable[Step]) -> tuple[RunState, str | None]:
        for step in failed:
            for record in self._steps.of(step.name):
                if record.state not in ENDED_WELL:
                    words = f"step {name_of(record)}: {record.reason or record.state}"
                    return ("timed out" if record.state == "timed out" else "failed"), words
        return "done", None

    def _put(self, record: StepRecord) -> None:
        self._steps.put(record)
        self.changed[(record.step, record.item)] = record


def name_of(record: StepRecord) -> str:
    """Name a step of a run: ``crop``, or of several ``crop[north]`` by what it is run for.

    One that is run for what is no short text goes by its place, from 1 on.
    """
    if record.item is None:
        return record.step
    is_short = isinstance(record.value, str | int) and len(str(record.value)) <= _LONGEST_VALUE
    return f"{record.step}[{record.value if is_short else record.item + 1}]"


def value_of(reference: str, parameters: Mapping[str, Any], steps: RunSteps | None = None) -> Any:
    """Give what a reference stands for in a run: a parameter, or what a step gave.

    Of a step that ``for each`` made several of, a list of what each of them gave. Raises KeyError.
    """
    first, *rest = reference.split(".")
    records = () if steps is None else steps.of(first)
    if not records:
        if first not in parameters:
            raise KeyError(reference)
        return _inside(parameters[first], rest, reference)
    in_order = sorted(records, key=lambda record: record.item or 0)
    if in_order[0].item is None:
        (record,) = in_order
        if record.state == "skipped":
            return None
        return _inside(_given(record), rest, reference)
    return [_inside(_given(record), rest, reference) for record in in_order]


def _given(record: StepRecord) -> Any:
    """Give the values of a step; of one that failed, why."""
    if record.state in ("failed", "timed out", "cancelled"):
        return {"reason": record.reason, "state": record.state}
    return record.gave


def _inside(value: Any, names: Iterable[str], reference: str) -> Any:
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            raise KeyError(reference)
        value = value[name]
    return value


def _items(value: Any) -> list[Any]:
    """Give what a step is run for, one after the other. Raises ValueError."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_number and not isinstance(value, list | tuple | Mapping):
        raise ValueError(f"`for each` wants a list or a number, not {value!r}")
    count = value if is_number else len(value)
    if count > MOST_ITEMS:
        raise ValueError(
            f"`for each` of {count:,} is more than the {MOST_ITEMS:,} that a step may be run for: "
            "let its worker make an ensemble"
        )
    if is_number:
        return list(range(1, value + 1))
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    return list(value)


def ended_attempt(
    step: Step,
    record: StepRecord,
    state: StepState,
    *,
    now: str,
    gave: Any = None,
    reason: str | None = None,
    ending: BadEnding | None = None,
    traceback: str | None = None,
    counts: bool = True,
    delay_of: Callable[[float], Delay],
) -> StepRecord:
    """Give a step whose attempt has ended: over, or waiting to be tried again.

    ``ending`` says how a bad one came, ``delay_of`` makes a delay of seconds. Where it does not
    count, the attempt is no try.
    """
    ended = record._replace(
        state=state,
        gave=gave,
        reason=reason,
        ended=now,
        deadline=None,
        performer=None,
        traceback=traceback,
    )
    counts = counts or record.attempt - record.tried >= MOST_UNCOUNTED
    if counts and not _is_tried_again(step, record, state, ending):
        return ended
    seconds = step.retry.delay_after(record.tried) if step.retry is not None and counts else 0.0
    return ended._replace(
        state="waiting",
        attempt=record.attempt + 1,
        tried=record.tried + counts,
        begun=None,
        ended=None,
        delay=delay_of(seconds) if seconds else None,
    )


def _is_tried_again(
    step: Step, record: StepRecord, state: StepState, ending: BadEnding | None
) -> bool:
    if state == "timed out":
        # `on timeout: retry` alone is one more time.
        tries = 2 if step.retry is None else step.retry.tries
        return step.on_timeout == "retry" and record.tried < tries
    if state != "failed":
        return False
    if step.retry is None:
        # Lost by no fault of its own it is begun anew; not one that ends its worker each time.
        is_lost = ending == "lost" and isinstance(step.does, Action)
        return is_lost and record.tried < MOST_LOST
    return ending in step.retry.on and record.tried < step.retry.tries
