"""What workers, the manager and the command line say to each other, and how it gets there.

A :class:`Message` travels as YAML; a :class:`Client` repeats it until it is answered; the
outbox keeps what could not be told.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast_cli.messages.client import Client, NoAnswer
    from nowcast_cli.messages.message import Message, MessageError

__all__ = ["Client", "Message", "MessageError", "NoAnswer"]

_HOMES = {
    "Client": "nowcast_cli.messages.client",
    "NoAnswer": "nowcast_cli.messages.client",
    "Message": "nowcast_cli.messages.message",
    "MessageError": "nowcast_cli.messages.message",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: reading a message needs no ZeroMQ."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
