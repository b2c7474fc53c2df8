"""Looking at the daemons of a system without touching them; right with all of them down.

A daemon is *ready* when it says so itself, on its health socket. supervisord is asked only about
those that do not, because that costs more than the rest of a look.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nowcast_cli.config.paths import other_owner
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.errors import NotRunning
from nowcast_cli.process_identity import ProcessIdentity
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.holders import live_identity, program_of
from nowcast_cli.supervisor.supervisord_conf import supervisord_log

if TYPE_CHECKING:
    from nowcast_cli.config import SystemPaths
    from nowcast_cli.supervisor.rpc import Process

SupervisorState: TypeAlias = Literal["running", "gone", "another", "stopped", "unknown"]

_STATES = {
    "STARTING": "starting",
    "RUNNING": "not answering",
    "BACKOFF": "restarting",
    "EXITED": "restarting",
    "STOPPING": "stopping",
}


@dataclass(frozen=True)
class DaemonState:
    """A daemon as it is now.

    ``state``: *ready*, *starting*, *stopping*, *not answering* (it lives, but its loop does
    not), *restarting* (it died and will be started again), *stopped*, *unknown* (another user's
    to ask), or the daemon's own word.
    ``since`` is ISO 8601 UTC; ``restarts`` counts its deaths since the system was started;
    ``health`` is all that it says of itself, empty when it does not answer.
    """

    name: str
    state: str
    pid: int | None = None
    since: str | None = None
    restarts: int = 0
    health: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        """Whether there is a process, or soon will be again."""
        return self.state not in ("stopped", "unknown")


@dataclass(frozen=True)
class SystemState:
    """All daemons, and what keeps them up.

    *gone*: ``nowcast start`` had started them, and its supervisord was killed; nothing keeps them
    up. *another*: they were started by other means, such as systemd, circus or a person.
    *unknown*: their sockets are not open to this user.
    """

    supervisor: SupervisorState
    daemons: tuple[DaemonState, ...]

    @property
    def runs(self) -> bool:
        """Whether any daemon does."""
        return any(daemon.lives for daemon in self.daemons)

    @property
    def is_well(self) -> bool:
        """Whether every daemon is ready, and is not left alone by its supervisord."""
        return self.supervisor in ("running", "another") and all(
            d.state == "ready" for d in self.daemons
        )


def observe(paths: SystemPaths, daemons: Sequence[Daemon]) -> SystemState:
    """Look at the daemons of a system."""
    if other_owner(paths.run) is not None:
        return SystemState("unknown", tuple(DaemonState(d.name, "unknown") for d in daemons))
    answers = {d.name: ask_health(paths.run / f"{d.name}.sock") for d in daemons}
    supervised = somebody_listens(supervisor_socket(paths.run))
    all_answer = all(answers.values())
    known = programs_in(paths.run) if supervised and not all_answer else {}
    restarts = restarts_of(paths.logs)
    programs = {daemon.name: program_of(daemon.name, paths.run) for daemon in daemons}
    states = tuple(
        _state_of(
            daemon.name,
            answers[daemon.name],
            known.get(programs[daemon.name]),
            live_identity(paths.run, daemon.name),
            restarts[programs[daemon.name]],
        )
        for daemon in daemons
    )
    return SystemState("running" if supervised else _unsupervised(states, paths.run), states)


def _unsupervised(daemons: Sequence[DaemonState], run: Path) -> SupervisorState:
    if not any(daemon.lives for daemon in daemons):
        return "stopped"
    # supervisord puts its address into the environment of those that it starts
    ours = b"SUPERVISOR_SERVER_URL=unix://" + os.fsencode(supervisor_socket(run))
    for daemon in daemons:
        with suppress(OSError):
            if ours in Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0"):
                return "gone"
    return "another"


def supervisor_socket(run: Path) -> Path:
    """Return the socket on which supervisord of a system answers."""
    return run / "supervisor.sock"


def somebody_listens(socket_file: Path) -> bool:
    """Say whether a process accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(socket_file))
        except OSError:
            return False
    return True


def restarts_of(logs: Path) -> Counter[str]:
    """Count the deaths of each program since the last start of supervisord."""
    return restarts_in(_lines_of(supervisord_log(logs)))


def restarts_in(log: Iterable[str]) -> Counter[str]:
    """Count the deaths of each daemon since the last start of supervisord, from its log."""
    counts: Counter[str] = Counter()
    for line in log:
        if " supervisord started with pid " in line:
            counts.clear()
        _, exited, rest = line.partition(" exited: ")
        if exited:
            counts[rest.split(" ", 1)[0]] += 1
    return counts


def _state_of(
    name: str,
    health: Mapping[str, Any] | None,
    process: Process | None,
    holder: ProcessIdentity | None,
    restarts: int,
) -> DaemonState:
    if health is not None:
        state = str(health.get("state", "ready"))
        return DaemonState(name, state, health.get("pid"), health.get("since"), restarts, health)
    if process is not None and process.state in _STATES:
        since = datetime.fromtimestamp(process.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return DaemonState(name, _STATES[process.state], process.pid or None, since, restarts)
    if holder is not None:
        return DaemonState(name, "not answering", holder.pid, None, restarts)
    return DaemonState(name, "stopped", restarts=restarts)


def programs_in(run: Path) -> dict[str, Process]:
    """Ask supervisord for its programs; none where it does not answer."""
    from nowcast_cli.supervisor.rpc import Supervisord

    try:
        return Supervisord(supervisor_socket(run), timeout=2.0).processes()
    except NotRunning:  # it is hung, or has just gone; what the daemons say stands
        return {}


def _lines_of(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []
