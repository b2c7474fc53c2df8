"""Putting keys on ZeroMQ sockets, before they connect or bind. Loads no ZeroMQ by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from nowcast_cli.security.key import Key, Role

if TYPE_CHECKING:
    import zmq

_HANDSHAKE_FAILED = 2  # ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED
_BIND_PATIENCE = 2.0  # seconds in which a port that was let go becomes free

# A port that is guarded, and who may pass: the "domain" of ZeroMQ's authentication protocol.
Door = Literal["clients", "manager", "logs", "events"]
ADMITTED: dict[str, frozenset[Role]] = {
    "clients": frozenset({"worker", "operator", "reader", "agent"}),
    "manager": frozenset({"manager"}),
    "logs": frozenset({"worker", "operator", "manager"}),
    "events": frozenset({"worker", "operator", "reader", "manager"}),
}


def present(socket: zmq.Socket[Any], key: Key) -> None:
    """Have a socket that is to connect show ``key``, and accept nobody but the broker.

    It does not knock again where it was refused: the key is to be read anew first.
    """
    from zmq import RECONNECT_STOP

    socket.setsockopt(RECONNECT_STOP, _HANDSHAKE_FAILED)
    socket.curve_serverkey = key.broker.encode()
    socket.curve_publickey = key.public.encode()
    socket.curve_secretkey = key.secret.encode()


def demand(socket: zmq.Socket[Any], broker: Key, door: Door) -> None:
    """Have a socket that is to bind admit nobody but who may pass ``door``.

    Without an authenticator in the context nobody is admitted.
    """
    socket.curve_secretkey = broker.secret.encode()
    socket.curve_publickey = broker.public.encode()
    socket.curve_server = True
    socket.zap_domain = door.encode()
    socket.zap_enforce_domain = 1


def bind_again(socket: zmq.Socket[bytes], address: str) -> None:
    """Bind a port that this process has just let go, which takes a moment."""
    from zmq import ZMQError

    give_up = time.monotonic() + _BIND_PATIENCE
    while True:
        try:
            socket.bind(address)
        except ZMQError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def new_pair() -> tuple[str, str]:
    """Make a CURVE pair: the public and the secret key, as Z85 text."""
    from zmq import curve_keypair

    public, secret = curve_keypair()
    return public.decode(), secret.decode()
