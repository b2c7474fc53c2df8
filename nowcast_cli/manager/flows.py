"""Flows as the manager has them: those that are declared, and the runs that go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.registry import Registry
from nowcast_cli.config.workers import find_worker_module
from nowcast_cli.config.zones import local_zone
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.flows.definition import Action, Flow
from nowcast_cli.flows.loading import declared, has_flows
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager import flow_requests, scheduling
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.flow_runs import FlowRuns, Outside
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.flow_records import FlowRunRecord

_logger = logging.getLogger("manager")


class Flows:
    """The flows of one system."""

    def __init__(self, store: Store, config: Config, registry: Registry) -> None:
        self._store = store
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
        self._runs = FlowRuns(store, registry, outside)

    @property
    def orders(self) -> Mapping[str, Callable[[Turn, Any], Step]]:
        """Give what carries out the requests about flows, by their kind."""
        runs = self._runs
        return {
            "run flow": self._run,
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
            return flow_requests.run(turn.state, self._runs, payload, self._wanted)

        is_scheduled = isinstance(payload, dict) and "schedule" in payload
        return scheduling.run_flow(turn.state, payload, now(), begin) if is_scheduled else begin()

    def use(self, config: Config, registry: Registry) -> None:
        """Go on with a configuration that was reloaded; open runs follow what they began with."""
        self._config = config
        self._modules.clear()
        self._declare()
        self._runs.use(registry)

    def follow(self, turn: Turn) -> None:
        """Take in what a turn, and the clock, have done to the steps of runs."""
        self._runs.follow(turn)

    def due_in(self) -> float | None:
        """Give the seconds until the clock says that something is to be done, None for never."""
        return self._runs.due_in()

    def _declare(self) -> None:
        if not has_flows(self._config):
            self._declared = {}
            return
        found = declared(self._config)
        self._declared = found.usable
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
            raise NotFound(
                f"there is no flow {name!r} that can be used{did_you_mean(name, self._declared)}",
                hint="nowcast flow validate; nowcast reload takes in what has changed",
            )
        _refuse_what_nobody_does(self._declared[name])
        return self._declared[name]

    def _wanted(self, name: str) -> Flow:
        try:
            return self._named(name)
        except NowcastError as error:
            raise RequestError(error.what, error.hint) from None

    def _run_of(self, run_id: str) -> FlowRunRecord | None:
        return self._store.flow_run(run_id)


def _refuse_what_nobody_does(flow: Flow) -> None:
    for step in flow.steps:
        if isinstance(step.does, Action) and step.does.key.decorator != "ASYNC":
            raise NowcastError(
                f"step {step.name} of flow {flow.name} asks {step.does.key}, and there are no "
                "action workers that would do it",
                hint="an action decorated with @ASYNC is ended from outside: nowcast flow complete",
            )


def _today() -> date:
    return datetime.now(local_zone()).date()
