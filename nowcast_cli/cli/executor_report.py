"""What there is to say of the executors of a system: how they are, and what they have to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nowcast_cli.cli.context import System
from nowcast_cli.config.executors import Executors, Place
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.executors.health import Health, ask_all
from nowcast_cli.executors.kinds import HEALTH
from nowcast_cli.executors.remote_executor import Surroundings, target_of
from nowcast_cli.security.source import security_of
from nowcast_cli.store.job_loads import Load as StoredLoad
from nowcast_cli.store.reader import Reader


@dataclass(frozen=True)
class Load:
    """The open jobs of one executor.

    ``states`` counts those that are not yet ended by the words of the system beneath, such as
    ``PENDING (Resources)``; ``unknown`` how many of them are as last known.
    """

    running: int = 0
    queued: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True)
class Seen:
    """An executor as it was found; ``host`` is where it is reached, None for here."""

    name: str
    kind: str
    is_default: bool
    host: str | None
    health: Health
    load: Load


def look(system: System) -> list[Seen]:
    """Ask all executors in use, or with jobs, how they are; no trouble of one is raised."""
    registry = registry_of(system.config)
    executors = registry.executors
    hosts = remote_hosts(system.config, str(system.paths.config_file))
    workers = {name: entry.jobs.executor for name, entry in registry.workers.items()}
    targets, broken = {}, {}
    loads = loads_of(_loads(system), executors)
    # A launch may name one that nothing in the configuration does, such as `agents`.
    busy = [name for name in loads if executors.named(name) is not None]
    names = list(dict.fromkeys((*executors.in_use(workers), *busy)))
    for name in names:
        try:
            targets[name] = target_of(executors, hosts, executors.place_named(name))
        except NowcastError as error:
            broken[name] = Health(trouble=error.what, hint=error.hint)
    keys = system.paths.keys if security_of(system.config) == "curve" else None
    around = Surroundings(system.paths, str(system.config["python"]), keys)
    answers = ask_all([*targets.values()], HEALTH, around)
    health = dict(zip(targets, answers, strict=True)) | broken
    return [_seen(name, executors, health[name], loads.get(name, Load())) for name in names]


def _seen(name: str, executors: Executors, health: Health, load: Load) -> Seen:
    settings = executors.named(name)
    assert settings is not None, "one that is in use is known"
    is_default = name == executors.default
    return Seen(name, settings.kind, is_default, settings.host, health, load)


def _loads(system: System) -> list[StoredLoad]:
    try:
        with Reader(system.paths.database) as reader:
            return reader.loads()
    except NotFound:
        return []


def loads_of(stored: Iterable[StoredLoad], executors: Executors) -> dict[str, Load]:
    """Sum up by the names that executors have in the configuration. Pure."""
    by_name: dict[str, list[StoredLoad]] = {}
    for load in stored:
        settings = executors.at(Place(load.executor, load.host))
        name = load.executor if settings is None else settings.name
        by_name.setdefault(name, []).append(load)
    return {name: _sum(found) for name, found in by_name.items()}


def _sum(loads: Iterable[StoredLoad]) -> Load:
    states: Counter[str] = Counter()
    running = queued = unknown = 0
    for load in loads:
        running += load.count if load.state == "running" else 0
        queued += load.count if load.state == "submitting" else 0
        unknown += load.count if load.unknown else 0
        if load.native is not None:
            states[load.native] += load.count
    return Load(running, queued, dict(states.most_common()), unknown)
