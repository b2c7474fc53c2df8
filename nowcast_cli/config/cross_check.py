"""Mistakes that show only when several keys are looked at together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nowcast_cli.config.config import handlers_of
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.positions import Index, KeyPath
from nowcast_cli.config.registry import MANAGER_WORDS, message_types
from nowcast_cli.config.settings import is_loopback


def cross_findings(data: dict[Any, Any]) -> Iterator[Finding]:
    """Check what the form of the file cannot say; values of the wrong form are passed over."""
    yield from _ports(data)
    yield from _security(data)
    yield from _manager_words(data)
    yield from _workers(data)
    yield from _scheduled(data)
    yield from _workers_to_notify_of(data)
    yield from _variables(data)


def _ports(data: dict[Any, Any]) -> Iterator[Finding]:
    ports = _section(data, "zmq", "ports")
    taken: dict[int, KeyPath] = {}
    for path, port in _local_ports(ports):
        if port not in taken:
            taken[port] = path
            continue
        other = " ".join(str(step) for step in taken[port][1:])
        # Ports of log publishers are accepted, but nothing of ours listens on them.
        severity = "warning" if "logging" in (path[2], taken[port][2]) else "error"
        yield Finding(
            path,
            f"port {port} is also the one of zmq {other}",
            severity=severity,  # type: ignore[arg-type]
            hint="give each its own port",
        )


def _local_ports(ports: dict[Any, Any]) -> Iterator[tuple[KeyPath, int]]:
    for name in ("workers", "manager", "logs", "events"):
        if _number(ports.get(name)) is not None:
            yield ("zmq", "ports", name), int(ports[name])
    for name, value in _section(ports, "logging").items():
        path = ("zmq", "ports", "logging", name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if _number(item) is not None:
                    yield (*path, Index(index)), int(item)
        elif _number(value) is not None:
            yield path, int(value)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _security(data: dict[Any, Any]) -> Iterator[Finding]:
    """Check that ports which the network can reach are guarded."""
    host = _section(data, "zmq").get("host", "localhost")
    security = data.get("security")
    if security == "curve" or not (isinstance(host, str) and host) or is_loopback(host):
        return
    if security == "none":
        yield Finding(
            ("security",),
            f"none leaves the ports on {host} open to all who reach them, so the message broker "
            "does not start",
            hint="write security: curve, or zmq: {host: localhost}",
        )
    elif security is None:
        yield Finding(
            ("zmq", "host"),
            f"opens the ports to every host that reaches {host}, without authentication",
            severity="warning",
            hint="write security: curve at the top level, then nowcast key init",
        )


def _manager_words(data: dict[Any, Any]) -> Iterator[Finding]:
    registry = _section(data, "message registry")
    missing = [word for word in MANAGER_WORDS if word not in _section(registry, "manager")]
    if registry and missing:
        yield Finding(
            ("message registry", "manager"),
            f"has no words for the replies {', '.join(missing)}; default words are shown for them",
            severity="warning",
            hint="write them below message registry.manager",
        )


def _workers(data: dict[Any, Any]) -> Iterator[Finding]:
    for name, entry in _section(data, "message registry", "workers").items():
        path = ("message registry", "workers", name)
        if isinstance(entry, dict) and not message_types(entry):
            yield Finding(
                path,
                "registers no message types, so all messages of this worker are refused",
                severity="warning",
                hint="name at least success, failure and crash, each with words for the log",
            )


def _scheduled(data: dict[Any, Any]) -> Iterator[Finding]:
    registered = [str(name) for name in _section(data, "message registry", "workers")]
    items = data.get("scheduled workers")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        for module in item if isinstance(item, dict) else ():
            worker = str(module).rpartition(".")[2]
            if worker not in registered:
                yield Finding(
                    ("scheduled workers", Index(index), module),
                    f"the worker {worker} is not in the message registry"
                    + did_you_mean(worker, registered),
                    severity="warning" if "." in str(module) else "error",
                    hint=f"add {worker} to message registry.workers",
                )


def _workers_to_notify_of(data: dict[Any, Any]) -> Iterator[Finding]:
    registered = [str(name) for name in _section(data, "message registry", "workers")]
    lists: list[tuple[KeyPath, Any]] = [
        (("slack notifications", name), workers)
        for name, workers in _section(data, "slack notifications").items()
    ]
    for name, target in _section(data, "notify").items():
        if isinstance(target, dict):
            lists.append((("notify", name, "workers"), target.get("workers")))
    for path, workers in lists:
        for index, worker in enumerate(workers if isinstance(workers, list) else ()):
            if isinstance(worker, str) and worker not in registered:
                yield Finding(
                    (*path, Index(index)),
                    f"the worker {worker} is not in the message registry, so nothing is ever "
                    "told of it" + did_you_mean(worker, registered),
                    severity="warning",
                    hint="name a worker of message registry.workers",
                )


def _variables(data: dict[Any, Any]) -> Iterator[Finding]:
    texts: list[tuple[KeyPath, Any]] = [
        ((key,), data.get(key))
        for key in ("checklist file", "state directory", "jobs directory", "python")
    ]
    texts += [
        (("logging", *path, "filename"), handler.get("filename"))
        for path, handler in handlers_of(data.get("logging"))
    ]
    for path, text in texts:
        if isinstance(text, str) and "$" in text:
            yield Finding(
                path,
                f"{text!r} holds a $ that is not replaced",
                severity="warning",
                hint="environment variables are written as $(NOWCAST.ENV.NAME)",
            )


def _section(data: dict[Any, Any], *keys: str) -> dict[Any, Any]:
    for key in keys:
        value = data.get(key)
        data = value if isinstance(value, dict) else {}
    return data
