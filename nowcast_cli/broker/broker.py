"""The broker's loop: one poll over its devices, its signals and its health socket."""

from __future__ import annotations

import resource
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from nowcast_cli.broker.bus import open_bus
from nowcast_cli.broker.connections import Connections, follow
from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import WaitFor
from nowcast_cli.broker.ports import address_of, bind, host_and_port
from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.broker.refusals import HANG_UP_AT
from nowcast_cli.broker.request_queue import RequestQueue
from nowcast_cli.broker.side_talk import SideTalk
from nowcast_cli.config.limits import limits
from nowcast_cli.security.curve import bind_again
from nowcast_cli.security.source import security_of

if TYPE_CHECKING:
    from nowcast_cli.broker.guard import Guard
    from nowcast_cli.daemon.main import DaemonContext
    from nowcast_cli.security.curve import Door

# How long the last answers may take to leave for their clients when the broker ends.
_LAST_ANSWERS_MS = 100


class Device(Protocol):
    """A part of the broker with sockets of its own; all of them share the one loop."""

    def waits_for(self) -> WaitFor:
        """Return sockets and the events to wait for; asked before every turn."""

    def due_in(self) -> float | None:
        """Return the seconds until there is work without any event; None for never."""

    def work(self, ready: WaitFor) -> None:
        """Do a turn's work on what is ready, without ever blocking."""

    def status(self) -> dict[str, Any]:
        """Return what a health answer says of this device."""

    def close(self) -> None:
        """Close the sockets."""


def run_broker(context: DaemonContext) -> int:
    """Bind the ports and pass messages on until SIGTERM or SIGINT. Returns the exit code 0."""
    _allow_many_connections()
    zmq_context = zmq.Context()
    try:
        devices = open_devices(zmq_context, context)
        try:
            serve(devices, context)
        finally:
            for device in devices:
                device.close()
    finally:
        zmq_context.destroy(linger=0)
    return 0


def open_devices(zmq_context: zmq.Context[Any], context: DaemonContext) -> list[Device]:
    """Bind all ports and sockets; return the devices between them, and their guard."""
    faults = FaultLog(context.logger)
    guard = _guard(zmq_context, context, faults)
    allowed = limits(context.config)
    clients = zmq_context.socket(zmq.ROUTER)
    clients.linger = _LAST_ANSWERS_MS
    clients.maxmsgsize = HANG_UP_AT * allowed.message_size
    _open(clients, "workers", "clients", guard, context)
    manager = zmq_context.socket(zmq.DEALER)
    manager.linger = 0
    side_talk, quiet = SideTalk(), QuietSockets()
    _open(manager, "manager", "manager", guard, context, side_talk.managers)
    if guard is None:
        follow(manager, side_talk.managers, quiet)
    else:
        side_talk.managers.begin_anew(lambda: guard.doorkeeper.hear(queue.manager))
    judge = None if guard is None else guard.refusal
    queue = RequestQueue(clients, manager, faults, allowed, judge, side_talk)
    doorkeeper = None if guard is None else guard.doorkeeper
    bus = open_bus(zmq_context, context, side_talk, quiet, faults, doorkeeper)
    if guard is None:
        return [queue, bus]
    guard.on_new_manager_key = lambda: _replace_manager_socket(
        queue, guard, context, side_talk.managers
    )
    return [guard, queue, bus]


def _guard(zmq_context: zmq.Context[Any], context: DaemonContext, faults: FaultLog) -> Guard | None:
    if security_of(context.config) != "curve":
        return None
    from nowcast_cli.broker.guard import Guard
    from nowcast_cli.security.doorkeeper import Doorkeeper

    keys = FaultLog(context.logger)
    doorkeeper = Doorkeeper(zmq_context, context.paths.keys, keys.report, faults.report)
    return Guard(doorkeeper, context.config, faults)


def _open(
    endpoint: zmq.Socket[bytes],
    key: str,
    door: Door,
    guard: Guard | None,
    context: DaemonContext,
    connections: Connections | None = None,
) -> None:
    """Bind a socket to its port, guarded where the system has keys."""
    host, port = host_and_port(context.config, key)
    if guard is not None:
        guard.doorkeeper.demand(endpoint, door)
    address, security = address_of(host), security_of(context.config)
    bind(endpoint, address, port, f"zmq.ports.{key}", security, context.logger)
    if guard is not None:
        happened = None if connections is None else connections.happened
        guard.doorkeeper.watch(endpoint, f"tcp://{address}:{port}", door, happened)
    who = "worker" if key == "workers" else key
    context.logger.info("%s socket bound to port %d", who, port)


def _replace_manager_socket(
    queue: RequestQueue, guard: Guard, context: DaemonContext, managers: Connections
) -> None:
    """Open the manager's port anew: a connection by a key that was replaced ends with the old."""
    old = queue.manager
    guard.doorkeeper.let_go(old)
    fresh = old.context.socket(zmq.DEALER)
    fresh.linger = 0
    host, port = host_and_port(context.config, "manager")
    address = f"tcp://{address_of(host)}:{port}"
    old.close(0)
    guard.doorkeeper.demand(fresh, "manager")
    bind_again(fresh, address)
    managers.begin_anew(managers.listen)
    guard.doorkeeper.watch(fresh, address, "manager", managers.happened)
    queue.use_manager(fresh)
    context.logger.info("the manager's key was replaced: its port is opened anew")


def serve(devices: Sequence[Device], context: DaemonContext) -> None:
    """Turn after turn: wait, let each device work, answer who asks for health; until a signal."""
    own: WaitFor = [
        (context.signals.fileno(), int(zmq.POLLIN)),
        (context.health.fileno(), int(zmq.POLLIN)),
    ]
    descriptors = {descriptor for descriptor, _ in own}
    while True:
        wanted = own.copy()
        for device in devices:
            wanted += device.waits_for()
        ready = zmq.zmq_poll(wanted, _milliseconds(devices))
        for device in devices:
            device.work(ready)
        if ready and ready[0][0] in descriptors:  # they come first
            if _told_to_end(context):
                return
            context.health.answer(context.status(**_status(devices)))


def _milliseconds(devices: Sequence[Device]) -> int:
    """Give how long to wait at most; -1 for as long as nothing comes."""
    due = [seconds for device in devices if (seconds := device.due_in()) is not None]
    return int(min(due) * 1000) + 1 if due else -1


def _allow_many_connections() -> None:
    """Raise the limit on open files: past it a manager could not connect to waiting workers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _told_to_end(context: DaemonContext) -> bool:
    arrived = context.signals.read()
    if signal.SIGHUP in arrived:
        context.logger.info("SIGHUP: the message broker has nothing to reload")
    return signal.SIGTERM in arrived or signal.SIGINT in arrived


def _status(devices: Sequence[Device]) -> dict[str, Any]:
    status: dict[str, Any] = {}
    for device in devices:
        status |= device.status()
    return status
