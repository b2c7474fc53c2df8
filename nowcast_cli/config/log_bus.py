"""Where the log records of processes on other hosts go: one port of the log aggregator. Pure.

``zmq.ports.logs`` names it; otherwise it is the first free number after the broker's ports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nowcast_cli.config.settings import THIS_MACHINE, broker_host

# Set by who begins a job on another host: the file for the log records of that job.
OF_A_JOB = "NOWCAST_RECORDS"
TO_AGGREGATOR = "sending log messages to the log aggregator"


def names_a_port(config: Mapping[str, Any]) -> bool:
    """Tell whether the configuration has ``zmq.ports.logs``."""
    return _ports(config).get("logs") is not None


def bus_port(config: Mapping[str, Any]) -> int | None:
    """Give the port for records; None where nobody on another host can send any.

    A port of the wrong form counts as none: ``nowcast validate`` tells of it.
    """
    ports = _ports(config)
    if ports.get("logs") is not None:
        return _number(ports["logs"])
    if broker_host(config) in THIS_MACHINE:
        return None
    from nowcast_cli.config.logging_ports import publisher_ports

    taken = {_number(ports.get(name)) for name in ("workers", "manager", "events")}
    for process in _mapping(ports.get("logging")):
        taken |= {*publisher_ports(config, str(process))}
    port = max(_number(ports.get(name)) or 0 for name in ("workers", "manager")) + 1
    while port in taken:
        port += 1
    return port if 1 < port < 65536 else None


def job_records(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Give the file for the records of the job that this process is, or that has started it.

    None for a job of the broker's host, and for a process that is no job.
    """
    file = environment.get(OF_A_JOB)
    return Path(file) if file else None


def is_elsewhere(config: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process runs on another host than the system's log files."""
    if OF_A_JOB in environment:
        return True
    # What the launcher has forked is here, and needs no look at the names of hosts.
    if "NOWCAST_JOB_FOLDER" in environment or broker_host(config) in THIS_MACHINE:
        return False
    from nowcast_cli.config.log_publishing import is_elsewhere as is_of_another_machine

    return is_of_another_machine(broker_host(config))


def _ports(config: Mapping[str, Any]) -> Mapping[str, Any]:
    zmq = config.get("zmq")
    return _mapping(zmq.get("ports") if isinstance(zmq, Mapping) else None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    is_port = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
    return value if is_port else None
