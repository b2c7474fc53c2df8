"""Requests of the command line to the manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nowcast_cli.cli.context import System
from nowcast_cli.config.paths import other_owner
from nowcast_cli.errors import Degraded, NotRunning, NowcastError

# The supervisor brings a killed daemon back much sooner, and the request is repeated till then.
_DEADLINE = 20.0  # seconds

_NEEDED = ("message_broker", "manager")


def runs(system: System) -> bool:
    """Tell whether any of the daemons that take a request answers.

    Raises NowcastError when another user's they are.
    """
    owner = other_owner(system.paths.run)
    if owner is not None:
        raise NowcastError(
            f"the daemons of {system.paths.deployment} take requests of {owner} alone",
            cause=f"the folder {system.paths.run} with their sockets belongs to {owner}",
            hint=f"run nowcast as {owner}",
        )
    from nowcast_cli.daemon.health import ask_health

    return any(ask_health(system.paths.run / f"{name}.sock") is not None for name in _NEEDED)


def not_reloaded(system: System, health: Mapping[str, Any] | None) -> str | None:
    """Say that the manager of this health goes by another nowcast.yaml; None where it does not."""
    read = (health or {}).get("configuration")
    if read is None or read == system.config.changed:
        return None
    return (
        f"{system.paths.config_file.name} has changed since the manager has read it: nowcast reload"
    )


def ask_manager(
    system: System, request: str, payload: Mapping[str, Any], *, request_id: str | None = None
) -> dict[str, Any]:
    """Send a request and return the payload of its acknowledgement.

    A request whose id was answered before has no effect, and gets its old answer.
    Raises NotRunning (exit 3) when nobody is there to answer, and NowcastError with the manager's
    own sentence when it refuses.
    """
    from nowcast_cli.messages.client import Client, NoAnswer
    from nowcast_cli.messages.message import Message

    if not runs(system):
        raise NotRunning(f"the system {system.paths.deployment} does not run", hint="nowcast start")
    message = Message("nowcast", request, dict(payload), id=request_id)
    with Client.of(system.config, "operator") as client:
        try:
            reply = client.ask(message, deadline=_DEADLINE)
        except NoAnswer as error:
            raise _in_trouble(system, request) or error from None
    if reply.type in ("ack", "checklist cleared"):
        return reply.payload if isinstance(reply.payload, dict) else {}
    said = reply.payload if isinstance(reply.payload, dict) else {}
    raise NowcastError(
        said.get("what") or f"the manager answered the {request} request with {reply.type!r}",
        hint=said.get("hint"),
    )


def _in_trouble(system: System, request: str) -> NowcastError | None:
    """Say why a manager that is there does not answer, where it knows."""
    from nowcast_cli.daemon.health import ask_health

    trouble = (ask_health(system.paths.run / "manager.sock") or {}).get("trouble")
    if not trouble:
        return None
    return Degraded(
        f"the manager cannot take the {request} request as yet",
        cause=f"{trouble}; the request waits, and is met once the manager can",
        hint="mend that, and see `nowcast status` for its end",
    )
