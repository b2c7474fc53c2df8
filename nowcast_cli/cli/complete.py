"""What TAB offers for arguments: names and ids of the system that the command is about.

A shell waits for these functions, so they read little and never fail: no system, no names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import typer

from nowcast_cli.cli.context import System, system_of
from nowcast_cli.errors import NowcastError

Completion: TypeAlias = Callable[[typer.Context, str], list[str]]

_OFFERED = 50
# Other text would have to be quoted, in each shell in another way.
_PLAIN = re.compile(r"[\w.:@%+/-]+")


def workers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of workers."""
    from nowcast_cli.config.workers import known_workers

    return _beginning(ctx, incomplete, lambda system: known_workers(system.config))


def held_workers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the workers that are held."""
    return _beginning(ctx, incomplete, _held)


def daemons_and_services(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the services and the daemons."""
    from nowcast_cli.config.services import services_of
    from nowcast_cli.supervisor.daemons import daemons_of

    def names(system: System) -> list[str]:
        daemons = daemons_of(system.config, system.paths.run)
        return [*services_of(system.config), *(daemon.name for daemon in daemons)]

    return _beginning(ctx, incomplete, names)


def hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the enabled hosts."""
    from nowcast_cli.config.remote_hosts import remote_hosts

    def names(system: System) -> list[str]:
        return [*remote_hosts(system.config, str(system.paths.config_file))]

    return _beginning(ctx, incomplete, names)


def executors(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the executors and the hosts on which workers may be run."""
    from nowcast_cli.config.executors import executors_of

    def names(system: System) -> list[str]:
        return executors_of(system.config)[0].names()

    return _beginning(ctx, incomplete, names)


def topics(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the streams of events, and flows."""
    from nowcast_cli.messages.event import BEACON, SYSTEM_STREAMS

    def names(system: System) -> list[str]:
        flows = system.config.get("flows")
        named = flows if isinstance(flows, dict) else {}
        return [*sorted(SYSTEM_STREAMS - {BEACON}), *(f"flows~{name}" for name in named)]

    return _beginning(ctx, incomplete, names)


def keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of keys."""
    from nowcast_cli.security.key_ring import BROKER, KeyRing

    def names(system: System) -> list[str]:
        entries = KeyRing(system.paths.keys).roster().current_entries()
        return [BROKER, *(entry.name for entry in entries)]

    return _beginning(ctx, incomplete, names)


def agents(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of agents."""

    def names(system: System) -> list[str]:
        from nowcast_cli.store.reader import Reader

        with Reader(system.paths.database) as reader:
            return [agent.name for agent in reader.agents()]

    return _beginning(ctx, incomplete, names)


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the short ids of the latest jobs and ensembles, newest first."""
    return _beginning(ctx, incomplete, lambda system: _job_ids(system, None))


def unfinished_jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the short ids of the jobs that can be cancelled."""
    from nowcast_cli.store.records import UNFINISHED_STATES

    return _beginning(ctx, incomplete, lambda system: _job_ids(system, UNFINISHED_STATES))


def messages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the numbers of the latest messages, newest first."""
    return _beginning(ctx, incomplete, lambda system: _message_numbers(system, None))


def stuck_messages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the numbers of the messages that can be taken again."""
    return _beginning(ctx, incomplete, lambda system: _message_numbers(system, {"stuck"}))


def scheduled_items(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the items of the schedule."""
    return _beginning(ctx, incomplete, _items)


def flows(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of flows."""

    def names(system: System) -> list[str]:
        from nowcast_cli.flows.loading import declared

        return [*declared(system.config).flows]

    return _beginning(ctx, incomplete, names)


def products(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the products that are declared."""
    from nowcast_cli.config.products import products_of

    return _beginning(ctx, incomplete, lambda system: products_of(system.config))


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the short ids of the latest runs of flows, newest first."""

    def ids(system: System) -> list[str]:
        from nowcast_cli.store.reader import Reader

        with Reader(system.paths.database) as reader:
            return [run.id[-8:] for run in reader.flow_runs(limit=_OFFERED)]

    return _beginning(ctx, incomplete, ids)


def checklist_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the keys of the checklist."""
    return _beginning(ctx, incomplete, _keys)


def _beginning(
    ctx: typer.Context, incomplete: str, names: Callable[[System], Iterable[str]]
) -> list[str]:
    try:
        return [
            name
            for name in names(system_of(ctx))
            if name.startswith(incomplete) and _PLAIN.fullmatch(name)
        ]
    except (NowcastError, OSError):
        return []


def _job_ids(system: System, states: frozenset[str] | None) -> list[str]:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import short_id

    with Reader(system.paths.database) as reader:
        found = reader.ensembles(limit=_OFFERED) if states is None else reader.open_ensembles()
        jobs = reader.jobs(states=states, limit=_OFFERED)
        ids = [*(ensemble.id for ensemble in found), *(job.id for job in jobs)]
        return [short_id(each) for each in sorted(ids, reverse=True)[:_OFFERED]]


def _message_numbers(system: System, states: set[str] | None) -> list[str]:
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return [str(message.number) for message in reader.messages(states=states, limit=_OFFERED)]


def _keys(system: System) -> list[str]:
    from nowcast_cli.store.checklist_file import read_checklist

    return [str(key) for key in read_checklist(system.paths.checklist_file)]


def _held(system: System) -> list[str]:
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return [hold.worker for hold in reader.holds() if hold.worker is not None]


def _items(system: System) -> list[str]:
    from nowcast_cli.config.schedule import schedule_of
    from nowcast_cli.scheduler.plan import items_of_flows

    schedule = schedule_of(system.config, items_of_flows(system.config))
    return [item.name for item in schedule.items]
