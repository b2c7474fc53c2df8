"""What `nowcast status` tells of services: their states, and the last lines of one in trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.output import Color, Output, Painted, Text
from nowcast_cli.config.services import services_of

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast_cli.cli.context import System
    from nowcast_cli.supervisor.observe import DaemonState, SystemState

_MARKS: dict[str, tuple[str, Color]] = {
    "ready": ("●", "green"),
    "stopped": ("○", "dim"),
    "starting": ("○", "yellow"),
    "running": ("○", "yellow"),
    "stopping": ("○", "yellow"),
    "unknown": ("○", "yellow"),
}
_BAD_MARK: tuple[str, Color] = ("✗", "red")
_IN_TROUBLE = ("restarting", "not ready", "silent", "stuck")
_LAST_LINES = 5


@dataclass(frozen=True)
class ServiceReport:
    """A service as it is; ``last_lines`` is what it printed last, of one in trouble alone."""

    state: DaemonState
    log: Path
    autostart: bool
    ready_within: float
    last_lines: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nobody has to see to it; one that starts by hand may be stopped."""
        return self.state.state == "ready" or (self.state.state == "stopped" and not self.autostart)


def services_of_system(system: System, state: SystemState) -> tuple[ServiceReport, ...]:
    """Look at the services; ``state`` is what was seen of the daemons."""
    if not services_of(system.config):
        return ()
    from nowcast_cli.supervisor.service_states import service_states
    from nowcast_cli.supervisor.services import service_programs

    programs = service_programs(system.config, system.paths)
    states = service_states(system.paths, programs, state)
    reports = []
    for program, seen in zip(programs, states, strict=True):
        log = system.paths.logs / f"{program.name}.out"
        lines = _last_lines(log) if seen.state in _IN_TROUBLE else ()
        reports.append(ServiceReport(seen, log, program.autostart, program.ready_within, lines))
    return tuple(reports)


def service_as_json(service: ServiceReport) -> dict[str, Any]:
    """Give a service for JSON."""
    state = service.state
    return {
        "name": state.name,
        "state": state.state,
        "pid": state.pid,
        "since": state.since,
        "restarts": state.restarts,
        "autostart": service.autostart,
        "in hand": state.health.get("in hand", 0),
        "waiting": state.health.get("waiting", 0),
        "log": str(service.log),
        "last lines": list(service.last_lines),
    }


def service_row(service: ServiceReport) -> list[Text]:
    """Give the line of a service, in columns."""
    from nowcast_cli.cli.times import local

    state = service.state
    mark, color = mark_of(state.state)
    row: list[Text] = [Painted(mark, color), state.name, Painted(state.state, color)]
    if state.lives:
        row.append(f"process {state.pid}" if state.pid else "no process")
        row.append(f"since {local(state.since)}" if state.since else "")
    if orders := _orders(service):
        row.append(orders)
    if state.restarts and state.lives:
        row.append(f"{state.restarts} restart{'s' if state.restarts > 1 else ''}")
    return row


def show_trouble(service: ServiceReport, out: Output) -> None:
    """Say what is to be done about a service that is not well, and what it printed last."""
    if service.is_well:
        return
    name = service.state.name
    words = {
        "stopped": f"nowcast start {name} starts it",
        "silent": f"nowcast restart {name} ends it and starts it anew; its orders are tried again",
        "stuck": f"{name} runs an action over its time, and takes no other: nowcast restart {name}",
        "not ready": f"{name} lives, and has not said within {service.ready_within:g} s that it "
        "is ready",
        "restarting": f"nowcast logs {name} -n 20 says why it ends again and again",
    }
    if service.state.state in words:
        out.line(f"  {words[service.state.state]}")
    for line in service.last_lines:
        out.line(Painted(f"    {line}", "dim"))


def mark_of(state: str) -> tuple[str, Color]:
    """Give the sign and the color of a state of a daemon or a service."""
    return _MARKS.get(state, _BAD_MARK)


def _orders(service: ServiceReport) -> str:
    health = service.state.health
    words = [f"{health[key]} {key}" for key in ("in hand", "waiting") if health.get(key)]
    return ", ".join(words)


def _last_lines(log: Path) -> tuple[str, ...]:
    from nowcast_cli.supervisor.log_tail import last_lines

    return tuple(last_lines(log, _LAST_LINES))
