"""Looking at services without touching them.

Whether a service is ready the manager knows, to which it has said hello; whether it has a process
at all, supervisord.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.supervisor.observe import DaemonState, SystemState, programs_in, restarts_of

if TYPE_CHECKING:
    from nowcast_cli.config import SystemPaths
    from nowcast_cli.supervisor.rpc import Process
    from nowcast_cli.supervisor.services import ServiceProgram

_LIVES = ("STARTING", "RUNNING")
_STATES = {"BACKOFF": "restarting", "EXITED": "restarting", "STOPPING": "stopping"}


def performers_of(run: Path) -> Mapping[str, Mapping[str, Any]]:
    """Give what the manager knows of performers, by name; nothing where it does not answer."""
    found = (ask_health(run / "manager.sock") or {}).get("performers")
    return found if isinstance(found, dict) else {}


def service_states(
    paths: SystemPaths, services: Sequence[ServiceProgram], system: SystemState
) -> tuple[DaemonState, ...]:
    """Say how services are, beside the daemons of which ``system`` tells.

    A state is *ready*, *starting*, *not ready* (it lives for longer than it may take to say hello),
    *silent* (it lives, and does not answer any more), *running* (the manager does not answer, which
    would know more), *stuck* (its calls are over their time, and it takes no others), *restarting*
    (it died and will be started again), *stopping* or *stopped*.
    ``health`` is what the manager knows of it.
    """
    if not services:
        return ()
    manager = next((each.health for each in system.daemons if each.name == "manager"), {})
    performers = manager.get("performers")
    heard = performers if isinstance(performers, dict) else None
    all_ready = heard is not None and all(_is_ready(heard.get(each.name)) for each in services)
    is_asked = system.supervisor == "running" and not all_ready
    known = programs_in(paths.run) if is_asked else {}
    restarts = restarts_of(paths.logs)
    return tuple(
        _state_of(service, heard, known.get(service.name), restarts[service.name])
        for service in services
    )


def _state_of(
    service: ServiceProgram,
    heard: Mapping[str, Mapping[str, Any]] | None,
    process: Process | None,
    restarts: int,
) -> DaemonState:
    said = (heard or {}).get(service.name)
    is_stopping = process is not None and process.state == "STOPPING"
    if said is not None and said.get("state") == "ready" and not is_stopping:
        state = "ready" if _is_ready(said) else "stuck"
        return DaemonState(service.name, state, said["pid"], said["since"], restarts, said)
    if process is None or not (process.state in _LIVES or process.state in _STATES):
        lives = process is None and said is not None  # nobody supervises it
        pid = said["pid"] if lives and said is not None else None
        return DaemonState(service.name, "silent" if lives else "stopped", pid, restarts=restarts)
    since = datetime.fromtimestamp(process.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = _STATES.get(process.state) or _of_a_living_one(service, heard, said, process)
    return DaemonState(service.name, state, process.pid or None, since, restarts, said or {})


def _of_a_living_one(
    service: ServiceProgram,
    heard: Mapping[str, Mapping[str, Any]] | None,
    said: Mapping[str, Any] | None,
    process: Process,
) -> str:
    if heard is None:
        return "running"
    if said is not None and _has_said_hello_since(said, process.since):
        return "silent"
    is_late = time.time() - process.since > service.ready_within
    return "not ready" if is_late else "starting"


def _is_ready(said: Mapping[str, Any] | None) -> bool:
    """Tell whether it is there and takes orders, or has as many as it takes."""
    return said is not None and said.get("state") == "ready" and bool(said.get("takes"))


def _has_said_hello_since(said: Mapping[str, Any], begun: int) -> bool:
    """Tell whether this process has; a killed one before it may have."""
    return datetime.fromisoformat(str(said["since"])).timestamp() >= begun
