"""What becomes of each part of a deployment's nowcast.yaml."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nowcast_cli.adopt.finding import Finding, Verdict
from nowcast_cli.config.check import check
from nowcast_cli.config.model import NowcastYaml
from nowcast_cli.config.model_check import known_keys
from nowcast_cli.config.positions import Document, Index, KeyPath, path_text
from nowcast_cli.config.registry import Registry, registry_of
from nowcast_cli.config.workers import find_spec, worker_packages

Said = tuple[Verdict, str]

_LOCAL = ("localhost", "127.0.0.1", "::1")
_NAMED = 5  # of several workers
_UNSET = re.compile(r"environment variable (\w+) is not set")
_USED: dict[KeyPath, str] = {
    ("checklist file",): "is written whole at every instant, and begins with a comment line",
    ("python",): "jobs run under it",
    ("state directory",): "everything that the system writes lies there",
    ("zmq", "ports", "workers"): "workers send their messages there, on the same wire",
    ("zmq", "ports", "manager"): "the manager gets them there, on the same wire",
    ("message registry", "manager"): "the words are those of the log",
}


def configuration_findings(
    file: Path, document: Document, variables: frozenset[str]
) -> Iterator[Finding]:
    """Give a finding for each part of the configuration, in the order of its lines.

    ``variables`` are those that the environment files of the deployment set.
    """
    data = document.data if isinstance(document.data, dict) else {}
    rows = [*_parts(data), *_registry(data, file), *_own_sections(data)]
    found = [
        Finding(file, document.position(path).line, _named(path, data), verdict, why)
        for path, (verdict, why) in rows
    ]
    yield from sorted(found + _mistakes(file, variables), key=lambda each: each.line or 0)


def _mistakes(file: Path, variables: frozenset[str]) -> list[Finding]:
    """Give what nowcast validate calls an error; variables are set where the daemons start."""
    mistakes = []
    for problem in check(file):
        unset = _UNSET.search(problem.message)
        if problem.severity != "error" or (unset and unset[1] in variables):
            continue
        if problem.path == "python":  # the interpreter may be on the machine that it will run on
            continue
        mistakes.append(Finding(file, problem.line, problem.path, "mend", problem.message))
    return mistakes


def _parts(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Said]]:
    for path, why in _USED.items():
        if _at(data, path) is not None:
            yield path, ("used", why)
    yield from _host(_at(data, ("zmq", "host")))
    yield from _logging(data)
    for name in _mapping(data, ("run", "enabled hosts")):
        if name != "localhost":
            yield ("run", "enabled hosts", name), _host_of_jobs()
    for number, item in enumerate(data.get("scheduled workers") or ()):
        module = next(iter(item), number) if isinstance(item, dict) else number
        why = f"the scheduler asks the manager to launch {module}, once for each time that is due"
        yield ("scheduled workers", Index(number)), ("used", why)
    if data.get("slack notifications") is not None:
        why = "posted by a process of its own: a Slack that is slow or refuses holds nobody up"
        yield ("slack notifications",), ("used", why)


def _host(host: Any) -> Iterator[tuple[KeyPath, Said]]:
    if host in _LOCAL:
        why = "the ports are open to this machine alone, where NEMO_Nowcast opens them to all"
        yield ("zmq", "host"), ("differs", why)
    elif host is not None:
        why = (
            "the broker binds to the address of that host alone, where NEMO_Nowcast binds to all; "
            "whoever reaches it can send messages"
        )
        yield ("zmq", "host"), ("differs", why)


def _host_of_jobs() -> Said:
    why = "its jobs run there over ssh, but detached: a lost connection is not a lost job"
    return "used", why


def _logging(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Said]]:
    section = _mapping(data, ("logging",))
    if not section:
        return
    if not any(isinstance(section.get(part), dict) for part in ("aggregator", "publisher")):
        why = "each process writes its messages so; rotate_logs alone rotates the files"
        yield ("logging",), ("used", why)
        return
    why = (
        "processes on this machine write these files themselves, so that nothing is lost without "
        "an aggregator; the aggregator adds what is published elsewhere"
    )
    yield ("logging", "aggregator"), ("differs", why)
    why = (
        "its handlers are used; those that publish over the network are for processes on other "
        "hosts than the broker's"
    )
    yield ("logging", "publisher"), ("differs", why)
    if _at(data, ("zmq", "ports", "logging")) is not None:
        why = (
            "the aggregator subscribes to all of them; processes on other hosts publish there, and "
            "one that finds no free port logs to files of its host"
        )
        yield ("zmq", "ports", "logging"), ("used", why)


def _registry(data: Mapping[str, Any], file: Path) -> Iterator[tuple[KeyPath, Said]]:
    module = _at(data, ("message registry", "next workers module"))
    if isinstance(module, str):
        yield ("message registry", "next workers module"), _next_workers(module, file)
    registry = registry_of(data)
    if not registry.workers:
        return
    types = sum(len(entry.messages) for entry in registry.workers.values())
    why = f"{_number(len(registry.workers), 'worker')} with {_number(types, 'message type')}"
    yield ("message registry", "workers"), ("used", why)
    yield from _not_found(registry, worker_packages(data), file)


def _not_found(
    registry: Registry, packages: Sequence[str], file: Path
) -> Iterator[tuple[KeyPath, Said]]:
    """Give the workers that no module was found for: one finding, however many they are."""
    missing = [
        name
        for name, entry in registry.workers.items()
        if not any(
            find_spec(module, file.parent)
            for module in ([entry.module] if entry.module else [f"{p}.{name}" for p in packages])
        )
    ]
    if not missing:
        return
    one, few = len(missing) == 1, missing[:_NAMED]
    more = f" and {len(missing) - len(few)} more" if len(missing) > len(few) else ""
    why = (
        f"no module was found for {', '.join(few)}{more} in {', '.join(packages)}, seen from "
        f"{file.parent}: next_workers can launch {'it' if one else 'them'} all the same, but "
        f"nowcast run-worker cannot, until {'its' if one else 'their'} package is installed in "
        "this environment, or `worker packages` or a `module:` says where to look"
    )
    yield ("message registry", "workers", missing[0]), ("differs", why)


def _next_workers(module: str, file: Path) -> Said:
    if find_spec(module, file.parent) is None:
        above = file.resolve().parent.parent
        remedy = "install its package in this environment"
        if find_spec(module, above) is not None:
            remedy = f"it is in {above}: pip install --editable {shlex.quote(str(above))}"
        return "mend", (
            f"no module {module} can be found from {file.parent}, nor is it installed in this "
            f"environment; {remedy}"
        )
    return "differs", (
        "its functions run in a process of their own, so that one that hangs or fails holds up "
        "its own message alone; the module is loaded anew when its file has changed"
    )


def _own_sections(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Said]]:
    known = set(known_keys(NowcastYaml))
    for key in data:
        if key not in known:
            yield (key,), ("yours", "workers and after_ functions read it as they did")
    for key in _mapping(data, ("run",)):
        if key != "enabled hosts":
            yield ("run", key), ("yours", "workers and after_ functions read it as they did")


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _named(path: KeyPath, data: Mapping[str, Any]) -> str:
    value = _at(data, path)
    plain = isinstance(value, str | int | float) and len(path) < len(("", "", "", ""))
    return f"{path_text(path)}: {value}" if plain else path_text(path)


def _at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def _mapping(data: Mapping[str, Any], path: KeyPath) -> Mapping[Any, Any]:
    value = _at(data, path)
    return value if isinstance(value, Mapping) else {}
