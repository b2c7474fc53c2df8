"""The message registry: who may say what, and under which key of the checklist it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.command_step import STEP_KEYS, CommandStep, command_step
from nowcast_cli.config.config import Config
from nowcast_cli.config.executors import NO_EXECUTORS, Executors, Place, executors_of
from nowcast_cli.config.job_settings import JOB_KEYS, NO_SETTINGS, JobSettings, job_settings
from nowcast_cli.config.resources import Resources
from nowcast_cli.config.settings import concurrency_of_system
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding

# The replies of the manager that a registry of NEMO_Nowcast's form has words for.
MANAGER_WORDS: Mapping[str, str] = {
    "ack": "message acknowledged",
    "checklist cleared": "the checklist is empty now",
    "unregistered worker": "the message came from a worker that is not in the registry",
    "unregistered message type": "the worker is not registered with messages of this type",
    "no after_worker function": "next_workers has no after_ function for the worker",
}
# Keys of a worker's entry that are settings; all others are message types.
SETTINGS = frozenset({"checklist key", "module", "command", "expect by", "within", *JOB_KEYS})
_SETTINGS_OF_COMMANDS = SETTINGS | frozenset(STEP_KEYS)
# Types that the manager answers by itself, without an after_ function.
ANSWERED_BY_MANAGER = frozenset({"need", "clear checklist"})


@dataclass(frozen=True)
class WorkerEntry:
    """What the registry says of one worker.

    ``has_checklist_key`` tells a key that is missing from one that is null. ``messages`` maps
    each type that the worker may send to its words for the log.
    """

    name: str
    checklist_key: Any | None = None
    has_checklist_key: bool = False
    messages: Mapping[str, str] = field(default_factory=dict)
    module: str | None = None
    jobs: JobSettings = NO_SETTINGS
    step: CommandStep | None = None

    @property
    def needs_after_function(self) -> bool:
        """Whether any of its messages asks ``next_workers`` for a decision."""
        return bool(self.messages.keys() - ANSWERED_BY_MANAGER)


@dataclass(frozen=True)
class Registry:
    """The ``message registry`` section, and what else says how jobs of the system are run."""

    manager: Mapping[str, str]
    next_workers_module: str
    workers: Mapping[str, WorkerEntry]
    concurrency: int | None = None
    executors: Executors = NO_EXECUTORS

    def place_of(self, worker: str, host: str) -> Place:
        """Give where a new job of a worker runs; ``host`` is what its launch says of it."""
        return self.executors.place_of(self.jobs_of(worker).executor, host)

    def timeout_of(self, worker: str, place: Place) -> float | None:
        """Give the seconds after which we end a job, None for never.

        ``walltime`` is a timeout too, where no batch system sees to it.
        """
        timeout = self.jobs_of(worker).timeout
        settings = self.executors.at(place)
        if timeout is not None or settings is None or settings.is_batch_system:
            return timeout
        return self.resources_of(worker, place).walltime

    def resources_of(self, worker: str, place: Place) -> Resources:
        """Give what a job asks for: as its worker says, or its executor does."""
        settings = self.executors.at(place)
        asked = self.jobs_of(worker).resources
        return asked if settings is None else asked.over(settings.resources)

    def directives_of(self, worker: str, place: Place) -> tuple[str, ...]:
        """Give the lines for the head of a job's script: those of its executor first."""
        settings = self.executors.at(place)
        own = self.jobs_of(worker).directives
        return own if settings is None else (*settings.directives, *own)

    def jobs_of(self, worker: str) -> JobSettings:
        """Give what holds for the jobs of a worker, also of one that is not registered."""
        entry = self.workers.get(worker)
        return NO_SETTINGS if entry is None else entry.jobs


def registry_of(config: Config | Mapping[str, Any]) -> Registry:
    """Read the message registry of a loaded configuration.

    Words that are missing for a reply of the manager have a default. Raises ConfigError when
    the section is not of the right form.
    """
    section = _mapping(config.get("message registry"), "message registry")
    words = _mapping(section.get("manager"), "message registry.manager")
    workers = _mapping(section.get("workers"), "message registry.workers")
    executors, mistakes = executors_of(config)
    _refuse(mistakes)
    return Registry(
        manager={**MANAGER_WORDS, **{str(key): _words(value) for key, value in words.items()}},
        next_workers_module=str(section.get("next workers module") or "next_workers"),
        workers={str(name): _entry(str(name), entry) for name, entry in workers.items()},
        concurrency=concurrency_of_system(config),
        executors=executors,
    )


def _entry(name: str, section: Any) -> WorkerEntry:
    entry = _mapping(section, f"message registry.workers.{name}")
    module = entry.get("module")
    key = entry.get("checklist key")
    if isinstance(key, list | dict | set):
        raise ConfigError(
            f"message registry.workers.{name}.checklist key: must be text or a number, not {key!r}",
            hint="nowcast validate says where it stands",
        )
    path = ("message registry", "workers", name)
    messages = message_types(entry)
    jobs, mistakes = job_settings(entry, path)
    step, more = command_step(entry, path, tuple(messages))
    _refuse((*mistakes, *more))
    return WorkerEntry(
        name=name,
        checklist_key=key,
        has_checklist_key="checklist key" in entry,
        messages=messages,
        module=None if module is None else str(module),
        jobs=jobs,
        step=step,
    )


def _refuse(mistakes: Iterable[Finding]) -> None:
    for mistake in mistakes:
        where = ".".join(str(step) for step in mistake.path)
        raise ConfigError(
            f"{where}: {mistake.message}", hint="nowcast validate says where it stands"
        )


def message_types(entry: Mapping[Any, Any]) -> dict[str, str]:
    """Give the message types that the entry of a worker registers, with their words."""
    settings = _SETTINGS_OF_COMMANDS if "command" in entry else SETTINGS
    return {str(key): _words(value) for key, value in entry.items() if key not in settings}


def _words(value: Any) -> str:
    return "" if value is None else str(value)


def _mapping(value: Any, path: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{path}: must hold keys with values, not {value!r}",
            hint="nowcast validate says where it stands",
        )
    return value
