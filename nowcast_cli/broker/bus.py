"""Opening what performers and subscribers connect to: sockets of this host, and a port for events.

Who may connect on this host is who may enter the run folder; so there are no keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zmq

from nowcast_cli.broker.events_door import EventsDoor, new_publisher
from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.integration import Integration
from nowcast_cli.broker.log_records import LogRecords
from nowcast_cli.broker.ports import address_of, bind, host_and_port
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

Bus = tuple[Integration, Subject, LogRecords]


def open_bus(
    zmq_context: zmq.Context[Any],
    context: DaemonContext,
    side_talk: SideTalk,
    faults: FaultLog,
    doorkeeper: Doorkeeper | None,
) -> Bus:
    """Bind the sockets of the integration manager and of the subject. Raises NowcastError."""
    subject = Subject(_doors(zmq_context, context, doorkeeper), side_talk, faults)
    integration = Integration(_for_performers(zmq_context, context), side_talk, faults)
    return integration, subject, LogRecords(context.paths.log_records_socket, subject, faults)


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
    zmq_context: zmq.Context[Any], context: DaemonContext, doorkeeper: Doorkeeper | None
) -> list[EventsDoor]:
    here = EventsDoor("the socket for events")
    publisher = new_publisher(zmq_context)
    _bind_here(publisher, context.paths.events_socket)
    here.use(publisher, is_watched=False)
    if events_port(context.config) is None:
        return [here]
    return [here, _port_for_events(zmq_context, context, doorkeeper)]


def _port_for_events(
    zmq_context: zmq.Context[Any], context: DaemonContext, doorkeeper: Doorkeeper | None
) -> EventsDoor:
    host, port = host_and_port(context.config, "events")
    address, security = address_of(host), security_of(context.config)
    door = EventsDoor("the port for events")
    publisher = new_publisher(zmq_context)
    if doorkeeper is not None:
        doorkeeper.demand(publisher, "events")
    bind(publisher, address, port, "zmq.ports.events", security, context.logger)
    door.use(publisher, is_watched=doorkeeper is not None)
    if doorkeeper is not None:
        doorkeeper.watch(publisher, f"tcp://{address}:{port}", "events", door.happened)
        door.look = _Revoked(door, doorkeeper, f"tcp://{address}:{port}").look
    context.logger.info("events socket bound to port %d", port)
    return door


class _Revoked:
    """Opens the port for events anew when the key of somebody was revoked who may be there.

    A subscriber says nothing by which one could tell whose connection is to be ended; all others
    connect again at once.
    """

    def __init__(self, door: EventsDoor, doorkeeper: Doorkeeper, address: str) -> None:
        self._door = door
        self._doorkeeper = doorkeeper
        self._address = address
        self._admitted = doorkeeper.may_pass("events")

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
        self._door.use(fresh, is_watched=True)
        self._doorkeeper.watch(fresh, self._address, "events", self._door.happened)


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
