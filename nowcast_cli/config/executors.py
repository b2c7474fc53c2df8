"""Where workers run: the section ``executors``, and which of them a job goes to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.reading import Reading
from nowcast_cli.config.resources import NO_RESOURCES, Resources, resources_in
from nowcast_cli.config.settings import THIS_MACHINE, registered_workers

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding

# The kinds of executors. Each but `ssh`, which needs a host, is also the name of one.
KINDS = ("local", "ssh", "slurm", "sge", "pbs", "agents")
BATCH_SYSTEMS = frozenset({"slurm", "sge", "pbs"})
LOCAL = "local"
# Elements of a job array: what Slurm takes where nobody has set it (MaxArraySize is 1001).
LARGEST_ARRAY = 1000
# What the executor of a job is called that runs on an enabled host which nobody named anew.
SSH = "ssh"
HERE = "localhost"
POLL = 10.0  # s

_BUILT_IN = frozenset(KINDS) - {SSH}
_KEYS = ("kind", "host", "poll", "python", "resources", "directives", "parallel environment")
# What is no key of a kind: what it does not have cannot be set.
_NOT_OF: Mapping[str, frozenset[str]] = {
    "local": frozenset({"host", "poll", "python", "directives", "parallel environment"}),
    "ssh": frozenset({"poll", "directives", "parallel environment"}),
    "slurm": frozenset({"parallel environment"}),
    "pbs": frozenset({"parallel environment"}),
    "agents": frozenset({"host", "poll", "directives", "parallel environment"}),
}


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """One executor.

    Parameters
    ----------
    name
        What the configuration calls it.
    kind
        One of ``KINDS``.
    host
        The enabled host on which it, or the commands of its batch system, are run by ssh; None
        for this machine.
    poll
        Seconds between two looks at its jobs.
    python
        The interpreter of its jobs; None for the one of the host, or of the system.
    resources, directives
        What its jobs ask for where their worker says nothing, and lines for their job script.
    parallel_environment
        The parallel environment of Grid Engine in which its jobs with several processors run.
    """

    name: str
    kind: str
    host: str | None = None
    poll: float = POLL
    python: str | None = None
    resources: Resources = NO_RESOURCES
    directives: tuple[str, ...] = ()
    parallel_environment: str = "smp"  # as most sites call the one whose slots are on one host

    @property
    def has_arrays(self) -> bool:
        """Whether the members of an ensemble can be given to it as one job array."""
        return self.kind in ("slurm", "sge")

    @property
    def is_batch_system(self) -> bool:
        """Whether a system beneath has the jobs: it takes them, and ends those that are late."""
        return self.kind in BATCH_SYSTEMS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs, as it is stored: the name of its executor, and the host."""

    executor: str = LOCAL
    host: str = HERE

    @property
    def is_here(self) -> bool:
        """Whether the job runs on this machine, below our own launcher."""
        return self.executor == LOCAL


@dataclass(frozen=True)
class Executors:
    """The executors of a system: those declared, those built in, and the enabled ``hosts``."""

    default: str = LOCAL
    declared: Mapping[str, ExecutorSettings] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Name all executors that a worker may name: those of the configuration first."""
        return list(dict.fromkeys((*self.declared, *self.hosts, *sorted(_BUILT_IN))))

    def named(self, name: str) -> ExecutorSettings | None:
        """Give the executor of that name, None where there is none."""
        if name in self.declared:
            return self.declared[name]
        if name in self.hosts:
            return ExecutorSettings(name, SSH, name)
        return ExecutorSettings(name, name) if name in _BUILT_IN else None

    def at(self, place: Place) -> ExecutorSettings | None:
        """Give the executor of a job, None where the configuration does not have it any more."""
        if place.is_here and LOCAL in self.hosts:
            return ExecutorSettings(LOCAL, LOCAL)
        return self.named(place.host if place.executor == SSH else place.executor)

    def place_of(self, worker: str | None, host: str) -> Place:
        """Give the place of a new job.

        ``worker`` is the executor that its worker names, None for none; ``host`` the one that
        the launch names: an executor or an enabled host, or this machine for none. A name that
        is neither is taken for a host, which is refused once the job is to begin.
        """
        name = (worker or self.default) if host in THIS_MACHINE else host
        if name == LOCAL != host:  # whatever a host is called: nobody has asked for one
            return Place()
        settings = self.named(name)
        if settings is None:
            return Place(SSH, name)
        if settings.kind == LOCAL:
            return Place()
        if name in self.hosts:
            return Place(SSH, name)
        return Place(name, settings.host or HERE)

    def place_named(self, name: str) -> Place:
        """Give the place of the executor of that name."""
        return self.place_of(name, HERE)

    def in_use(self, workers: Mapping[str, str | None]) -> list[str]:
        """Name the executors that jobs can go to unasked, given what each worker names.

        Those are the default, those that workers name, those declared, and the enabled hosts.
        """
        of_workers = (name for name in workers.values() if name is not None)
        names = dict.fromkeys((self.default, *of_workers, *self.declared, *self.hosts))
        return [name for name in names if self.named(name) is not None]


NO_EXECUTORS = Executors()


def executors_of(config: Mapping[str, Any]) -> tuple[Executors, list[Finding]]:
    """Read ``executors`` and the names of ``run: enabled hosts``; gives the mistakes."""
    hosts = _enabled_hosts(config)
    whole = Reading(config, ())
    reading = whole.below("executors", "{default: cluster, cluster: {kind: slurm}}")
    if reading is None:
        return Executors(hosts=hosts), whole.findings
    declared = {
        str(name): settings
        for name in reading.entry
        if name != "default" and (settings := _executor(reading, name, hosts)) is not None
    }
    found = Executors(reading.word("default") or LOCAL, declared, hosts)
    if found.named(found.default) is None:
        reading.wrong("default", *_unknown(found.default, found))
    return found, reading.findings


def executor_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in ``executors``, and workers that name an executor which is not there."""
    found, mistakes = executors_of(config)
    yield from mistakes
    for name, settings in found.declared.items():
        if settings.kind in BATCH_SYSTEMS and not _shares_storage(config, settings.host):
            reading = Reading(config["executors"][name], ("executors", name))
            reading.wrong(
                "host",
                f"{settings.host} has `shared storage: false`, and jobs of a batch system write "
                "into their folders here",
                "take a host that sees the files of this machine",
            )
            yield from reading.findings
    for name, entry in registered_workers(config):
        reading = Reading(entry, ("message registry", "workers", name))
        wanted = entry.get("executor")
        if isinstance(wanted, str) and wanted.strip() and found.named(wanted) is None:
            reading.wrong("executor", *_unknown(wanted, found))
        yield from reading.findings


def _shares_storage(config: Mapping[str, Any], host: str | None) -> bool:
    section = None if host is None else config["run"]["enabled hosts"][host]
    return not isinstance(section, Mapping) or section.get("shared storage") is not False


def _unknown(name: str, executors: Executors) -> tuple[str, str]:
    from nowcast_cli.config.hints import did_you_mean

    names = executors.names()
    return (
        f"there is no executor {name!r}" + did_you_mean(name, names),
        f"declare it below `executors:`, or name one of: {', '.join(names)}",
    )


def _executor(of_all: Reading, name: Any, hosts: tuple[str, ...]) -> ExecutorSettings | None:
    if name in THIS_MACHINE:
        words = "cannot be the name of an executor: a launch that names no host says it"
        of_all.wrong(name, words, "give it another name")
        return None
    if of_all.entry[name] is None:
        of_all.wrong(name, "must hold keys with values, such as {kind: slurm}")
        return None
    reading = of_all.below(name, "{kind: slurm}")
    if reading is None:
        return None
    kind = _kind(reading, str(name), hosts)
    host = _host(reading, str(name), kind, hosts)
    for key in reading.entry:
        if key in _NOT_OF.get(kind or "", ()):
            reading.wrong(key, f"is not a key of an executor of the kind {kind}")
    reading.refuse_unknown_keys(_KEYS)
    return ExecutorSettings(
        name=str(name),
        kind=kind or LOCAL,
        host=host,
        poll=reading.duration("poll") or POLL,
        python=reading.word("python"),
        resources=resources_in(reading),
        directives=reading.directives(),
        parallel_environment=reading.word("parallel environment") or "smp",
    )


def _kind(reading: Reading, name: str, hosts: tuple[str, ...]) -> str | None:
    own = SSH if name in hosts else name if name in _BUILT_IN else None
    kind = reading.entry.get("kind", own)
    if kind not in KINDS:
        from nowcast_cli.config.hints import did_you_mean

        words = "is missing" if kind is None else f"must be one of the kinds, not {kind!r}"
        guess = "" if kind is None else did_you_mean(str(kind), KINDS)
        reading.wrong("kind", words + guess, f"the kinds are: {', '.join(KINDS)}")
        return None
    if own is not None and kind != own:
        what = "an enabled host" if name in hosts else "built in"
        reading.wrong("kind", f"must be {own}: {name} is {what}", "give it another name")
        return None
    if kind == LOCAL and own is None:
        words = f"there is one executor of the kind {LOCAL}, and it has that name"
        reading.wrong("kind", words, f"write `{LOCAL}:` in place of `{name}:`")
        return None
    return str(kind)


def _host(reading: Reading, name: str, kind: str | None, hosts: tuple[str, ...]) -> str | None:
    if kind is None or "host" in _NOT_OF.get(kind, ()):
        return None
    host = reading.word("host") or (name if kind == SSH else None)
    if host is None or host in hosts:
        if name in hosts and host != name:
            reading.wrong("host", f"must be {name}, which is an enabled host", "leave it out")
        return host
    from nowcast_cli.config.hints import did_you_mean

    reading.wrong(
        "host" if "host" in reading.entry else "kind",
        f"the host {host!r} is not among `run: enabled hosts`" + did_you_mean(host, hosts),
        "add it there",
    )
    return None


def _enabled_hosts(config: Mapping[str, Any]) -> tuple[str, ...]:
    run = config.get("run")
    hosts = run.get("enabled hosts") if isinstance(run, Mapping) else None
    names = hosts if isinstance(hosts, Mapping) else ()
    return tuple(str(name) for name in names if name not in THIS_MACHINE)
