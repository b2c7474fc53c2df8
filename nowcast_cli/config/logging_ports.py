"""``zmq.ports.logging``: where processes of a distributed system publish their logs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORKERS = "workers"


def publisher_ports(config: Mapping[str, Any], process: str) -> tuple[int, ...]:
    """Give the ports that ``process`` may bind, in order; those of all workers come last."""
    section = _section(config)
    entries = [*_listed(section.get(process)), *_listed(section.get(WORKERS))]
    ports = [_port(entry) for entry in entries]
    return tuple(dict.fromkeys(port for port in ports if port is not None))


def publisher_addresses(config: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the addresses ``host:port`` of all publishers, which the aggregator connects to.

    First those on other hosts, then those on the host of the message broker, whose ports stand
    without a host.
    """
    zmq = config.get("zmq")
    host = (zmq.get("host") if isinstance(zmq, Mapping) else None) or "localhost"
    entries = [entry for value in _section(config).values() for entry in _listed(value)]
    usable = dict.fromkeys(entry for entry in entries if _port(entry) is not None)
    elsewhere = tuple(entry for entry in usable if ":" in str(entry))
    here = tuple(f"{host}:{entry}" for entry in usable if ":" not in str(entry))
    return elsewhere, here


def _section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    at: Any = config
    for key in ("zmq", "ports", "logging"):
        at = at.get(key) if isinstance(at, Mapping) else None
    return at if isinstance(at, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _port(entry: Any) -> int | None:
    text = str(entry).rpartition(":")[2]
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 65536 else None
