"""What runs jobs elsewhere than below our own launcher: the contract of all such executors.

An executor holds no truth of its own. It begins, follows and ends jobs in a thread, and sees to
it that their folders on this machine tell what has become of them; the manager reads those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nowcast_cli.config.executors import HERE, Executors, ExecutorSettings, Place
from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Native, Verdict


@dataclass(frozen=True)
class Target:
    """An executor as it is configured, with the host that it is reached on; None is this one."""

    settings: ExecutorSettings
    host: RemoteHost | None = None


@dataclass(frozen=True)
class Surroundings:
    """The system that an executor belongs to.

    ``python`` is the interpreter of its workers on this machine; ``keys`` the folder of keys,
    None for a system without.
    """

    paths: SystemPaths
    python: str
    keys: Path | None = None


class RemoteExecutor(Protocol):
    """Runs jobs elsewhere; no method blocks."""

    def fileno(self) -> int:
        """Give a descriptor that is readable when something may have happened."""

    def use(self, target: Target) -> None:
        """Go on with a configuration that was reloaded."""

    def submit(self, job: JobRequest) -> None:
        """Have a job begun as soon as that is possible; may be repeated.

        Raises NowcastError where it never can be.
        """

    def follow(self, job: JobRequest) -> None:
        """Look at a job that was begun before, by an earlier manager."""

    def cancel(self, job: JobRequest) -> None:
        """Keep a job from beginning, or end it, as soon as that is possible."""

    def forget(self, job_id: str) -> None:
        """Look at a job no more; it may be one of another executor."""

    def verdict(self, job_id: str) -> Verdict | None:
        """Say how a job ended that left no ``exit``, or one that tells of a signal alone.

        None while it may live, and where nothing is known.
        """

    def asks(self, job_id: str) -> bool:
        """Say whether it is being found out why a job ended: until then its end is not taken in.

        So what its batch system says of it (its memory, its time) is told, and not a bare signal.
        """

    def native(self, job_id: str) -> Native | None:
        """Say what the system beneath calls a job and its state; None where there is none.

        A job whose ``native`` has changed is named by :meth:`hints`.
        """

    def age(self, job_id: str) -> float | None:
        """Give the seconds since a job's process began; None while that is not known."""

    def trouble(self) -> str | None:
        """Say why nothing is known of the jobs there, None where it is."""

    def hints(self) -> list[str]:
        """Give the ids of jobs of which there is news: in their folder here, or in this object."""

    def close(self) -> None:
        """Let go; the jobs go on."""


Maker = Callable[[Target, Surroundings], RemoteExecutor]


def target_of(executors: Executors, hosts: Mapping[str, RemoteHost], place: Place) -> Target:
    """Give the executor at a place. Raises NowcastError where the configuration lacks it."""
    settings = executors.at(place)
    if settings is None:
        raise _unknown(executors, place)
    name = None if place.host == HERE else place.host
    if name is None:
        return Target(settings)
    if name not in hosts:
        raise _unknown_host(hosts, name)
    host = hosts[name]
    return Target(
        settings, host if settings.python is None else replace(host, python=settings.python)
    )


def _unknown(executors: Executors, place: Place) -> NowcastError:
    if place.executor == place.host or place.host != HERE:
        enabled = dict.fromkeys(executors.hosts)
        return _unknown_host(enabled, place.host)
    return NowcastError(
        f"there is no executor {place.executor!r} ({', '.join(executors.names())})",
        hint="declare it below `executors:`, then nowcast reload",
    )


def _unknown_host(hosts: Mapping[str, object], name: str) -> NowcastError:
    return NowcastError(
        f"the host {name!r} is not among `run: enabled hosts` ({', '.join(hosts) or 'none'})",
        hint="add it there, then nowcast reload",
    )
