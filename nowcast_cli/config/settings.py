"""Single settings that several rooms read, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.errors import ConfigError

# What upstream's configurations and NextWorker call the machine of the manager.
THIS_MACHINE = frozenset({"localhost", "127.0.0.1"})
DEADLINE_OF_A_MESSAGE = 60.0
DEADLINE_OF_NEXT_WORKERS = 30.0


@dataclass(frozen=True)
class Endpoints:
    """Where the message broker listens: for workers, and for the manager."""

    host: str
    workers: int
    manager: int


@dataclass(frozen=True)
class MessageSettings:
    """How clients send: whether a request may be repeated, and for how many seconds."""

    repeat: bool
    deadline: float


def endpoints(config: Mapping[str, Any]) -> Endpoints:
    """Read ``zmq``. Raises ConfigError when a port is missing or is none."""
    section = _section(config, "zmq")
    ports = section.get("ports")
    ports = ports if isinstance(ports, Mapping) else {}
    return Endpoints(
        host=str(section.get("host") or "localhost"),
        workers=_port(ports, "workers"),
        manager=_port(ports, "manager"),
    )


def events_port(config: Mapping[str, Any]) -> int | None:
    """Read ``zmq.ports.events``: where other hosts subscribe to events; None where none can.

    Raises ConfigError when it is no port.
    """
    ports = _section(config, "zmq").get("ports")
    if not isinstance(ports, Mapping) or ports.get("events") is None:
        return None
    return _port(ports, "events")


def message_settings(config: Mapping[str, Any]) -> MessageSettings:
    """Read ``messages: {repeat: always|never, deadline: seconds}``."""
    section = _section(config, "messages")
    return MessageSettings(
        repeat=section.get("repeat", "always") != "never",
        deadline=_seconds(section, "messages", DEADLINE_OF_A_MESSAGE),
    )


def next_workers_deadline(config: Mapping[str, Any]) -> float:
    """Read ``next workers: {deadline: seconds}``: how long an after_ function may take."""
    return _seconds(_section(config, "next workers"), "next workers", DEADLINE_OF_NEXT_WORKERS)


def concurrency_of_system(config: Mapping[str, Any]) -> int | None:
    """Read ``jobs: {concurrency: N}``: how many jobs may run at once, None for no limit."""
    most = _section(config, "jobs").get("concurrency")
    if most is None or (isinstance(most, int) and not isinstance(most, bool) and most > 0):
        return most
    raise ConfigError(
        f"jobs.concurrency: must be a whole number above 0, not {most!r}", hint=_VALIDATE
    )


def wants_scheduler(config: Mapping[str, Any]) -> bool:
    """Tell whether anything is scheduled, or expected at a time: the scheduler sees to both."""
    scheduled = bool(config.get("scheduled workers")) or begins_flows(config, "schedule")
    return scheduled or expects_workers(config)


def begins_flows(config: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a ``schedule`` or a ``file`` begins runs of any flow; looks at keys alone."""
    flows = config.get("flows")
    for flow in flows.values() if isinstance(flows, Mapping) else ():
        # The plain word `on` is true in YAML.
        on = (flow.get(True) or flow.get("on")) if isinstance(flow, Mapping) else None
        triggers = on if isinstance(on, list) else [on]
        if any(isinstance(trigger, Mapping) and kind in trigger for trigger in triggers):
            return True
    return False


def expects_workers(config: Mapping[str, Any]) -> bool:
    """Tell whether any worker is expected at a time; looks at keys alone."""
    return any("expect by" in entry or "within" in entry for _, entry in registered_workers(config))


def registered_workers(config: Mapping[str, Any]) -> list[tuple[Any, dict[Any, Any]]]:
    """Give the workers of the registry as they stand there; those of a wrong form are left out."""
    registry = config.get("message registry")
    workers = registry.get("workers") if isinstance(registry, Mapping) else None
    entries = workers.items() if isinstance(workers, Mapping) else ()
    return [(name, entry) for name, entry in entries if isinstance(entry, dict)]


def wants_aggregator(config: Mapping[str, Any]) -> bool:
    """Tell whether a configuration asks for the log aggregator, or has hosts that need one."""
    logging = config.get("logging")
    is_distributed = isinstance(logging, Mapping) and "aggregator" in logging
    return "logs" in config or is_distributed or is_reached_from_elsewhere(config)


def broker_host(config: Mapping[str, Any]) -> str:
    """Give ``zmq.host``, or what stands for this machine where it says nothing of use."""
    zmq = config.get("zmq")
    host = zmq.get("host") if isinstance(zmq, Mapping) else None
    return str(host or "localhost")


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written, can only be this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")


def is_reached_from_elsewhere(config: Mapping[str, Any]) -> bool:
    """Tell whether workers of other hosts may be part of the system."""
    run = config.get("run")
    hosts = run.get("enabled hosts") if isinstance(run, Mapping) else None
    has_hosts = isinstance(hosts, Mapping) and any(name not in THIS_MACHINE for name in hosts)
    return has_hosts or broker_host(config) not in THIS_MACHINE or _names_executors(config)


def _names_executors(config: Mapping[str, Any]) -> bool:
    """Tell whether any executor but that of this machine is named; looks at names alone."""
    section = config.get("executors")
    declared = section if isinstance(section, Mapping) else {}
    names = [name for name in declared if name != "default"]
    of_workers = [entry.get("executor") for _, entry in registered_workers(config)]
    wanted = (declared.get("default"), *names, *of_workers)
    return any(name not in (None, "local") for name in wanted)


def _section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = config.get(key)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigError(f"{key}: must hold keys with values, not {section!r}", hint=_VALIDATE)
    return section


def _port(ports: Mapping[str, Any], name: str) -> int:
    try:
        port = int(ports[name])
    except KeyError:
        raise ConfigError(f"zmq.ports.{name}: is missing", hint=_VALIDATE) from None
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise ConfigError(
            f"zmq.ports.{name}: must be a port from 1 to 65535, not {ports[name]!r}",
            hint=_VALIDATE,
        )
    return port


def _seconds(section: Mapping[str, Any], name: str, default: float) -> float:
    value = section.get("deadline", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(
            f"{name}.deadline: must be a number of seconds above 0, not {value!r}", hint=_VALIDATE
        )
    return float(value)


_VALIDATE = "nowcast validate says where it stands"
