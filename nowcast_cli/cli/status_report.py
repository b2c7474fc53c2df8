"""What there is to say of a system: daemons, services, jobs, and what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nowcast_cli.cli.context import System
from nowcast_cli.cli.late_products import LateProduct, late_products
from nowcast_cli.cli.service_report import ServiceReport, service_as_json, services_of_system
from nowcast_cli.config.paths import other_owner
from nowcast_cli.errors import Degraded, NotFound, NotRunning, NowcastError
from nowcast_cli.store.reader import Reader
from nowcast_cli.supervisor.daemons import daemons_of
from nowcast_cli.supervisor.observe import DaemonState, SystemState, observe

if TYPE_CHECKING:
    from nowcast_cli.scheduler.overdue import Overdue
    from nowcast_cli.store.flow_records import FlowRunRecord
    from nowcast_cli.store.job_loads import Load
    from nowcast_cli.store.records import (
        BarrierRecord,
        EnsembleRecord,
        HoldRecord,
        JobRecord,
        MessageRecord,
    )

Verdict: TypeAlias = Literal["well", "degraded", "stopped", "unknown"]


@dataclass(frozen=True)
class Stored:
    """What the store says. ``trouble`` is why it says nothing, None when it does."""

    counts: Mapping[str, int]
    stuck: tuple[MessageRecord, ...] = ()
    barriers: tuple[BarrierRecord, ...] = ()
    never_started: bool = False
    trouble: str | None = None
    overdue: tuple[Overdue, ...] = ()
    holds: tuple[HoldRecord, ...] = ()
    ensembles: tuple[tuple[EnsembleRecord, Mapping[str, int]], ...] = ()
    slow: tuple[JobRecord, ...] = ()
    loads: tuple[Load, ...] = ()
    flow_runs: tuple[FlowRunRecord, ...] = ()
    late: tuple[LateProduct, ...] = ()


@dataclass(frozen=True)
class Report:
    """The state of a system at one instant."""

    config_file: Path
    state: SystemState
    stored: Stored
    trouble: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    services: tuple[ServiceReport, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How it is, in a word."""
        if self.state.supervisor == "unknown":
            return "unknown"
        if not self.state.runs:
            return "stopped"
        stored = self.stored
        needs_somebody = (
            stored.stuck or stored.overdue or stored.slow or stored.late or self.trouble
        )
        is_well = self.state.is_well and all(service.is_well for service in self.services)
        return "well" if is_well and not needs_somebody else "degraded"

    @property
    def exit_code(self) -> int:
        """The exit code that says it."""
        return {
            "well": 0,
            "stopped": NotRunning.exit_code,
            "degraded": Degraded.exit_code,
            "unknown": NowcastError.exit_code,
        }[self.verdict]


def gather(system: System) -> Report:
    """Look at the daemons and at the store; works with every daemon down."""
    state = observe(system.paths, daemons_of(system.config, system.paths.run))
    stored = _read(system)
    trouble = trouble_in(state.daemons, stored)
    owner = other_owner(system.paths.run)
    if owner is not None:
        trouble = (f"only {owner} sees whether the daemons run; run nowcast as {owner}", *trouble)
    warnings = (*_warnings(system.config), *_not_reloaded(system, state))
    services = services_of_system(system, state)
    return Report(system.paths.config_file, state, stored, trouble, warnings, services)


def _warnings(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what works, and should not be so."""
    from nowcast_cli.config.settings import broker_host, is_loopback

    host = broker_host(config)
    if config.get("security") is not None or is_loopback(host):
        return ()
    return (
        f"the ports on {host} are open to all who reach them, without authentication: write "
        "security: curve into nowcast.yaml",
    )


def _not_reloaded(system: System, state: SystemState) -> tuple[str, ...]:
    from nowcast_cli.cli.asking import not_reloaded

    said = (not_reloaded(system, each.health) for each in state.daemons if each.name == "manager")
    return tuple(sentence for sentence in said if sentence)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as ``nowcast status --json`` prints it."""
    from nowcast_cli.cli import ensemble_view

    return {
        "system": {"state": report.verdict, "config": str(report.config_file)},
        "supervisor": report.state.supervisor,
        "daemons": [daemon_as_json(daemon) for daemon in report.state.daemons],
        "services": [service_as_json(service) for service in report.services],
        "counts": dict(report.stored.counts),
        "stuck": [
            {
                "number": message.number,
                "source": message.source,
                "type": message.type,
                "error": first_line(message.error),
            }
            for message in report.stored.stuck
        ],
        "barriers": [
            {
                "number": barrier.number,
                "workers": list(barrier.workers),
                "waiting for": list(barrier.waiting_for),
                "since": barrier.created,
            }
            for barrier in report.stored.barriers
        ],
        "ensembles": [
            ensemble_view.as_json(ensemble, left) for ensemble, left in report.stored.ensembles
        ],
        "flow runs": [
            {"run": run.id, "flow": run.flow, "created": run.created, "at": list(run.at)}
            for run in report.stored.flow_runs
        ],
        "holds": [{"worker": hold.worker, "since": hold.since} for hold in report.stored.holds],
        "overdue": [
            {
                "worker": late.worker,
                "expected by": late.deadline.isoformat(),
                "last success": late.last_success,
                "what": late.what,
            }
            for late in report.stored.overdue
        ],
        "late products": [
            {"product": each.product, "reference_time": each.reference}
            for each in report.stored.late
        ],
        "slow": [
            {"job": job.id, "worker": job.worker, "started": job.started, "since": job.slow}
            for job in report.stored.slow
        ],
        "executors": [
            {
                "executor": load.executor,
                "host": load.host,
                "state": load.state,
                "native": load.native,
                "unknown": load.unknown,
                "jobs": load.count,
            }
            for load in report.stored.loads
        ],
        "trouble": list(report.trouble),
        "warnings": list(report.warnings),
    }


def first_line(error: str | None) -> str:
    """Return the line of an error that says what it was: of a traceback that is the last."""
    lines = [line for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return "no reason is known"
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def daemon_as_json(daemon: DaemonState) -> dict[str, Any]:
    """Give a daemon for JSON."""
    return {
        "name": daemon.name,
        "state": daemon.state,
        "pid": daemon.pid,
        "since": daemon.since,
        "restarts": daemon.restarts,
        "health": dict(daemon.health),
    }


def _read(system: System) -> Stored:
    import sqlite3

    from nowcast_cli.store.integrity import MENDED_BY

    database = system.paths.database
    try:
        with Reader(database) as reader:
            stuck = reader.messages(states=["stuck"], limit=None)
            return Stored(
                reader.counts(_midnight()),
                tuple(stuck[::-1]),
                tuple(reader.barriers()),
                overdue=_overdue(reader, system.config),
                holds=tuple(reader.holds()),
                ensembles=tuple(
                    (each, reader.unfinished_members(each)) for each in reader.open_ensembles()
                ),
                slow=tuple(reader.slow_jobs()),
                loads=tuple(reader.loads()),
                flow_runs=tuple(reader.open_flow_runs()),
                late=late_products(reader, system.config),
            )
    except NotFound:
        return Stored({}, never_started=True)
    except NowcastError as error:
        said = f"{error.what} ({error.cause})" if error.cause else error.what
        return Stored({}, trouble=f"{said}; {error.hint}" if error.hint else said)
    except sqlite3.Error as error:
        return Stored({}, trouble=f"the store {database} cannot be read ({error}); {MENDED_BY}")


def _overdue(reader: Reader, config: Mapping[str, Any]) -> tuple[Overdue, ...]:
    from nowcast_cli.config.settings import expects_workers

    if not expects_workers(config):
        return ()
    from nowcast_cli.config.expectations import expectations_of
    from nowcast_cli.scheduler.overdue import overdue

    expectations, _ = expectations_of(config)
    began = reader.first_received()
    return tuple(overdue(expectations, reader.last_success, began, datetime.now(UTC)))


def trouble_in(daemons: tuple[DaemonState, ...], stored: Stored) -> tuple[str, ...]:
    """Give the sentences about what needs somebody, beside stuck messages and overdue workers."""
    sentences = []
    for daemon in daemons:
        said = daemon.health.get("next workers", "ok")
        if said != "ok":
            sentences.append(f"next_workers cannot be used: {first_line(said)}")
        if daemon.health.get("refused"):
            why = first_line(daemon.health["refused"])
            sentences.append(f"a changed next_workers was refused, the old one goes on: {why}")
        if daemon.health.get("trouble"):
            sentences.append(first_line(daemon.health["trouble"]))
        for mistake in daemon.health.get("mistakes", ()):
            sentences.append(f"a scheduled item is not launched: {mistake}")
    if stored.trouble:
        sentences.append(stored.trouble)
    if stored.never_started and any(
        daemon.name == "manager" and daemon.lives for daemon in daemons
    ):
        sentences.append("the store has been removed under the manager: nowcast doctor")
    return tuple(sentences)


def _midnight() -> str:
    """Return the begin of the day, as people here see it, in the form of the store."""
    local = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
