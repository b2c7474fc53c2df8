"""Starting and stopping services: all at once, for none of them waits for another.

A service is ready when it has said hello to the manager. One that is not has failed nothing but
itself: it is told, and supervisord goes on to start it again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nowcast_cli.errors import Degraded, NotRunning
from nowcast_cli.supervisor.log_tail import last_lines, prepare
from nowcast_cli.supervisor.observe import somebody_listens, supervisor_socket
from nowcast_cli.supervisor.orphans import end_orphaned_services
from nowcast_cli.supervisor.plant import (
    DIED,
    LOG_LINES,
    LOOK_EVERY,
    STOPPED,
    Plant,
    controlling,
    refuse_those_of_another,
    running_supervisord,
)
from nowcast_cli.supervisor.process import bring_up_to_date, ensure_supervisord
from nowcast_cli.supervisor.rpc import Supervisord
from nowcast_cli.supervisor.service_states import performers_of
from nowcast_cli.supervisor.services import ServiceProgram
from nowcast_cli.supervisor.supervisord_conf import SERVICE_GRACE, program_log


@dataclass(frozen=True)
class NotReady:
    """A service that is not ready: why, and the last lines that it printed."""

    name: str
    cause: str
    log: tuple[str, ...]


class ServicesNotReady(Degraded):
    """Services did not become ready; all else runs."""

    def __init__(self, services: Sequence[NotReady]) -> None:
        names = ", ".join(service.name for service in services)
        one = len(services) == 1
        super().__init__(
            f"the service {names} is not ready"
            if one
            else f"these services are not ready: {names}",
            cause="; ".join(
                each.cause if one else f"{each.name}: {each.cause}" for each in services
            ),
            hint=f"nowcast logs {services[0].name} -n 50; nowcast status {services[0].name}",
        )
        self.services = services


@dataclass(frozen=True)
class TakenIn:
    """What a changed configuration did to services, by name; ``changed`` wait for a restart."""

    started: tuple[str, ...]
    stopped: tuple[str, ...]
    changed: tuple[str, ...]


def start_services(plant: Plant, services: Sequence[ServiceProgram]) -> list[str]:
    """Start services of a system that runs; return when they are ready.

    Returns the names of those that were started. Raises NotRunning, and ServicesNotReady.
    """
    with controlling(plant):
        refuse_those_of_another(plant)
        running_supervisord(plant)
        return _start(plant, services)


def start_those_that_start_by_themselves(plant: Plant) -> list[str]:
    """Start what starts with the daemons, which run by now; the caller controls the system."""
    services = [service for service in plant.services if service.autostart]
    return _start(plant, services) if services else []


def stop_service(plant: Plant, service: ServiceProgram) -> list[str]:
    """Stop a service and wait for its end; gives its name, or nothing where it did not run."""
    with controlling(plant):
        refuse_those_of_another(plant)
        if not somebody_listens(supervisor_socket(plant.paths.run)):
            only = {service.name}
            return end_orphaned_services(plant.paths.run, SERVICE_GRACE, plant.tell, only)
        supervisord = Supervisord(supervisor_socket(plant.paths.run))
        return _stop(plant, supervisord, {service.name})


def restart_service(plant: Plant, service: ServiceProgram) -> None:
    """Stop a service, and start it as it is configured by now. Raises as ``start_services``."""
    with controlling(plant):
        refuse_those_of_another(plant)
        _stop(plant, running_supervisord(plant), {service.name})
        _start(plant, [service])


def stop_all(plant: Plant, supervisord: Supervisord) -> list[str]:
    """Stop all services, also those that are not declared any more; gives their names."""
    return _stop(plant, supervisord, _services_in(plant, supervisord))


def take_in(plant: Plant) -> TakenIn:
    """Start and stop services as a changed configuration asks for; what has changed goes on.

    Does not wait until they are ready. Nothing is done where our supervisord does not run.
    """
    with controlling(plant):
        if not somebody_listens(supervisor_socket(plant.paths.run)):
            return TakenIn((), (), ())
        supervisord = Supervisord(supervisor_socket(plant.paths.run))
        before = _services_in(plant, supervisord)
        changed, removed = bring_up_to_date(plant, supervisord)
        gone = [name for name in removed if name in before]
        stopped = _stop(plant, supervisord, gone)
        for name in gone:
            supervisord.forget(name)
        new = [each for each in plant.services if each.name not in before and each.autostart]
        for service in new:
            prepare(program_log(plant.paths.logs, service.name))
            supervisord.start(service.name)
        names = {service.name for service in plant.services}
        return TakenIn(
            tuple(service.name for service in new),
            tuple(stopped),
            tuple(name for name in changed if name in names),
        )


def _services_in(plant: Plant, supervisord: Supervisord) -> set[str]:
    """Give the names of the services that supervisord has."""
    from nowcast_cli.supervisor.daemons import ALL_DAEMONS

    daemons = {daemon.name for daemon in (*plant.daemons, *ALL_DAEMONS)}
    return set(supervisord.processes()) - daemons


# --- stopping


def _stop(plant: Plant, supervisord: Supervisord, names: Collection[str]) -> list[str]:
    processes = supervisord.processes()
    running = [name for name in names if name in processes and processes[name].state not in STOPPED]
    heard = performers_of(plant.paths.run) if running else {}
    for name in running:
        plant.tell(f"stopping the service {name}")
        supervisord.begin_to_stop(name)
        if heard.get(name, {}).get("state") == "silent":
            supervisord.kill(name)  # it does not hear SIGTERM, and what it had in hand is lost
    while running and any(
        process.state not in STOPPED
        for name, process in supervisord.processes().items()
        if name in running
    ):
        time.sleep(LOOK_EVERY)
    return sorted(running)


# --- starting


@dataclass
class _Awaited:
    service: ServiceProgram
    former: str | None  # the incarnation that was known before
    begun: int  # the process id, 0 where it ran already
    printed_before: int
    give_up: float


def _start(plant: Plant, services: Sequence[ServiceProgram]) -> list[str]:
    supervisord = ensure_supervisord(plant)
    changed, _ = bring_up_to_date(plant, supervisord)
    awaited = [_begun(plant, supervisord, each, each.name in changed) for each in services]
    trouble = _wait(plant, supervisord, [each for each in awaited if each is not None])
    if trouble:
        raise ServicesNotReady(trouble)
    return [each.service.name for each in awaited if each is not None and each.begun]


def _begun(
    plant: Plant, supervisord: Supervisord, service: ServiceProgram, is_changed: bool
) -> _Awaited | None:
    """Start a service; None for one that runs and is ready."""
    heard = performers_of(plant.paths.run).get(service.name)
    state = supervisord.process(service.name).state
    if state == "BACKOFF":
        supervisord.stop(service.name)  # do not wait for the end of supervisord's delay
    if is_changed and state in (*STOPPED, "BACKOFF"):
        supervisord.take_anew(service.name)
    printed_before = prepare(program_log(plant.paths.logs, service.name))
    fresh = supervisord.start(service.name)
    if not fresh and _is_ready(heard, None):
        return None
    return _Awaited(
        service,
        str(heard["incarnation"]) if heard is not None and fresh else None,
        supervisord.process(service.name).pid if fresh else 0,
        printed_before,
        time.monotonic() + service.ready_within,
    )


def _wait(plant: Plant, supervisord: Supervisord, awaited: Sequence[_Awaited]) -> list[NotReady]:
    trouble = []
    left = list(awaited)
    for each in left:
        plant.tell(f"waiting for the {each.service.words_for_people}")
    while left:
        heard = performers_of(plant.paths.run)
        left = [e for e in left if not _is_ready(heard.get(e.service.name), e.former)]
        processes = supervisord.processes() if left else {}
        for each in list(left):
            process = processes.get(each.service.name)
            if process is None:
                raise NotRunning(f"supervisord has lost the service {each.service.name}")
            cause = None
            if process.state in DIED or (each.begun and process.pid not in (0, each.begun)):
                cause = "it ended before it was ready, and is started again and again"
            elif time.monotonic() > each.give_up:
                cause = (
                    f"it lives (process {process.pid}), and has not said within "
                    f"{each.service.ready_within:g} s that it is ready"
                )
            if cause is not None:
                left.remove(each)
                log = program_log(plant.paths.logs, each.service.name)
                lines = last_lines(log, LOG_LINES, since=each.printed_before)
                trouble.append(NotReady(each.service.name, cause, tuple(lines)))
        time.sleep(LOOK_EVERY if left else 0)
    return trouble


def _is_ready(heard: Any, former: str | None) -> bool:
    if heard is None or heard.get("state") != "ready":
        return False
    return former is None or heard.get("incarnation") != former
