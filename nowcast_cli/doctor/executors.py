"""The executors: a job that does nothing is sent to each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.doctor.finding import Finding, Subject, error, note
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.health import ask_all
from nowcast_cli.executors.kinds import HEALTH, MAKERS
from nowcast_cli.executors.remote_executor import Surroundings, Target, target_of
from nowcast_cli.executors.trial import Tried, try_out
from nowcast_cli.security.source import security_of


def executors(subject: Subject) -> Iterator[Finding]:
    """Failure means that the jobs of an executor cannot begin, or cannot tell how they ended."""
    registry = registry_of(subject.config)
    workers = {name: entry.jobs.executor for name, entry in registry.workers.items()}
    targets: dict[str, Target] = {}
    hosts = remote_hosts(subject.config, str(subject.file))
    for name in registry.executors.in_use(workers):
        try:
            place = registry.executors.place_named(name)
            targets[name] = target_of(registry.executors, hosts, place)
        except NowcastError as problem:
            yield error(f"executor {name}: {problem.what}", problem.hint or "nowcast validate")
    keys = subject.paths.keys if security_of(subject.config) == "curve" else None
    # What the executors log is what they tell of their trouble, which is told here.
    logging.getLogger("nowcast_cli").addHandler(logging.NullHandler())
    around = Surroundings(subject.paths, str(subject.config["python"]), keys)
    with ThreadPoolExecutor(len(targets) or 1) as pool:
        tried = pool.map(lambda target: _tried(target, around), targets.values())
        for name, found in zip(targets, tried, strict=True):
            yield finding(name, found)


def _tried(target: Target, around: Surroundings) -> Tried:
    """Try an executor; where that fails, what is wrong with the executor itself says more."""
    tried = try_out(target, MAKERS, around)
    if tried.trouble is None:
        return tried
    (health,) = ask_all([target], HEALTH, around)
    return tried if health.hint is None else replace(tried, hint=health.hint)


def finding(name: str, tried: Tried) -> Finding:
    """Say what became of the job. Pure."""
    if tried.trouble is None:
        return note(f"executor {name}: {tried.words}", tried.hint if tried.waits else None)
    return error(f"executor {name}: {tried.trouble}", tried.hint or "nowcast executor list")
