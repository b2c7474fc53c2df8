"""What the commands that start and stop have in common: a plant that tells its progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output, Painted

if TYPE_CHECKING:
    from nowcast_cli.supervisor.control import DaemonError, Plant


def plant_of(system: System, out: Output) -> Plant:
    """Return the daemons of a system; progress is shown where somebody sits before a terminal."""
    from nowcast_cli.supervisor.control import Plant
    from nowcast_cli.supervisor.daemons import daemons_of

    def tell(sentence: str) -> None:
        if sys.stderr.isatty():
            out.note(Painted(f"{sentence} …", "dim"))

    return Plant(system.paths, daemons_of(system.config, system.paths.run), tell)


def refuse_bad_configuration(system: System) -> None:
    """Raise ConfigError with all errors of the configuration; warnings are let pass."""
    from nowcast_cli.config.check import load_checked

    load_checked(system.paths.config_file)


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


def show_last_lines(error: DaemonError, out: Output) -> None:
    """Print what the daemon that failed had printed last."""
    for line in error.log:
        out.note("  ", line)


def jobs_that_go_on(system: System) -> int:
    """Count the jobs that run, by the store; 0 when there is none yet."""
    from nowcast_cli.errors import NowcastError
    from nowcast_cli.store.reader import Reader

    try:
        with Reader(system.paths.database) as reader:
            return reader.counts()["running"]
    except NowcastError:  # stopping must not fail because nobody can count
        return 0
