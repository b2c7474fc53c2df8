"""What a manager works with, wired together; whoever adds a desk puts it here."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.config.agents import agent_times
from nowcast_cli.config.limits import limits
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.config.settings import endpoints, next_workers_deadline
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.executors.kinds import MAKERS
from nowcast_cli.executors.local import LocalExecutor
from nowcast_cli.executors.remote_executor import Surroundings
from nowcast_cli.manager.admission import Admission
from nowcast_cli.manager.agent_desk import AgentDesk
from nowcast_cli.manager.agent_requests import AgentRequests
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.checklist_picture import ChecklistPicture
from nowcast_cli.manager.committing import Committing
from nowcast_cli.manager.daemon_watch import REMEMBERED, STREAM, DaemonWatch, own_end
from nowcast_cli.manager.decider_process import DeciderProcess
from nowcast_cli.manager.deciders import Deciders
from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.events import Events
from nowcast_cli.manager.flows import Flows
from nowcast_cli.manager.housekeeping import Housekeeping
from nowcast_cli.manager.inbox import Inbox
from nowcast_cli.manager.intake import Intake, Order
from nowcast_cli.manager.job_watch import JobWatch
from nowcast_cli.manager.left_registrations import LeftRegistrations
from nowcast_cli.manager.notifier_process import NotifierProcess
from nowcast_cli.manager.products import Products
from nowcast_cli.manager.recovery import recover
from nowcast_cli.manager.reload import find_module_file
from nowcast_cli.manager.remote_jobs import RemoteJobs
from nowcast_cli.manager.slowness import Slowness
from nowcast_cli.manager.undecided import Undecided
from nowcast_cli.messages.agent_messages import TYPE as AGENT
from nowcast_cli.security.source import key_source, security_of
from nowcast_cli.store.database import Store
from nowcast_cli.store.leader import Deposed

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config
    from nowcast_cli.manager.standby import TakeOver


class Parts:
    """The desks, the store and the sockets of a manager.

    Parameters
    ----------
    context
        The daemon and its system.
    zmq_context
        For the sockets.
    taken_over
        What a standby brings along that leads now.
    orders
        Who carries out the requests that the manager itself answers, by their kinds.
    """

    def __init__(
        self,
        context: DaemonContext,
        zmq_context: zmq.Context[Any],
        taken_over: TakeOver | None,
        orders: Mapping[str, Order],
    ) -> None:
        self._context = context
        self._warm_decider = None if taken_over is None else taken_over.decider
        self.config = context.config
        self.registry = registry_of(context.config)
        paths, registry, logger = context.paths, self.registry, context.logger
        self.store = Store(paths.database)
        parsed = None if taken_over is None else taken_over.parsed
        self.recovered = recover(self.store, paths.checklist_file, logger, parsed)
        self.committing = Committing(self.store, logger)
        self.undecided = Undecided(self.store.undecided_messages())
        self.checklist = ChecklistPicture(self.store, paths.checklist_file, logger)
        self.housekeeping = Housekeeping(
            paths.database,
            lambda rows: self.store.commit([rows]),
            self.store.give_back,
            time.monotonic,
        )
        self.endpoints = endpoints(self.config)
        self.inbox = Inbox(
            zmq_context,
            self.endpoints.host,
            self.endpoints.manager,
            key_source(self.config, "manager"),
        )
        keys = paths.keys if security_of(self.config) == "curve" else None
        times = agent_times(self.config)
        self.agents = AgentDesk(self.store, registry, times, paths, keys, self.inbox.answer)
        tell = partial(self.inbox.tell, "performer")
        self.flows = Flows(self.store, self.config, registry, tell, self.inbox.answer)
        self.products = Products(self.store.products, self.config)
        register = self.products.orders["register product"]
        self.left_registrations = LeftRegistrations(paths.state, register, time.monotonic)
        orders = {
            **orders, **AgentRequests(self.agents.floor).orders(), **self.flows.orders,
            **self.products.orders,
        }  # fmt: skip
        self.intake = Intake(self.store, registry, orders, logger)
        self.intake.limits = limits(self.config)
        told = self.store.events.latest((f"{STREAM}~",), REMEMBERED)
        self.daemons = DaemonWatch(paths.run, told)
        self.notifier = NotifierProcess(context.config_file, time.monotonic, logger)
        self.events = Events(
            self.store.events,
            EventMaker(self.store.flow_run, self.store.agents()),
            partial(self.inbox.tell, "publish"),
            lambda: [*self.daemons.happened(), *self.notifier.happened()],
        )
        self.intake.questions = {**self.events.questions, **self.flows.questions}
        waits = self.flows.waits
        self.intake.answered_later = {AGENT: self.agents.hear, "await run": waits.hear}
        self.intake.is_waiting = lambda arrived: (
            self.agents.is_waiting(arrived) or waits.is_waiting(arrived)
        )
        python = str(self.config["python"])
        executor = LocalExecutor(paths, python, paths.config_file)
        around = Surroundings(paths, python, keys)
        makers = {**MAKERS, "agents": self.agents.executor}
        remote = RemoteJobs(registry.executors, self._hosts(), makers, around)
        self.admission = Admission(registry, uptime)
        self.slowness = Slowness(self.store.run_times)
        self.jobs = JobWatch(
            executor, remote, paths, registry, time.monotonic, self.slowness.history_of
        )
        self.deciders = Deciders(
            self._begun_decider,
            module_file=find_module_file(registry.next_workers_module, paths.deployment),
            deadline=lambda: next_workers_deadline(self.config),
            monotonic=time.monotonic,
        )

    def _begun_decider(self) -> DeciderProcess:
        """Give a decider that has the checklist as it is now; the first may be warm already."""
        decider, self._warm_decider = self._warm_decider, None
        if decider is not None and not decider.lives():
            decider.end()
            decider = None
        if decider is None:
            decider = DeciderProcess(self._context.config_file)
        decider.begin(self.store.text.document())
        return decider

    def _hosts(self) -> dict[str, RemoteHost]:
        return remote_hosts(self.config, str(self._context.paths.config_file))

    def poller(self) -> zmq.Poller:
        """Give what waits until any of the parts is to be looked at."""
        poller = zmq.Poller()
        for readable in (
            self.inbox.socket, self.inbox.monitor, self._context.signals.fileno(),
            self._context.health.fileno(), self.deciders.fileno(), *self.jobs.filenos(),
            self.agents.fileno(), self.daemons.fileno(), self.notifier.fileno(),
        ):  # fmt: skip
            poller.register(readable, zmq.POLLIN)
        return poller

    def due_in(self) -> float | None:
        """Give the seconds until one of the parts is to be looked at unasked, None for never."""
        limits = (
            self.checklist.due_in(),
            self.housekeeping.due_in(),
            self.deciders.wait_at_most(),
            self.jobs.wait_at_most(),
            self.admission.due_in(),
            self.flows.due_in(),
            self.products.due_in(),
            self.left_registrations.due_in(),
            1.0 if self.undecided.stuck() else None,
            self.inbox.wait_at_most(),
            self.agents.wait_at_most(),
            self.daemons.due_in(),
        )
        return min((limit for limit in limits if limit is not None), default=None)

    def farewell(self) -> None:
        """Have whoever listens know that this manager ends in order."""
        with contextlib.suppress(Deposed, sqlite3.Error):
            batches = self.events.numbered([own_end()])
            self.store.commit(batches)
            self.events.tell(batches)
        self.daemons.close()

    def use(self, config: Config) -> None:
        """Go on with a configuration that was reloaded."""
        self.config = config
        self.registry = registry_of(config)
        self.intake.use(self.registry)
        self.intake.limits = limits(config)
        self.admission.use(self.registry)
        self.flows.use(config, self.registry)
        self.products.use(config)
        self.agents.use(self.registry, agent_times(config))
        self.deciders.reload()
        self.jobs.use(self._hosts(), self.registry)
        self.notifier.reload()
