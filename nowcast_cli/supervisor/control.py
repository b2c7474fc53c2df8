"""Starting, stopping and restarting the daemons of a system, in order, until they are ready.

One at a time: whoever controls a system holds ``run/supervisor.lock``. Progress is told, a
sentence at a time, to the function that the caller hands in. Services come after the daemons, and
end before them: see ``supervisor.service_control``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nowcast_cli.config.standby import forget_standby
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.errors import NotRunning
from nowcast_cli.supervisor import service_control
from nowcast_cli.supervisor.daemons import ALL_DAEMONS, MANAGER, STANDBY, Daemon
from nowcast_cli.supervisor.holders import program_of
from nowcast_cli.supervisor.log_tail import last_lines, prepare
from nowcast_cli.supervisor.observe import somebody_listens, supervisor_socket
from nowcast_cli.supervisor.orphans import end_orphaned_services, end_orphans
from nowcast_cli.supervisor.plant import (
    DIED,
    LOG_LINES,
    LOOK_EVERY,
    STOPPED,
    DaemonError,
    Plant,
    controlling,
    refuse_those_of_another,
    running_supervisord,
)
from nowcast_cli.supervisor.process import ensure_supervisord, shut_down
from nowcast_cli.supervisor.rpc import Supervisord
from nowcast_cli.supervisor.supervisord_conf import SERVICE_GRACE, STOP_GRACE, program_log


def start(plant: Plant) -> list[str]:
    """Start what does not run, and return when every daemon is ready, and the services are.

    Daemons whose supervisord was killed are ended first. Returns the names of what was started,
    empty when all ran. Raises DaemonError for the first daemon that fails; what this call had
    started is stopped again then. Raises ServicesNotReady where it is services that are not
    ready: all else runs.
    """
    with controlling(plant):
        refuse_those_of_another(plant)
        return [*_start(plant), *service_control.start_those_that_start_by_themselves(plant)]


def start_one(plant: Plant, daemon: Daemon) -> list[str]:
    """Start one daemon of a system that runs, and return when it is ready; else as ``start``."""
    with controlling(plant):
        refuse_those_of_another(plant)
        running_supervisord(plant)
        supervisord = ensure_supervisord(plant)
        if _is_ready(plant, daemon):
            return []
        _start_one(plant, supervisord, daemon)
        return [daemon.name]


def stop(plant: Plant) -> list[str]:
    """Stop all services and daemons, the last started first, then the launcher and supervisord.

    Returns the names of those that ran, in the order in which they were stopped; one that
    the configuration has lost since is among them. Raises NowcastError for those of another.
    """
    with controlling(plant):
        refuse_those_of_another(plant)
        stopped = _stop(plant)
        forget_standby(plant.paths.run)
        return stopped


def restart(plant: Plant) -> list[str]:
    """Stop everything and start it anew; returns the names of what was started."""
    with controlling(plant):
        refuse_those_of_another(plant)
        _stop(plant)
        return [*_start(plant), *service_control.start_those_that_start_by_themselves(plant)]


def restart_one(plant: Plant, daemon: Daemon) -> None:
    """Stop one daemon, start it, and return when it is ready. Raises NotRunning, DaemonError.

    A manager that has a standby hands over to it, once that has been started anew, and becomes
    the standby then: so both are new, and the system is not without a manager.
    """
    with controlling(plant):
        supervisord = running_supervisord(plant)
        if daemon == MANAGER and STANDBY in plant.daemons and _is_ready(plant, MANAGER):
            _stop_program(plant, supervisord, STANDBY)
            _start_one(plant, supervisord, STANDBY)
            _stop_program(plant, supervisord, MANAGER)
            _wait_for_successor(plant)
            _start_one(plant, supervisord, STANDBY)
        else:
            _stop_program(plant, supervisord, daemon)
            for each in _with_its_standby(plant, daemon):
                if not _is_ready(plant, each):  # a manager that was frozen has a successor by now
                    _start_one(plant, supervisord, each)


def _wait_for_successor(plant: Plant) -> None:
    give_up = time.monotonic() + plant.ready_time
    while not _is_ready(plant, MANAGER):
        if time.monotonic() > give_up:
            cause = f"it was not ready in {plant.ready_time:g} s"
            raise _failed(plant, MANAGER, f"the standby took over, and {cause}", 0)
        time.sleep(LOOK_EVERY)


def _stop_program(plant: Plant, supervisord: Supervisord, daemon: Daemon) -> None:
    plant.tell(f"stopping the {daemon.words}")
    supervisord.stop(program_of(daemon.name, plant.paths.run))


def stop_one(plant: Plant, daemon: Daemon) -> list[str]:
    """Stop one daemon and leave the others; with a manager that has one, the standby as well.

    Returns the names of those that ran, in the order in which they were stopped.
    """
    with controlling(plant):
        refuse_those_of_another(plant)
        if not somebody_listens(supervisor_socket(plant.paths.run)):
            both = _with_its_standby(plant, daemon)
            return end_orphans(plant.paths.run, both, STOP_GRACE, plant.tell)
        supervisord = Supervisord(supervisor_socket(plant.paths.run))
        stopped = []
        for each in reversed(_with_its_standby(plant, daemon)):  # else that would lead
            if supervisord.process(program_of(each.name, plant.paths.run)).state not in STOPPED:
                _stop_program(plant, supervisord, each)
                stopped.append(each.name)
        return stopped


def _with_its_standby(plant: Plant, daemon: Daemon) -> list[Daemon]:
    """Give the daemon, and if it is a manager that has one the standby, as they start."""
    has_one = daemon == MANAGER and STANDBY in plant.daemons
    return [daemon, STANDBY] if has_one else [daemon]


def _start(plant: Plant) -> list[str]:
    if not somebody_listens(supervisor_socket(plant.paths.run)):
        _end_orphans(plant)
    supervisord = ensure_supervisord(plant)
    started: list[Daemon] = []
    try:
        for daemon in plant.daemons:
            if not _is_ready(plant, daemon):
                started.append(daemon)
                _start_one(plant, supervisord, daemon)
    except BaseException:
        with suppress(NotRunning):
            _take_back(plant, started)
        raise
    return [daemon.name for daemon in started]


def _take_back(plant: Plant, started: Sequence[Daemon]) -> None:
    """After a failed start, leave nothing behind that was not there before."""
    # Ctrl-C may have left the former connection in the midst of a request.
    supervisord = Supervisord(supervisor_socket(plant.paths.run))
    for daemon in reversed(started):
        _stop_program(plant, supervisord, daemon)
    if all(process.state in STOPPED for process in supervisord.processes().values()):
        _end_launcher(plant)
        shut_down(supervisord, plant.paths)


def _start_one(plant: Plant, supervisord: Supervisord, daemon: Daemon) -> None:
    plant.tell(f"waiting for the {daemon.words}")
    program = program_of(daemon.name, plant.paths.run)
    printed_before = prepare(_log_of(plant, daemon))
    if supervisord.process(program).state == "BACKOFF":
        supervisord.stop(program)  # do not wait for the end of supervisord's delay
    fresh = supervisord.start(program)
    begun = supervisord.process(program).pid if fresh else 0
    give_up = time.monotonic() + plant.ready_time
    while not _is_ready(plant, daemon):
        process = supervisord.process(program)
        if process.state in DIED or (begun and process.pid not in (0, begun)):
            raise _failed(plant, daemon, "it ended before it was ready", printed_before)
        if time.monotonic() > give_up:
            cause = f"it lives (process {process.pid}) but was not ready in {plant.ready_time:g} s"
            raise _failed(plant, daemon, cause, printed_before)
        time.sleep(LOOK_EVERY)


def _log_of(plant: Plant, daemon: Daemon) -> Path:
    program = program_of(daemon.name, plant.paths.run)
    return program_log(plant.paths.logs, program)


def _failed(plant: Plant, daemon: Daemon, cause: str, printed_before: int) -> DaemonError:
    log = _log_of(plant, daemon)
    return DaemonError(
        f"the {daemon.words} did not start",
        cause=cause,
        hint=f"mend what its last lines say, then `nowcast start`; it prints to {log}",
        log=last_lines(log, LOG_LINES, since=printed_before),
    )


def _stop(plant: Plant) -> list[str]:
    if not somebody_listens(supervisor_socket(plant.paths.run)):
        ended = _end_orphans(plant)
        _end_launcher(plant)
        supervisor_socket(plant.paths.run).unlink(missing_ok=True)
        return ended
    supervisord = Supervisord(supervisor_socket(plant.paths.run))
    services = service_control.stop_all(plant, supervisord)
    known = supervisord.processes()
    programs = {d.name: program_of(d.name, plant.paths.run) for d in _ever(plant)}
    running = [
        d for d in _ever(plant)
        if programs[d.name] in known and known[programs[d.name]].state not in STOPPED
    ]  # fmt: skip
    for daemon in reversed(running):
        plant.tell(f"stopping the {daemon.words}")
        supervisord.stop(programs[daemon.name])
    _end_launcher(plant)
    shut_down(supervisord, plant.paths)
    return [*services, *(daemon.name for daemon in reversed(running))]


def _end_orphans(plant: Plant) -> list[str]:
    """End what nothing supervises; gives the names of those that were ended."""
    services = end_orphaned_services(plant.paths.run, SERVICE_GRACE, plant.tell)
    return [*services, *end_orphans(plant.paths.run, _ever(plant), STOP_GRACE, plant.tell)]


def _ever(plant: Plant) -> list[Daemon]:
    """Give the daemons of a system, and those that it may have had before its last change."""
    names = {daemon.name for daemon in plant.daemons}
    return [*plant.daemons, *(daemon for daemon in ALL_DAEMONS if daemon.name not in names)]


def _end_launcher(plant: Plant) -> None:
    from nowcast_cli.executors.local import stop_launcher

    stop_launcher(plant.paths)


def _is_ready(plant: Plant, daemon: Daemon) -> bool:
    health = ask_health(plant.paths.run / f"{daemon.name}.sock", timeout=0.5)
    return health is not None and health.get("state") == "ready"
