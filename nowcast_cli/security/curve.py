"""Putting keys on ZeroMQ sockets, before they connect or bind. Loads no ZeroMQ by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nowcast_cli.security.key import Key, Role

if TYPE_CHECKING:
    import zmq

# A port that is guarded, and who may pass: the "domain" of ZeroMQ's authentication protocol.
Door = Literal["clients", "manager", "logs"]
ADMITTED: dict[str, frozenset[Role]] = {
    "clients": frozenset({"worker", "operator", "reader"}),
    "manager": frozenset({"manager"}),
    "logs": frozenset({"worker", "operator", "manager"}),
}


def present(socket: zmq.Socket[Any], key: Key) -> None:
    """Have a socket that is to connect show ``key``, and accept nobody but the broker."""
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


def new_pair() -> tuple[str, str]:
    """Make a CURVE pair: the public and the secret key, as Z85 text."""
    from zmq import curve_keypair

    public, secret = curve_keypair()
    return public.decode(), secret.decode()
