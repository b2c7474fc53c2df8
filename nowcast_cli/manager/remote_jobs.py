"""The jobs that run on other hosts: which of them may be used, and who runs jobs there."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import JobRequest


class RemoteExecutor(Protocol):
    """What runs jobs elsewhere, and brings what their folders there tell into those here."""

    def fileno(self) -> int:
        """Give a descriptor that is readable when something may have happened."""

    def use(self, host: RemoteHost) -> None:
        """Go on with a configuration that was reloaded."""

    def submit(self, job: JobRequest) -> None:
        """Have a job begun as soon as that is possible; never blocks, may be repeated."""

    def follow(self, job: JobRequest) -> None:
        """Look at a job that was begun before."""

    def cancel(self, job: JobRequest) -> None:
        """Keep a job from beginning, or end it, as soon as that is possible."""

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""

    def has_gone(self, job_id: str) -> bool:
        """Say whether it is certain that a job's processes have ended without a word."""

    def age(self, job_id: str) -> float | None:
        """Give the seconds since a job's process began; None while that is not known."""

    def trouble(self) -> str | None:
        """Say why nothing is known of the jobs there, None where it is."""

    def hints(self) -> list[str]:
        """Give the ids of jobs whose folder here is worth reading now."""

    def close(self) -> None:
        """Let go; the jobs go on."""


def over_ssh(host: RemoteHost, run: Path, keys: Path | None) -> RemoteExecutor:
    """Give what runs the jobs of a host.

    ``run`` is the folder for sockets, ``keys`` that of keys, None for a system without.
    """
    from nowcast_cli.executors.ssh import SshExecutor  # few systems have other hosts

    return SshExecutor(host, run, keys=keys)


class RemoteJobs:
    """Has an executor for each host that jobs are for, once the first one is."""

    def __init__(
        self, hosts: Mapping[str, RemoteHost], make: Callable[[RemoteHost], RemoteExecutor]
    ) -> None:
        self._hosts = hosts
        self._make = make
        self._executors: dict[str, RemoteExecutor] = {}
        self._poll = select.epoll()

    def fileno(self) -> int:
        """Give the descriptor to poll."""
        return self._poll.fileno()

    def use(self, hosts: Mapping[str, RemoteHost]) -> None:
        """Go on with a configuration that was reloaded; jobs of a host that it lacks go on."""
        self._hosts = hosts
        for name, executor in self._executors.items():
            if name in hosts:
                executor.use(hosts[name])

    def on(self, host: str) -> RemoteExecutor:
        """Give the executor of a host. Raises NowcastError where it is not an enabled one."""
        if host not in self._executors:
            if host not in self._hosts:
                enabled = ", ".join(self._hosts) or "none"
                raise NowcastError(
                    f"the host {host!r} is not among `run: enabled hosts` ({enabled})",
                    hint="add it there, then nowcast reload",
                )
            self._executors[host] = self._make(self._hosts[host])
            self._poll.register(self._executors[host].fileno(), select.EPOLLIN)
        return self._executors[host]

    def hints(self) -> list[str]:
        """Give the ids of jobs whose folder here is worth reading now."""
        return [job_id for executor in self._executors.values() for job_id in executor.hints()]

    def trouble(self) -> str | None:
        """Say what is wrong with hosts that jobs are on, None where nothing is."""
        said = [executor.trouble() for executor in self._executors.values()]
        return "; ".join(sentence for sentence in said if sentence) or None

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""
        for executor in self._executors.values():
            executor.forget(job_id)

    def close(self) -> None:
        """Let go of all hosts; the jobs go on."""
        for executor in self._executors.values():
            executor.close()
        self._poll.close()
