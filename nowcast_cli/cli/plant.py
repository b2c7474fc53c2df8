"""What the commands that start and stop have in common: a plant that tells its progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.supervisor.daemons import Daemon
    from nowcast_cli.supervisor.plant import DaemonError, Plant
    from nowcast_cli.supervisor.service_control import ServicesNotReady
    from nowcast_cli.supervisor.services import ServiceProgram


def plant_of(system: System, out: Output) -> Plant:
    """Return what of a system is started and stopped; a terminal is shown the progress."""
    from nowcast_cli.supervisor.daemons import daemons_of
    from nowcast_cli.supervisor.plant import Plant
    from nowcast_cli.supervisor.services import service_programs

    def tell(sentence: str) -> None:
        if sys.stderr.isatty():
            out.note(Painted(f"{sentence} …", "dim"))

    return Plant(
        system.paths,
        daemons_of(system.config, system.paths.run),
        tell,
        services=service_programs(system.config, system.paths),
    )


def start_named(plant: Plant, named: Daemon | ServiceProgram) -> list[str]:
    """Start one daemon or service of a system that runs; gives its name, or nothing if it ran."""
    from nowcast_cli.supervisor.control import start_one
    from nowcast_cli.supervisor.daemons import Daemon
    from nowcast_cli.supervisor.service_control import start_services

    return start_one(plant, named) if isinstance(named, Daemon) else start_services(plant, [named])


def stop_named(plant: Plant, named: Daemon | ServiceProgram) -> list[str]:
    """Stop one daemon or service; gives the names of what was stopped."""
    from nowcast_cli.supervisor.control import stop_one
    from nowcast_cli.supervisor.daemons import Daemon
    from nowcast_cli.supervisor.service_control import stop_service

    return stop_one(plant, named) if isinstance(named, Daemon) else stop_service(plant, named)


def restart_named(plant: Plant, named: Daemon | ServiceProgram) -> list[str]:
    """Restart one daemon or service; gives its name."""
    from nowcast_cli.supervisor.control import restart_one
    from nowcast_cli.supervisor.daemons import Daemon
    from nowcast_cli.supervisor.service_control import restart_service

    if isinstance(named, Daemon):
        restart_one(plant, named)
    else:
        restart_service(plant, named)
    return [named.name]


def refuse_bad_configuration(system: System) -> None:
    """Raise ConfigError with all errors of the configuration; warnings are let pass."""
    from nowcast_cli.config.check import load_checked

    load_checked(system.paths.config_file)


def tell_of_flows(system: System, out: Output) -> None:
    """Say which mistakes of flows and actions a system runs with: what they are in does not."""
    from nowcast_cli.flows.loading import has_actions, has_flows

    if not has_flows(system.config) and not has_actions(system.config):
        return
    from nowcast_cli.flows.loading import declared

    errors = [each for each in declared(system.config).problems if each.severity == "error"]
    if not errors:
        return
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    out.note(Painted("warning: ", "yellow"), f"{errors[0].text}{more}")
    out.note("hint: nowcast flow validate; nowcast reload takes in what is mended")


def make_first_keys(system: System, out: Output) -> None:
    """Make the keys of a system that has never had any, as a deployment that was just cloned.

    Where some are there, a missing one is an accident to be looked at: the daemon that needs it
    says so. Says which hosts have no key as yet.
    """
    from nowcast_cli.security.source import security_of

    if security_of(system.config) != "curve":
        return
    from nowcast_cli.config.remote_hosts import remote_hosts
    from nowcast_cli.security.key_ring import KeyRing

    ring = KeyRing(system.paths.keys)
    if ring.is_new:
        ring.init()
        out.note(f"made the keys of this system in {ring.folder}; nowcast key list shows them")
    roster = ring.roster()
    for host in remote_hosts(system.config, str(system.paths.config_file)):
        if roster.key_of_host(host) is None:
            out.note(f"jobs on {host} cannot connect: nowcast key add --role worker --host {host}")


def show_last_lines(error: DaemonError | ServicesNotReady, out: Output) -> None:
    """Print what the daemon or the services that are not ready had printed last."""
    from nowcast_cli.supervisor.plant import DaemonError

    if isinstance(error, DaemonError):
        for line in error.log:
            out.note("  ", line)
        return
    for service in error.services:
        for line in service.log:
            out.note(f"  {service.name}: ", line)


def jobs_that_go_on(system: System) -> int:
    """Count the jobs that run, by the store; 0 when there is none yet."""
    from nowcast_cli.errors import NowcastError
    from nowcast_cli.store.reader import Reader

    try:
        with Reader(system.paths.database) as reader:
            return reader.counts()["running"]
    except NowcastError:  # stopping must not fail because nobody can count
        return 0
