"""Opening what performers and subscribers connect to: sockets of this host, and a port for events.

Who may connect on this host is who may enter the run folder; so there are no keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.broker.events_door import EventsDoor, new_publisher
from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import WaitFor
from nowcast_cli.broker.integration_manager import IntegrationManager
from nowcast_cli.broker.log_records import LogRecords
from nowcast_cli.broker.ports import address_of, bind, host_and_port
from nowcast_cli.broker.quiet_sockets import QuietSockets
from nowcast_cli.broker.refusals import HANG_UP_AT
from nowcast_cli.broker.side_talk import SideTalk
from nowcast_cli.broker.subject import Subject
from nowcast_cli.config.limits import limits
from nowcast_cli.config.settings import events_port
from nowcast_cli.errors import NowcastError
from nowcast_cli.security.curve import bind_again
from nowcast_cli.security.source import security_of

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast_cli.daemon.main import DaemonContext
    from nowcast_cli.security.doorkeeper import Doorkeeper


class Bus:
    """One device of the broker's loop: the subject, the integration manager, and log records."""

    def __init__(
        self,
        quiet: QuietSockets,
        subject: Subject,
        integration_manager: IntegrationManager,
        logs: LogRecords,
    ) -> None:
        self._quiet = quiet
        self._subject = subject
        self._integration_manager = integration_manager
        self._logs = logs

    def waits_for(self) -> WaitFor:
        """Return the sockets and the events to poll for."""
        return self._quiet.waits_for()

    def due_in(self) -> float | None:
        """Give the seconds until somebody's turn; None while nobody is connected."""
        silence, beacon = self._subject.due_in(), self._integration_manager.due_in()
        if silence is None or beacon is None:
            return beacon if silence is None else silence
        return min(silence, beacon)

    def work(self, ready: WaitFor) -> None:
        """Take one message from each socket that has some; then do what is due."""
        if self._quiet.work(ready):
            self._logs.turn()
        if self._subject.due_in() == 0.0:
            self._subject.turn()
        if self._integration_manager.due_in() == 0.0:
            self._integration_manager.turn()

    def status(self) -> dict[str, Any]:
        """Return what a health answer says of performers and subscribers."""
        return {
            "performers": self._subject.performers,
            "subscribers": self._integration_manager.subscribers,
        }

    def close(self) -> None:
        """Close the sockets."""
        for part in (self._subject, self._logs, self._integration_manager, self._quiet):
            part.close()


def open_bus(
    zmq_context: zmq.Context[Any],
    context: DaemonContext,
    side_talk: SideTalk,
    quiet: QuietSockets,
    faults: FaultLog,
    doorkeeper: Doorkeeper | None,
) -> Bus:
    """Bind the sockets of the subject and of the integration manager. Raises NowcastError."""
    subject = Subject(_for_performers(zmq_context, context), side_talk, quiet, faults)
    integration_manager = IntegrationManager(
        _doors(zmq_context, context, doorkeeper, quiet), side_talk, faults
    )
    logs = LogRecords(context.paths.log_records_socket, integration_manager, quiet, faults)
    return Bus(quiet, subject, integration_manager, logs)


def _for_performers(zmq_context: zmq.Context[Any], context: DaemonContext) -> zmq.Socket[bytes]:
    performers: zmq.Socket[bytes] = zmq_context.socket(zmq.ROUTER)
    performers.linger = 0
    performers.maxmsgsize = HANG_UP_AT * limits(context.config).message_size
    performers.router_mandatory = True
    performers.router_handover = True  # who is back before its old connection was seen to end
    performers.sndhwm = 0  # the manager knows how much each has in hand
    _bind_here(performers, context.paths.actions_socket)
    return performers


def _doors(
    zmq_context: zmq.Context[Any],
    context: DaemonContext,
    doorkeeper: Doorkeeper | None,
    quiet: QuietSockets,
) -> list[EventsDoor]:
    here = EventsDoor("the socket for events", quiet)
    publisher = new_publisher(zmq_context)
    _bind_here(publisher, context.paths.events_socket)
    here.use(publisher)
    if events_port(context.config) is None:
        return [here]
    return [here, _port_for_events(zmq_context, context, doorkeeper, quiet)]


def _port_for_events(
    zmq_context: zmq.Context[Any],
    context: DaemonContext,
    doorkeeper: Doorkeeper | None,
    quiet: QuietSockets,
) -> EventsDoor:
    host, port = host_and_port(context.config, "events")
    address, security = address_of(host), security_of(context.config)
    door = EventsDoor("the port for events", quiet)
    publisher = new_publisher(zmq_context)
    if doorkeeper is not None:
        doorkeeper.demand(publisher, "events")
    bind(publisher, address, port, "zmq.ports.events", security, context.logger)
    if doorkeeper is None:
        door.use(publisher)
    else:
        door.look = _Revoked(door, doorkeeper, f"tcp://{address}:{port}", publisher).look
    context.logger.info("events socket bound to port %d", port)
    return door


class _Revoked:
    """Opens the port for events anew when the key of somebody was revoked who may be there.

    A subscriber says nothing by which one could tell whose connection is to be ended; all others
    connect again at once.
    """

    def __init__(
        self,
        door: EventsDoor,
        doorkeeper: Doorkeeper,
        address: str,
        publisher: zmq.Socket[bytes],
    ) -> None:
        self._door = door
        self._doorkeeper = doorkeeper
        self._address = address
        self._admitted = doorkeeper.may_pass("events")
        self._use(publisher)

    def look(self) -> None:
        """See whether a key that was good is not good any more."""
        before, self._admitted = self._admitted, self._doorkeeper.may_pass("events")
        if before <= self._admitted:
            return
        old = self._door.socket
        fresh = new_publisher(old.context)
        self._doorkeeper.let_go(old)
        self._door.close()
        self._doorkeeper.demand(fresh, "events")
        bind_again(fresh, self._address)
        self._use(fresh)

    def _use(self, publisher: zmq.Socket[bytes]) -> None:
        self._doorkeeper.watch(publisher, self._address, "events", self._door.connections.happened)
        self._door.use(publisher, lambda: self._doorkeeper.hear(publisher))


def _bind_here(endpoint: zmq.Socket[bytes], path: Path) -> None:
    try:
        endpoint.bind(f"ipc://{path}")
    except zmq.ZMQError as error:
        raise NowcastError(
            f"the socket {path} cannot be opened",
            cause=str(error),
            hint="see whether the run folder is there, and on a disk that is neither full nor "
            "read-only: nowcast doctor",
        ) from None
