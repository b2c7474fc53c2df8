"""What has happened, as events, of the changes of a turn. Knows no clock, socket or number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nowcast_cli.flows.tokens import Token
from nowcast_cli.manager.state import State
from nowcast_cli.messages.event import in_json, quoted, topic_of
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.flow_records import (
    FlowRunPut,
    FlowRunRecord,
    FlowStepDropped,
    FlowStepPut,
    StepRecord,
)
from nowcast_cli.store.records import (
    AgentDropped,
    AgentPut,
    AgentRecord,
    Change,
    ChecklistCleared,
    ChecklistPut,
    EnsemblePut,
    EnsembleRecord,
    HoldDropped,
    HoldPut,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    SchedulePut,
    ScheduleRecord,
)

# Characters of a message: the value that a larger one puts is told by the message's number alone.
LARGEST_VALUE = 4096
_Place = tuple[str, int | None]


@dataclass(slots=True)
class _Run:
    """What is known of a run: by it the events of its steps are made, each once."""

    flow: str
    outermost: str
    told: dict[_Place, tuple[str, int]] = field(default_factory=dict)


class EventMaker:
    """Makes events of the changes of one turn after the other.

    Parameters
    ----------
    run_of
        Gives a run of a flow by its id, for those that began before this manager.
    agents
        The agents that are known.
    """

    def __init__(
        self, run_of: Callable[[str], FlowRunRecord | None], agents: Iterable[AgentRecord]
    ) -> None:
        self._run_of = run_of
        self._runs: dict[str, _Run] = {}
        self._agents = {agent.name: agent for agent in agents}

    def made_of(self, begun: State, changes: Collection[Change]) -> list[EventPut]:
        """Give the events of a turn in the order of its changes; ``begun`` is how it began."""
        made: list[EventPut] = []
        message: MessageRecord | None = None
        last = _LastOfSteps(changes)
        for change in changes:
            match change:  # first what there is most of
                case MessageReceived():
                    message = change.message
                case ChecklistPut():
                    made.append(_of_value(change, message))
                case FlowStepPut(run, step):
                    if step.state != "waiting" or last.is_last(change):
                        event = self._of_step(run, step)
                        if event is not None:
                            made.append(event)
                case EventPut():
                    made.append(change)
                case FlowRunPut(run_record):
                    made.append(self._of_run(run_record))
                case FlowStepDropped(run, step_name, item):
                    self._known(run).told.pop((step_name, item), None)
                case ChecklistCleared():
                    made += _of_cleared(begun, message)
                case JobPut(job):
                    made += self._of_job(begun.jobs.get(job.id), job)
                case EnsemblePut(ensemble):
                    made += _of_ensemble(begun.ensembles.get(ensemble.id), ensemble)
                case SchedulePut(record):
                    made += _of_item(begun.schedule.get(record.item), record)
                case HoldPut(hold):
                    made.append(_of_hold(hold.worker, "launches-held"))
                case HoldDropped(worker):
                    made.append(_of_hold(worker, "launches-released"))
                case AgentPut(agent):
                    made += _of_agent(self._agents.get(agent.name), agent)
                    self._agents[agent.name] = agent
                case AgentDropped(name):
                    made.append(_agent(name, "forgotten", {}))
                    self._agents.pop(name, None)
        return made

    # --- flows

    def _known(self, run_id: str) -> _Run:
        known = self._runs.get(run_id)
        if known is None:
            record = self._run_of(run_id)
            known = _Run("", run_id) if record is None else self._take_up(record)
        return known

    def _take_up(self, record: FlowRunRecord) -> _Run:
        parent = None if record.parent is None else self._known(Token.parse(record.parent).run)
        known = _Run(record.flow, record.id if parent is None else parent.outermost)
        known.told = {place: (step.state, step.attempt) for place, step in record.steps.items()}
        if record.state == "running":  # of one that has ended nothing tells a second time
            self._runs[record.id] = known
        return known

    def _of_run(self, run: FlowRunRecord) -> EventPut:
        known = self._runs.get(run.id) or self._take_up(run)
        if run.state != "running":
            self._runs.pop(run.id, None)
        payload = {"run": run.id, "flow": run.flow, "state": run.state, "origin": run.origin}
        if run.reason is not None:
            payload["reason"] = run.reason
        if run.parent is not None:
            payload["parent"] = run.parent
        topic = topic_of("flows", run.flow, "run", _in_topic(run.state))
        return EventPut(topic, payload, known.outermost)

    def _of_step(self, run_id: str, step: StepRecord) -> EventPut | None:
        known = self._runs.get(run_id) or self._known(run_id)
        place, now = (step.step, step.item), (step.state, step.attempt)
        if known.told.get(place) == now:
            return None
        known.told[place] = now
        topic = _topic_of_step(known.flow, step.step, step.state)
        return EventPut(topic, _said_of_step(run_id, step), known.outermost, step.attempt)

    # --- jobs

    def _of_job(self, before: JobRecord | None, job: JobRecord) -> Iterator[EventPut]:
        if before is not None and before.state == job.state:
            return
        payload: dict[str, Any] = {
            "job": job.id,
            "worker": job.worker,
            "state": job.state,
            "executor": job.executor,
            "host": job.host,
        }
        member = None if job.member is None else job.member.label
        for name, value in (
            ("reason", job.reason),
            ("step", job.flow_step),
            ("ensemble", job.ensemble),
            ("member", member),
        ):
            if value is not None:
                payload[name] = value
        correlation = job.chain if job.flow_step is None else self._known(job.chain).outermost
        yield EventPut(
            topic_of("jobs", job.worker, _in_topic(job.state)), payload, correlation, job.attempt
        )


class _LastOfSteps:
    """The last change of each step in a turn: one that waits for nothing is told as it begins."""

    def __init__(self, changes: Collection[Change]) -> None:
        self._changes = changes
        self._last: dict[tuple[str, str, int | None], FlowStepPut] | None = None

    def is_last(self, change: FlowStepPut) -> bool:
        """Say whether the step does not change again in this turn."""
        if self._last is None:
            self._last = {
                (each.run, each.step.step, each.step.item): each
                for each in self._changes
                if isinstance(each, FlowStepPut)
            }
        return self._last[(change.run, change.step.step, change.step.item)] is change


@lru_cache(maxsize=4096)
def _topic_of_step(flow: str, step: str, state: str) -> str:
    return topic_of("flows", flow, "step", step, _in_topic(state))


def _said_of_step(run_id: str, step: StepRecord) -> str:
    """Give the payload in JSON, written by hand: there is one of it for each move of a step."""
    said = f'{{"run":"{run_id}","step":{quoted(step.step)},"state":"{step.state}"'
    if step.item is not None:
        said += f',"item":{step.item}'
    if step.job is not None:
        said += f',"job":"{step.job}"'
    if step.reason is not None:
        said += f',"reason":{in_json(step.reason)}'
    return said + "}"


def _of_ensemble(before: EnsembleRecord | None, ensemble: EnsembleRecord) -> Iterator[EventPut]:
    if before is not None and before.state == ensemble.state:
        return
    payload: dict[str, Any] = {
        "ensemble": ensemble.id,
        "worker": ensemble.worker,
        "state": ensemble.state,
        "size": ensemble.size,
        "succeeded": ensemble.succeeded,
        "failed": ensemble.failed,
        "crashed": ensemble.crashed,
        "cancelled": ensemble.cancelled,
    }
    topic = topic_of("jobs", ensemble.worker, "ensemble", ensemble.state)
    yield EventPut(topic, payload, ensemble.chain)


def _of_hold(worker: str | None, what: str) -> EventPut:
    return EventPut(topic_of("jobs", worker or "", what), {"worker": worker})


# --- the checklist


def _of_value(put: ChecklistPut, message: MessageRecord | None) -> EventPut:
    payload: dict[str, Any] = {"key": put.key}
    if message is not None:
        payload["message"] = message.number
    if put.subkeys is not None:
        payload["subkeys"] = list(put.subkeys)
    value = put.value
    if put.subkeys is not None:
        value = {subkey: value[subkey] for subkey in put.subkeys}
    if _is_large(message, value):
        payload["large"] = True
    else:
        payload["value"] = value
    correlation = None if message is None else message.chain
    return EventPut(topic_of("checklist", put.key), payload, correlation)


def _is_large(message: MessageRecord | None, value: Any) -> bool:
    """Say whether what a message holds may be much; a few aliases can stand for a great deal."""
    if message is None or message.body is None:  # one that the manager derived
        return len(in_json(value)) > LARGEST_VALUE
    if len(message.body) > LARGEST_VALUE:
        return True
    return "*" in message.body and not message.body.startswith('{"')


def _of_cleared(begun: State, message: MessageRecord | None) -> Iterator[EventPut]:
    about = {} if message is None else {"message": message.number}
    for key in begun.checklist:
        yield EventPut(topic_of("checklist", key), {"key": key, **about, "gone": True})


# --- schedule and agents


def _of_item(before: ScheduleRecord | None, item: ScheduleRecord) -> Iterator[EventPut]:
    def event(what: str, more: Mapping[str, Any]) -> EventPut:
        return EventPut(topic_of("schedule", item.item, what), {"item": item.item, **more})

    if (before is not None and before.paused is not None) != (item.paused is not None):
        yield event("resumed" if item.paused is None else "paused", {})
    elif item.nominal is not None and (before is None or before.nominal != item.nominal):
        yield event("launched", {"nominal": item.nominal, "job": item.job})
    elif before is not None and item.cursor > before.cursor:
        yield event("passed-over", {"upto": item.cursor})


def _of_agent(before: AgentRecord | None, agent: AgentRecord) -> Iterator[EventPut]:
    if agent.described is not None and (before is None or before.described != agent.described):
        yield _agent(agent.name, "registered", {"described": dict(agent.described)})
    if before is None or before.standing != agent.standing:
        yield _agent(agent.name, agent.standing, {})


def _agent(name: str, what: str, more: Mapping[str, Any]) -> EventPut:
    return EventPut(topic_of("agents", name, what), {"agent": name, **more}, status=True)


def _in_topic(state: str) -> str:
    return state.replace(" ", "-")
