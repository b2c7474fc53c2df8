"""Ports for the daemons of tests: no two tests that run at once are given the same one.

A port that was found free is bound some time later, and is free again while its daemon is down.
So each process of pytest has ports of its own, and gives none twice as long as there are others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import socket
from collections.abc import Iterator

# Below those that `nowcast init` draws, and those that the kernel gives to outgoing connections.
_LOWEST, _HIGHEST = 10_000, 20_000


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens at: all different, and not given before by this process."""
    ports: list[int] = []
    for port in _own_ports(os.getpid()):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            break
    return ports


def free_port() -> int:
    """Find one."""
    (port,) = free_ports(1)
    return port


@functools.cache  # by process: one that was forked draws anew
def _own_ports(process: int) -> Iterator[int]:
    """Give the ports of this process in an order by chance, again and again."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(_LOWEST, _HIGHEST)[number::processes])
    random.SystemRandom().shuffle(ports)
    return _again_and_again(ports)


def _again_and_again(ports: list[int]) -> Iterator[int]:
    while True:
        yield from ports
