"""A store, the runs of flows on it, and a clock that the test sets: what their tests share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from nowcast_cli.config.registry import registry_of
from nowcast_cli.errors import NotFound
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.action_mapping import ActionMapping, Component
from nowcast_cli.flows.definition import (
    Action,
    Flow,
    Step,
    Work,
)
from nowcast_cli.flows.owners import Owners
from nowcast_cli.flows.tokens import Token
from nowcast_cli.manager.action_desk import ActionDesk
from nowcast_cli.manager.action_directory import Directory
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.flow_outside import Outside
from nowcast_cli.manager.flow_runs import FlowRuns
from nowcast_cli.manager.state import State
from nowcast_cli.manager.state import Step as Transition
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import (
    FlowRunRecord,
    FlowStepPut,
)
from nowcast_cli.store.records import (
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
)

ANY = frozenset({"crash", "failure", "lost"})


@dataclass
class World:
    """A store, the runs on it, and a clock that the test sets."""

    folder: Path
    flows: dict[str, Flow] = field(default_factory=dict)
    mapped: dict[str, str] = field(default_factory=dict)
    owned: dict[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    seconds: float = 1000.0
    state: State = field(default_factory=State)
    ended: dict[str, FlowRunRecord] = field(default_factory=dict)
    begun: list[tuple[str, str, int | None, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = count(1)
        self.store = Store(self.folder / "nowcast.db")
        self.runs = self._runs()

    def _runs(self) -> FlowRuns:
        outside = Outside(
            now=lambda: f"2026-11-22T00:00:{self.seconds:09.3f}Z",
            today=lambda: date(2026, 11, 22),
            uptime=lambda: Uptime("boot", self.seconds),
            new_id=lambda: f"id-{next(self._ids):06}",
            module_of=self._module_of,
            flow_named=self._named,
            flows=self.flows.values,
        )
        self.desk = ActionDesk(self._directory(), outside.now, lambda: self.seconds)
        return FlowRuns(self.store, registry_of({}), outside, self.desk)

    def _directory(self) -> Directory:
        directory = Directory(lambda: self.seconds)
        mapped = {ActionKey.parse(key): Component(name) for key, name in self.mapped.items()}
        owned = {ActionKey.parse(key): name for key, name in self.owned.items()}
        directory.use(ActionMapping(mapped), Owners(owned), self.services)
        return directory

    def _module_of(self, worker: str) -> str:
        if worker == "nowhere":
            raise NotFound("there is no worker nowhere")
        return f"workers.{worker}"

    def _named(self, name: str) -> Flow:
        if name not in self.flows:
            raise NotFound(f"there is no flow {name!r}")
        return self.flows[name]

    def restart(self) -> None:
        """Go on as a manager that was killed would: from the store alone."""
        self.store.close()
        self.store = Store(self.folder / "nowcast.db")
        jobs = {job.id: job for job in self.store.open_jobs()}
        self.state = State(jobs=jobs, last_message=self.store.last_number())
        before = self.runs.open
        self.runs = self._runs()
        assert self.runs.open == before

    def take(self, step: Transition) -> None:
        self.store.commit(step.changes)
        self.state = step.state
        for change in step.changes:
            if isinstance(change, FlowStepPut) and change.step.state == "running":
                record = change.step
                self.begun.append((change.run, record.step, record.item, record.attempt))

    def run(self, flow: Flow, **given_values: Any) -> str:
        step, run = self.runs.begin(self.state, flow, given_values, "a test")
        self.take(step)
        return run.id

    def record(self, run_id: str) -> FlowRunRecord:
        found = self.runs.open.get(run_id) or self.store.flow_run(run_id)
        assert found is not None
        return found

    def states(self, run_id: str) -> dict[str, str]:
        return {
            record.step + ("" if record.item is None else str(record.item)): record.state
            for record in self.record(run_id).steps.values()
        }

    def running(self) -> list[Token]:
        return [
            Token(run.id, record.step, record.item, record.attempt)
            for run in self.runs.open.values()
            for record in run.steps.values()
            if record.state == "running"
        ]

    def end(self, token: Token, state: str = "done", gave: Any = None) -> None:
        """Say how an attempt ended: by its job where it is one, from outside else."""
        record = self.record(token.run).steps[(token.step, token.item)]
        job = self.state.jobs.get(record.job or "")
        if job is None:
            word: Any = "done" if state == "done" else "failed"
            self.take(self.runs.complete(self.state, token, word, gave, "said so"))
            return
        turn = Turn(self.state)
        end_job(turn, job, state, gave)
        self.runs.follow(turn)
        self.take(Transition(turn.state, tuple(turn.changes)))

    def tick(self, seconds: float) -> None:
        self.seconds += seconds
        turn = Turn(self.state)
        self.runs.follow(turn)
        self.take(Transition(turn.state, tuple(turn.changes)))


def end_job(turn: Turn, job: JobRecord, state: str, gave: Any) -> None:
    number = turn.state.last_message + 1
    body = f"source: w\ntype: success\npayload: {gave!r}\n" if gave is not None else None
    message = MessageRecord(
        number, f"m{number}", "2026", job.worker, "success", body, job.id, job.chain, "success",
        "decided",
    )  # fmt: skip
    words: Any = {"done": "succeeded", "failed": "failed"}.get(state, state)
    ended = replace(job, state=words, exit={}, final_message=number, reason="because")
    rest = {key: each for key, each in turn.state.jobs.items() if key != job.id}
    turn.add(
        Transition(
            replace(turn.state, jobs=rest, last_message=number),
            (MessageReceived(message), JobPut(ended)),
            journalled=message,
        )
    )


def work(name: str, *after: str, **more: Any) -> Step:
    return Step(name, Work("w", more.pop("arguments", ())), after, **more)


def action(key: str, name: str, *after: str, **more: Any) -> Step:
    return Step(name, Action(ActionKey.parse(key), more.pop("values", {})), after, **more)


def asked(name: str, *after: str, **more: Any) -> Step:
    return Step(name, Action(ActionKey.parse(f"?A@ASYNC?{name}")), after, **more)
