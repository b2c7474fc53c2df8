"""Steps that are actions: who is given them, with which values, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from nowcast_cli.config.durations import duration_words
from nowcast_cli.errors import NowcastError
from nowcast_cli.flows.advance import BadEnding
from nowcast_cli.flows.checks import is_entry
from nowcast_cli.flows.definition import Action, Flow, Step
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.flows.tokens import Token, is_token
from nowcast_cli.manager.action_desk import ActionDesk, AttemptEnd
from nowcast_cli.manager.action_directory import ACTION_HOST, Doer
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.flow_moves import End, finder, plain, token_of
from nowcast_cli.manager.open_runs import OpenRuns
from nowcast_cli.manager.travelling import Travelling
from nowcast_cli.messages.event import topic_of
from nowcast_cli.messages.performing import Order
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord, StepState

ASYNC, PUBLISH = "ASYNC", "PUBLISH"
GOES_ON_WITHOUT_PERFORMER = frozenset({ASYNC, PUBLISH})
LONGEST_WAIT = 86400.0  # s for a word from outside, where the step sets no timeout
TIMEOUT = 60.0  # s for anything else
_UNKNOWN = ""  # a performer that is not known as yet

# By the state of a result: that of its step, and how a bad end came.
_ENDINGS: Mapping[str, tuple[StepState, BadEnding | None]] = {
    "done": ("done", None),
    "failed": ("failed", "failure"),
    "timed out": ("timed out", None),
    "lost": ("failed", "lost"),
}


class Begun(NamedTuple):
    """An attempt as it runs, or ``is_over`` already: then with what it ``gave``."""

    record: StepRecord
    is_over: bool = False
    gave: Any = None


class StepActions:
    """The actions of the runs that are open.

    Parameters
    ----------
    desk
        Has orders carried out.
    runs
        The runs.
    uptime
        The clock that deadlines go by.
    """

    def __init__(self, desk: ActionDesk, runs: OpenRuns, uptime: Callable[[], Uptime]) -> None:
        self._desk = desk
        self._runs = runs
        self._uptime = uptime
        self._unknown: dict[Token, None] = {}  # attempts that wait for services to say hello
        self._travelling = Travelling()
        self._expects = False  # attempts that an earlier manager may have given

    def take_up(self, token: Token) -> None:
        """Go on with an attempt that ran when an earlier manager ended."""
        record = self._runs.current(token)
        if record is None or record.performer is None:
            return
        if record.performer == _UNKNOWN:
            self._unknown[token] = None
        else:
            self._desk.expect(str(token), record.performer)
            self._expects = True

    def look_again(self) -> None:
        """Find anew who carries out what waits: the configuration may have changed."""
        for run in self._runs.by_id.values():
            for record in run.steps.values():
                token = token_of(run, record)
                if record.state == "running" and self._is_to_move(run, record):
                    if self._desk.has_left(str(token)):
                        self._desk.give_up(str(token))
                    else:
                        self._desk.unwanted(str(token))
                        self._unknown[token] = None

    def _is_to_move(self, run: FlowRunRecord, record: StepRecord) -> bool:
        if not record.performer or self._desk.is_in_hand(str(token_of(run, record))):
            return False
        does = self._runs.flow_of(run).step(record.step).does
        assert isinstance(does, Action), "only these have a performer"
        values, _ = self._values(self._runs.flow_of(run), run, record, finder(run, record))
        doer = self._desk.directory.find(does.key, values)
        return doer is None or doer.name != record.performer

    def due_in(self) -> float | None:
        """Give the seconds until it is known who carries out what waits for that."""
        due = [self._desk.directory.patient_for] if self._unknown else []
        return min([*due, self._desk.new_for] if self._expects else due, default=None)

    def take_known(self) -> list[Token]:
        """Give the attempts that waited until it was known who carries them out, once it is."""
        if self._expects and not self._desk.new_for:
            self._expects = False
            self.look_again()  # whose service was taken from the configuration while no manager ran
        if not self._unknown or self._desk.directory.patient_for:
            return []
        known = list(self._unknown)
        self._unknown.clear()
        return known

    # --- beginning

    def begin(self, run: FlowRunRecord, record: StepRecord, find: Callable[[str], Any]) -> Begun:
        """Begin an attempt; its order leaves after the commit.

        Raises NowcastError where nobody carries it out, KeyError for a placeholder without a value.
        """
        flow = self._runs.flow_of(run)
        step = flow.step(record.step)
        assert isinstance(step.does, Action), "only these are begun here"
        values, is_implied = self._values(flow, run, record, find)
        doer = self._desk.directory.find(step.does.key, values)
        if doer is None:
            fresh = record._replace(performer=None, traceback=None)
            return self._by_nobody(flow, run, step, fresh, values)
        self._desk.want(self._order(run, step, record, doer, values, is_implied), doer)
        record = record._replace(performer=doer.name, traceback=None)
        if step.does.key.decorator == ASYNC:
            return Begun(self._with_deadline(record, step.timeout or LONGEST_WAIT))
        if step.does.key.decorator == PUBLISH and doer.component is None:
            return Begun(self._with_deadline(record, step.timeout or TIMEOUT))
        return Begun(record)

    def _by_nobody(
        self, flow: Flow, run: FlowRunRecord, step: Step, record: StepRecord, values: Any
    ) -> Begun:
        assert isinstance(step.does, Action), "only these are begun here"
        key = step.does.key
        if is_entry(flow, step):
            return Begun(record, is_over=True)
        if self._desk.directory.patient_for:
            self._unknown[token_of(run, record)] = None
            record = record._replace(performer=_UNKNOWN)
        if key.decorator == ASYNC:
            return Begun(self._with_deadline(record, step.timeout or LONGEST_WAIT))
        if record.performer == _UNKNOWN:
            return Begun(record)
        if key.decorator == PUBLISH:
            return Begun(record, is_over=True, gave=values)
        raise NowcastError(self._desk.directory.nobody(key))

    def _with_deadline(self, record: StepRecord, seconds: float) -> StepRecord:
        return record._replace(deadline=self._uptime().after(seconds))

    def _order(
        self,
        run: FlowRunRecord,
        step: Step,
        record: StepRecord,
        doer: Doer,
        values: Mapping[str, Any],
        is_implied: bool,
    ) -> Order:
        assert isinstance(step.does, Action), "only these are begun here"
        return Order(
            id=str(token_of(run, record)),
            key=str(step.does.key),
            component=doer.component,
            values=values,
            implied=is_implied,
            seconds=step.timeout or TIMEOUT,
            run=run.id,
            flow=run.flow,
            step=step.name,
            attempt=record.attempt,
            correlation=self._runs.outermost(run),
            asynchronous=step.does.key.decorator == ASYNC,
        )

    def _values(
        self, flow: Flow, run: FlowRunRecord, record: StepRecord, find: Callable[[str], Any]
    ) -> tuple[Mapping[str, Any], bool]:
        """Give the values of a step; and whether they are the message that travels."""
        does = flow.step(record.step).does
        assert isinstance(does, Action), "only these have such values"
        if does.values:
            return plain(filled_in(does.values, find)), False
        message = self._travelling.message(flow, run, record.step)
        if record.item is not None:
            message = {**message, "item": plain(record.value)}
        return message, True

    # --- ending

    def end_of(self, token: Token, end: AttemptEnd) -> End | None:
        """Give the end of an attempt by what its performer says.

        None where the component has returned, and a word from outside is to end the step.
        """
        result = end.result
        does = self._runs.flow_of(self._runs.by_id[token.run]).step(token.step).does
        if result.state == "done" and isinstance(does, Action) and does.key.decorator == ASYNC:
            return None
        state, ending = _ENDINGS[result.state]
        why = result.reason or result.state
        return End(state, result.gave, why, ending, result.traceback, end.counts)

    def overran(self, token: Token, record: StepRecord) -> tuple[StepState | None, str]:
        """Say how an attempt ends whose deadline is over; None where it goes on.

        So it does where its performer counts its time, or is there and has no room. In words for
        people, too.
        """
        step = self._runs.flow_of(self._runs.by_id[token.run]).step(token.step)
        does = step.does
        if isinstance(does, Action) and does.key.decorator == PUBLISH:
            if self._desk.may_be_taken(str(token)):
                self._runs.look_later(token, step.timeout or TIMEOUT)
                return None, ""
            who = f"{record.performer}, which owns {does.key}"
            return "failed", f"no-consumer: {who}, was not there to take it in time"
        within = duration_words(step.timeout or LONGEST_WAIT)
        if isinstance(does, Action) and does.key.decorator == ASYNC:
            return "timed out", f"no word from outside has ended it within {within}"
        return "timed out", f"it took longer than {within}"

    def published(self, run: FlowRunRecord, record: StepRecord, gave: Any) -> Iterator[EventPut]:
        """Give the event of a step that is done, where it has one."""
        flow = self._runs.flow_of(run)
        does = flow.step(record.step).does
        if not isinstance(does, Action) or does.key.decorator != PUBLISH:
            return
        if record.performer == ACTION_HOST:
            payload = gave
        else:
            payload, _ = self._values(flow, run, record, finder(run, record))
        if not isinstance(payload, Mapping):
            payload = {} if payload is None else {"value": payload}
        key = does.key
        topic = topic_of(run.flow, key.decorator, key.sender, key.context, key.action)
        yield EventPut(topic, payload, self._runs.outermost(run), record.attempt)

    def progress(self) -> Iterator[EventPut]:
        """Give the events that say how far actions are."""
        for said in self._desk.doings.take_progress():
            if is_token(said.id) and self._runs.current(token := Token.parse(said.id)) is not None:
                run = self._runs.by_id[token.run]
                topic = topic_of("flows", run.flow, "step", token.step, "progress")
                payload = {
                    "run": run.id,
                    "item": token.item,
                    "text": said.text,
                    "fraction": said.fraction,
                }
                yield EventPut(topic, payload, self._runs.outermost(run), token.attempt)
