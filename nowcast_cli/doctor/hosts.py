"""The hosts on which workers are run by ssh."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

from nowcast_cli.config.log_bus import bus_port
from nowcast_cli.config.remote_hosts import THIS_MACHINE, RemoteHost, remote_hosts
from nowcast_cli.config.settings import broker_host, endpoints
from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning
from nowcast_cli.executors.ssh_command import advice

_MEGABYTE = 1 << 20
_TOO_LITTLE, _LITTLE = 100 * _MEGABYTE, 1024 * _MEGABYTE
_TOO_FAR = 2.0  # seconds by which clocks may differ

_Seen = tuple[dict[str, Any] | str, float, float]  # the answer or why there is none; when asked


def other_hosts(subject: Subject) -> Iterator[Finding]:
    """Failure means that workers cannot run on a host, or that what they tell cannot be used."""
    hosts = remote_hosts(subject.config, str(subject.file))
    if not hosts:
        return
    with TemporaryDirectory(prefix="nowcast-") as elsewhere:
        run = subject.paths.run if subject.paths.run.is_dir() else Path(elsewhere)
        with ThreadPoolExecutor(len(hosts)) as pool:
            seen = pool.map(lambda host: _ask(host, run, _places(subject)), hosts.values())
            for host, found in zip(hosts.values(), seen, strict=True):
                yield from findings(host, *found)


def findings(
    host: RemoteHost, answer: Mapping[str, Any] | str, before: float, after: float
) -> Iterator[Finding]:
    """Say what is wrong with a host.

    ``answer`` is that of ``remote_probe``, or a sentence that says why there is none; it was
    asked for between the times ``before`` and ``after``, in seconds.
    """
    if isinstance(answer, str):
        yield error(answer, advice(host, answer))
        return
    where = f"host {host.name}"
    yield note(f"{where} is {answer['node']}, with Python {answer['python']}")
    if answer["writable"] is not None:
        yield error(
            f"the folder {answer['root']} on {where} cannot be written: {answer['writable']}",
            f"name another one: run: enabled hosts: {host.name}: state directory",
        )
    if answer["config_file"] is not None:
        yield error(
            f"{host.config_file} on {where} cannot be read: {answer['config_file']}",
            f"put it there, or name its place: run: enabled hosts: {host.name}: config file",
        )
    if not host.shared_storage:
        yield from _rsync(where, answer["rsync"])
    yield from _clock(where, answer["time"], before, after)
    free = answer["free"]
    if free is not None and free < _LITTLE:
        give = error if free < _TOO_LITTLE else warning
        yield give(
            f"{free // _MEGABYTE} MB are free on the disk of {answer['root']} on {where}",
            f"make room there; ssh {host.name} du -sh {answer['root']}/jobs says what jobs hold",
        )
    for place, why in answer["reach"].items():
        if why is not None:
            yield warning(
                f"workers on {where} do not reach {place}: {why}",
                "see that the daemons run (nowcast status), and that no firewall is in the way",
            )


def _rsync(where: str, there: bool) -> Iterator[Finding]:
    for machine, has in ((where, there), ("this machine", which("rsync") is not None)):
        if not has:
            yield error(
                f"{machine} has no rsync: inputs of steps are not sent to {where}, nor are "
                "outputs fetched from it",
                f"install the package rsync on {machine}",
            )


def _clock(where: str, there: float, before: float, after: float) -> Iterator[Finding]:
    """Doubt a clock that is off by more than the time for the question can explain."""
    off = there - before if there < before else there - after if there > after else 0.0
    if abs(off) > _TOO_FAR:
        yield warning(
            f"the clock of {where} is {abs(off):.0f} s {'fast' if off > 0 else 'slow'} against "
            "this one, and so are the times of its log records",
            "see that a time service (chrony, systemd-timesyncd) sets both",
        )


def _places(subject: Subject) -> list[tuple[str, int]]:
    """Give what workers of other hosts have to reach, where that is this machine's own name."""
    host = broker_host(subject.config)
    if host in THIS_MACHINE:
        return []
    ports = (endpoints(subject.config).workers, bus_port(subject.config))
    return [(host, port) for port in ports if port is not None]


def _ask(host: RemoteHost, run: Path, places: list[tuple[str, int]]) -> _Seen:
    from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall

    order = {
        "what": "probe",
        "root": host.state_directory,
        "config_file": host.config_file,
        "reach": places,
    }
    before = time.time()
    try:
        answer: dict[str, Any] | str = SshCall(run).exchange(host, order)
    except NoExchangeError as problem:
        answer = str(problem)
    return answer, before, time.time()
