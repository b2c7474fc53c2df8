"""The daemons, their ports, and what daemons of the past have left behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning
from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity, from_json, is_alive
from nowcast_cli.supervisor.daemons import daemons_of
from nowcast_cli.supervisor.observe import DaemonState, observe, somebody_listens
from nowcast_cli.supervisor.service_states import service_states
from nowcast_cli.supervisor.services import service_programs

_LONG = 60.0  # seconds; the manager looks into outboxes each 5


def daemons(subject: Subject) -> Iterator[Finding]:
    """Failure means that nobody takes messages, decides, or launches what is due."""
    state = observe(subject.paths, daemons_of(subject.config, subject.paths.run))
    if state.supervisor == "unknown":
        yield note(
            f"only the owner of {subject.paths.run} sees whether the system runs",
            "run nowcast doctor as that user",
        )
        return
    if not state.runs:
        yield note("the system does not run", "nowcast start")
        return
    if state.supervisor == "gone":
        yield warning(
            "the supervisor of the daemons was killed: nobody would start them again",
            "nowcast start takes over; jobs go on",
        )
    elif state.supervisor == "another":
        yield note(
            "the daemons were started by another supervisor than nowcast's own, or by hand",
            "see that something starts them again: nowcast export --help",
        )
    for daemon in state.daemons:
        yield from _of_daemon(daemon, subject)


def ports(subject: Subject) -> Iterator[Finding]:
    """Failure means that the message broker cannot start, or that strangers can send messages."""
    from nowcast_cli.broker.ports import address_of, holder_of
    from nowcast_cli.config.settings import endpoints, events_port

    try:
        where, events = endpoints(subject.config), events_port(subject.config)
        address = address_of(where.host)
    except NowcastError as problem:
        yield error(problem.what, problem.hint or "nowcast validate")
        return
    security = subject.config.get("security")
    if not address.startswith("127.") and security != "curve":
        sentence = (
            f"the ports {where.workers} and {where.manager} are open to every host that reaches "
            f"{address}, without authentication"
        )
        give = error if security == "none" else warning
        yield give(sentence, "write security: curve into nowcast.yaml, or zmq.host: localhost")
    if ask_health(subject.paths.run / "message_broker.sock") is not None:
        return
    for name, port in (("workers", where.workers), ("manager", where.manager), ("events", events)):
        if port is not None and _is_taken(address, port):
            holder = holder_of(port) or "a process of another user"
            yield error(
                f"the port {port} (zmq.ports.{name}) is in use by {holder}",
                f"end that process, or give zmq.ports.{name} another number",
            )


def services(subject: Subject) -> Iterator[Finding]:
    """Failure means that a program of the user does not carry out its actions."""
    programs = service_programs(subject.config, subject.paths)
    system = observe(subject.paths, daemons_of(subject.config, subject.paths.run))
    if not programs or not system.runs or system.supervisor == "unknown":
        return
    for program, seen in zip(
        programs, service_states(subject.paths, programs, system), strict=True
    ):
        if seen.state in ("ready", "starting") or (
            seen.state == "stopped" and not program.autostart
        ):
            continue
        remedy = "start" if seen.state == "stopped" else "restart"
        yield error(
            f"the service {seen.name} is {seen.state}",
            f"tail {subject.paths.logs / f'{seen.name}.out'}; nowcast {remedy} {seen.name}",
        )


def leftovers(subject: Subject) -> Iterator[Finding]:
    """Failure means that something was left behind that no daemon takes care of."""
    run = subject.paths.run
    alive = {name: identity for name, identity in _pid_files(run) if is_alive(identity)}
    if "launcher" in alive and "manager" not in alive:
        yield note(
            f"the launcher of jobs (process {alive['launcher'].pid}) runs without a manager",
            "nowcast start uses it again, nowcast stop ends it",
        )
    known = {daemon.name for daemon in daemons_of(subject.config, run)} | {"launcher"}
    for name in sorted(alive.keys() - known):
        yield warning(
            f"process {alive[name].pid} is the {name.replace('_', ' ')} of this system, which "
            "its configuration does not ask for any more",
            f"kill {alive[name].pid}",
        )
    for socket_file in sorted(run.glob("*.sock")):
        if not somebody_listens(socket_file) and socket_file.stem not in alive:
            yield note(
                f"nobody listens on {socket_file}, which a killed process has left",
                "nothing: it is replaced when its daemon starts",
            )
    yield from _outbox(subject, "manager" in alive)


def _of_daemon(daemon: DaemonState, subject: Subject) -> Iterator[Finding]:
    words = daemon.name.replace("_", " ")
    if daemon.state not in ("ready", "starting", "in trouble"):
        log = subject.paths.logs / f"{daemon.name}.out"
        yield error(f"the {words} is {daemon.state}", f"tail {log}; nowcast restart {daemon.name}")
    if daemon.restarts:
        times = "once" if daemon.restarts == 1 else f"{daemon.restarts} times"
        yield warning(
            f"the {words} has ended {times} and was started again",
            f"see why: nowcast logs, and {subject.paths.logs / f'{daemon.name}.out'}",
        )
    trouble = daemon.health.get("trouble")
    if trouble:
        yield error(f"the {words} says: {trouble}", "mend that; it goes on by itself")
    for mistake in daemon.health.get("mistakes", ()):
        yield error(f"a scheduled item is not launched: {mistake}", "mend it, then: nowcast reload")
    broken = daemon.health.get("next workers", "ok")
    if broken != "ok":
        last = str(broken).strip().splitlines()[-1]
        yield error(
            f"next_workers cannot be loaded: {last}", "mend it; nowcast validate says where"
        )


def _outbox(subject: Subject, manager_lives: bool) -> Iterator[Finding]:
    folder = subject.paths.outbox
    waiting = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    old = [path for path in waiting if _age(path) > _LONG]
    if old and manager_lives:
        yield warning(
            f"{len(old)} messages lie in {folder} and are not taken in, the first {old[0].name}",
            "nowcast logs may say why; nowcast restart manager",
        )
    elif waiting and not manager_lives:
        yield note(
            f"{len(waiting)} messages of workers wait in {folder}", "nowcast start takes them in"
        )
    damaged = [*folder.glob("*.damaged"), *subject.paths.jobs.glob("*/*/outbox/*.damaged")]
    if damaged:
        yield warning(
            f"{len(damaged)} message{'s' if len(damaged) > 1 else ''} could not be read, "
            f"the first {damaged[0]}",
            "look at it, send again what it says, and remove it",
        )


def _pid_files(run: Path) -> Iterator[tuple[str, ProcessIdentity]]:
    for file in sorted(run.glob("*.pid")):
        try:
            yield file.stem, from_json(json.loads(file.read_bytes()))
        except (OSError, ValueError):
            continue  # supervisord's own holds a number


def _is_taken(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # taken in just now
        return 0.0
