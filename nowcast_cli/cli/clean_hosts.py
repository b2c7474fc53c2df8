"""Removing on other hosts the folders of jobs that are removed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast_cli.cli.cleaning import Removal
from nowcast_cli.cli.context import System
from nowcast_cli.errors import NotFound

if TYPE_CHECKING:
    from nowcast_cli.config.remote_hosts import RemoteHost
    from nowcast_cli.executors.ssh_call import SshCall

_AT_ONCE = 200  # folders; an exchange may take a minute
_LENGTH_OF_AN_ID = 36


def removals_elsewhere(system: System, found: Sequence[Removal]) -> dict[str, list[Removal]]:
    """Give, by enabled host, what of jobs that ran there is to be removed there too."""
    hosts = _hosts(system)
    folders = [removal for removal in found if removal.kind != "log"] if hosts else []
    by_host: dict[str, list[Removal]] = {}
    for removal, host in zip(folders, _hosts_of_jobs(system, folders), strict=True):
        if host in hosts:
            by_host.setdefault(host, []).append(removal)
    return by_host


def remove_elsewhere(system: System, by_host: Mapping[str, Sequence[Removal]]) -> dict[Path, str]:
    """Remove on the hosts; gives what could not be, by the path that it has here, and why.

    What could not be removed there should stay here: by it, it is known.
    """
    from nowcast_cli.executors.ssh_call import SshCall

    hosts = _hosts(system)

    def of(name: str) -> dict[Path, str]:
        return _remove(SshCall(system.paths.run), hosts[name], by_host[name], system.paths.state)

    failed: dict[Path, str] = {}
    with ThreadPoolExecutor(len(by_host) or 1) as pool:
        for found in pool.map(of, by_host):
            failed |= found
    return failed


def _remove(
    call: SshCall, host: RemoteHost, removals: Sequence[Removal], state: Path
) -> dict[Path, str]:
    from nowcast_cli.executors.ssh_call import NoExchangeError

    failed: dict[Path, str] = {}
    names = {str(removal.path.relative_to(state)): removal.path for removal in removals}
    for first in range(0, len(names), _AT_ONCE):
        some = [*names][first : first + _AT_ONCE]
        order = {"what": "clean", "root": host.state_directory, "remove": some}
        try:
            answer = call.exchange(host, order)
        except NoExchangeError as error:
            left = [*names][first:]
            return failed | dict.fromkeys((names[name] for name in left), str(error))
        why = dict(sentence.split(": ", 1) for sentence in answer["trouble"])
        for name in set(some) - set(answer["removed"]):
            reason = why.get(name, "it is still there")
            failed[names[name]] = f"{name} on host {host.name}: {reason}"
    return failed


def _hosts(system: System) -> dict[str, RemoteHost]:
    from nowcast_cli.config.remote_hosts import remote_hosts

    return remote_hosts(system.config, str(system.paths.config_file))


def _hosts_of_jobs(system: System, removals: Sequence[Removal]) -> Iterator[str | None]:
    from nowcast_cli.store.reader import Reader

    if not removals:
        return
    with Reader(system.paths.database) as reader:
        for removal in removals:
            folder = removal.path if removal.kind == "job" else removal.path.parent
            try:
                yield reader.job(folder.name[:_LENGTH_OF_AN_ID]).host
            except NotFound:
                yield None  # it is older than the journal
