"""Users' long-running programs: the section ``services``. Pure.

What may stand in an action key is for the room ``flows`` to say; here a key is a text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.reading import Reading
from nowcast_cli.config.settings import registered_workers

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding

SECTION = "services"
SERVICE_KEYS = (
    "command", "autostart", "actions", "topics", "environment", "working directory",
    "ready within",
)  # fmt: skip
READY_WITHIN = 30.0  # seconds
# A service has a log, a place in `nowcast status` and in `nowcast stop`; so have these.
NAMES_OF_NOWCAST = (
    "message_broker", "manager", "standby", "scheduler", "file_watcher", "log_aggregator",
    "action_workers", "launcher", "supervisor", "supervisord",
)  # fmt: skip

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_EXAMPLE = "{ingest: {command: python3 ingest.py}}"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """A program that runs for as long as the system does.

    ``command`` is run without a shell, in ``directory`` (None: the deployment), with
    ``environment`` beside that of the daemons. ``actions`` are keys of actions that it owns
    whether it runs or not; ``topics`` what it wants to hear beside the topics of its flows.
    ``ready_within`` is in seconds.
    """

    name: str
    command: tuple[str, ...]
    autostart: bool = True
    actions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str | None = None
    ready_within: float = READY_WITHIN


def services_of(config: Mapping[str, Any]) -> dict[str, ServiceSettings]:
    """Give the services by name, in the order of the file; those with mistakes are left out.

    ``nowcast start`` and ``nowcast reload`` refuse a configuration in which one has a mistake.
    """
    return _read(config)[0]


def service_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in ``services``."""
    yield from _read(config)[1]


def _read(config: Mapping[str, Any]) -> tuple[dict[str, ServiceSettings], list[Finding]]:
    if config.get(SECTION) is None:
        return {}, []
    whole = Reading(config, ())
    section = whole.below(SECTION, _EXAMPLE)
    if section is None:
        return {}, whole.findings
    workers = {str(name) for name, _ in registered_workers(config)}
    services = {}
    for name in section.entry:
        findings: list[Finding] = []
        service = _service(name, Reading(section.entry, section.path, findings), workers)
        whole.findings += findings
        if service is not None and not findings:
            services[service.name] = service
    return services, whole.findings


def _service(name: Any, section: Reading, workers: set[str]) -> ServiceSettings | None:
    _check_name(name, section, workers)
    entry = section.below(name, "{command: python3 ingest.py}")
    if entry is None:
        if section.entry[name] is None:
            section.wrong(name, "must hold keys with values, such as command: python3 ingest.py")
        return None
    entry.refuse_unknown_keys(SERVICE_KEYS)
    return ServiceSettings(
        str(name),
        _command(entry),
        entry.switch("autostart") or "autostart" not in entry.entry,
        entry.lines("actions"),
        entry.lines("topics"),
        entry.environment(),
        entry.word("working directory"),
        entry.duration("ready within") or READY_WITHIN,
    )


def _check_name(name: Any, section: Reading, workers: set[str]) -> None:
    if (words := wrong_name(name)) is not None:
        section.wrong(name, words, "choose another name")
    elif name in workers:
        words = "is the name of a worker, too: each is asked for by its name"
        section.wrong(name, words, "choose another name")


def wrong_name(name: Any) -> str | None:
    """Say what is wrong with the name of a service; None for a good one."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return "is no name of a service: a letter, then letters, digits, _ and -"
    if name.replace("-", "_") in NAMES_OF_NOWCAST:
        return "is the name of a part of nowcast itself"
    return None


def _command(entry: Reading) -> tuple[str, ...]:
    command = entry.entry.get("command")
    if command is None:
        entry.wrong("command", "is missing", "such as command: python3 ingest.py")
        return ()
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:
            entry.wrong("command", f"cannot be split into words: {str(error).lower()}")
            return ()
    elif isinstance(command, list) and all(_is_plain(word) for word in command):
        words = [str(word) for word in command]
    else:
        entry.wrong("command", f"must be a command line or a list of words, not {command!r}")
        return ()
    if not words or not words[0]:
        entry.wrong("command", "must not be empty")
    return tuple(words)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
