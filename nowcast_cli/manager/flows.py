"""Flows as the manager has them: those that are declared, and the runs that go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any

from nowcast_cli.config.action_workers import wants_action_workers
from nowcast_cli.config.config import Config
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.limits import limits
from nowcast_cli.config.registry import Registry
from nowcast_cli.config.services import services_of
from nowcast_cli.config.workers import find_worker_module
from nowcast_cli.config.zones import local_zone
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.flows import service_management
from nowcast_cli.flows.action_mapping import ActionMapping
from nowcast_cli.flows.checks import is_entry
from nowcast_cli.flows.definition import Action, Flow
from nowcast_cli.flows.loading import ACTIONS_FILE, declared, has_flows
from nowcast_cli.flows.owners import Owners
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager import flow_requests, scheduling
from nowcast_cli.manager.action_desk import ActionDesk, Tell
from nowcast_cli.manager.action_directory import Directory
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.flow_actions import GOES_ON_WITHOUT_PERFORMER
from nowcast_cli.manager.flow_moves import token_of
from nowcast_cli.manager.flow_outside import Outside
from nowcast_cli.manager.flow_runs import FlowRuns
from nowcast_cli.manager.inbox import Arrived, Aside
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.run_waits import RunWaits
from nowcast_cli.manager.state import Reply, Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import FlowRunRecord
from nowcast_cli.store.records import Change

_MOST_TOLD = 1000  # orders, in one answer

_logger = logging.getLogger("manager")


class Flows:
    """The flows of one system."""

    def __init__(
        self,
        store: Store,
        config: Config,
        registry: Registry,
        tell: Tell,
        answer: Callable[[Arrived, bytes], None],
    ) -> None:
        self._store = store
        self._tell = tell
        self._directory = Directory(time.monotonic)
        self._desk = ActionDesk(self._directory, now, time.monotonic)
        self.waits = RunWaits(lambda run: self._runs.open.get(run) or self._run_of(run), answer)
        self._config = config
        self._declared: Mapping[str, Flow] = {}
        self._modules: dict[str, str] = {}  # by worker: a step may be run for thousands of items
        self._declare()
        outside = Outside(
            now=now,
            today=_today,
            uptime=uptime,
            new_id=new_id,
            module_of=self._module_of,
            flow_named=self._named,
            flows=lambda: self._declared.values(),
        )
        self._runs = FlowRuns(store, registry, outside, self._desk)

    @property
    def orders(self) -> Mapping[str, Callable[[Turn, Any], Step]]:
        """Give what carries out the requests about flows, by their kind."""
        runs = self._runs
        return {
            "run flow": self._run,
            "call action": lambda turn, payload: flow_requests.call(
                turn.state, runs, payload, self._directory
            ),
            "cancel flow": lambda turn, payload: flow_requests.cancel(
                turn.state, runs, payload, self._run_of
            ),
            "resume flow": lambda turn, payload: flow_requests.again(
                turn.state, runs, payload, self._run_of
            ),
            "complete step": lambda turn, payload: flow_requests.complete(
                turn.state, runs, payload, self._run_of
            ),
        }

    def _run(self, turn: Turn, payload: Any) -> Step:
        def begin() -> Step:
            return flow_requests.run(turn.state, self._runs, payload, self._wanted, self._directory)

        is_scheduled = isinstance(payload, dict) and "schedule" in payload
        return scheduling.run_flow(turn.state, payload, now(), begin) if is_scheduled else begin()

    def use(self, config: Config, registry: Registry) -> None:
        """Go on with a configuration that was reloaded; open runs follow what they began with."""
        self._config = config
        self._modules.clear()
        self._declare()
        self._runs.use(registry)

    @property
    def questions(self) -> Mapping[str, Callable[[Turn, Any], Reply]]:
        """Give what answers the requests that change nothing, by their kind."""
        return {"actions": lambda _, payload: self._told(payload)}

    def hear(self, aside: Aside) -> None:
        """Take in what a performer of actions says, or that one is gone."""
        if aside.kind != "broker":
            self._desk.hear(aside)

    def follow(self, turn: Turn) -> None:
        """Take in what a turn, performers, and the clock, have done to the steps of runs."""
        self._runs.follow(turn)

    def act(self, changes: Iterable[Change]) -> None:
        """Tell performers, and who waits for the end of a run, what the commit allows."""
        self._desk.act(self._tell)
        self.waits.act(changes)

    def due_in(self) -> float | None:
        """Give the seconds until the clock says that something is to be done, None for never."""
        due = (self._runs.due_in(), self.waits.due_in())
        return min((each for each in due if each is not None), default=None)

    def status(self) -> dict[str, dict[str, Any]]:
        """Give the performers of actions by name, for a health answer."""
        return self._desk.performers()

    def _told(self, payload: Any) -> Reply:
        """Answer ``{run?}``: the performers, and where the orders of the open steps are."""
        named = payload.get("run") if isinstance(payload, dict) else None
        runs = self._runs.open.values() if named is None else [self._runs.open.get(str(named))]
        tokens = (
            str(token_of(run, record))
            for run in runs
            if run is not None
            for record in run.steps.values()
            if record.state == "running" and record.performer is not None
        )
        orders = self._desk.told(islice(tokens, _MOST_TOLD))
        return Reply("ack", {"performers": self._desk.performers(), "orders": dict(orders)})

    def _declare(self) -> None:
        self._desk.limits = limits(self._config)
        has_actions = (self._config.file.parent / ACTIONS_FILE).exists()
        if not (has_flows(self._config) or has_actions):
            self._declared = {}
            self._directory.use(ActionMapping({}), Owners(), ())
            return
        found = declared(self._config)
        self._declared = found.usable
        self._directory.use(
            found.actions,
            found.owners,
            services_of(self._config).keys(),
            wants_action_workers(self._config),
        )
        for trouble in found.problems:
            if trouble.severity == "error":
                _logger.error("%s", trouble.text)

    def _module_of(self, worker: str) -> str:
        """Give the module of a worker. Raises NowcastError."""
        if worker not in self._modules:
            self._modules[worker] = find_worker_module(self._config, worker)
        return self._modules[worker]

    def _named(self, name: str) -> Flow:
        """Give the flow of that name. Raises NowcastError."""
        if name not in self._declared:
            if name == service_management.FLOW:
                what = "there is no service that could be asked for its topics"
                raise NotFound(what, hint="nowcast.yaml declares services below services:")
            raise NotFound(
                f"there is no flow {name!r} that can be used{did_you_mean(name, self._declared)}",
                hint="nowcast flow validate; nowcast reload takes in what has changed",
            )
        self._refuse_what_nobody_does(self._declared[name])
        return self._declared[name]

    def _wanted(self, name: str) -> Flow:
        try:
            return self._named(name)
        except NowcastError as error:
            raise RequestError(error.what, error.hint) from None

    def _refuse_what_nobody_does(self, flow: Flow) -> None:
        if self._directory.patient_for:
            return  # a service that has not said hello may own it
        for step in flow.steps:
            does = step.does
            if not isinstance(does, Action) or is_entry(flow, step):
                continue
            goes_on_without = does.key.decorator in GOES_ON_WITHOUT_PERFORMER
            if not goes_on_without and self._directory.find(does.key, does.values) is None:
                raise NowcastError(
                    f"step {step.name} of flow {flow.name}: {self._directory.nobody(does.key)}",
                    hint="map it in actions.ini, or start the service that owns it",
                )

    def _run_of(self, run_id: str) -> FlowRunRecord | None:
        return self._store.flow_run(run_id)


def _today() -> date:
    return datetime.now(local_zone()).date()
