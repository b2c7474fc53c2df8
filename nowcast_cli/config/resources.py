"""What a job asks of the machine that it runs on, in one vocabulary for all executors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast_cli.config.reading import Reading

RESOURCE_KEYS = ("cpus", "memory", "walltime", "gpus", "queue", "account", "extra")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job needs; None leaves it to the executor.

    ``memory`` is in bytes and for the whole job, ``walltime`` in seconds. ``queue`` is what Slurm
    calls a partition. ``extra`` are options of the command that submits, as they stand.
    """

    cpus: int | None = None
    memory: int | None = None
    walltime: float | None = None
    gpus: int | None = None
    queue: str | None = None
    account: str | None = None
    extra: tuple[str, ...] = ()

    def over(self, defaults: Resources) -> Resources:
        """Give these, and where they say nothing what ``defaults`` say; ``extra`` of both."""
        return Resources(
            cpus=defaults.cpus if self.cpus is None else self.cpus,
            memory=defaults.memory if self.memory is None else self.memory,
            walltime=defaults.walltime if self.walltime is None else self.walltime,
            gpus=defaults.gpus if self.gpus is None else self.gpus,
            queue=defaults.queue if self.queue is None else self.queue,
            account=defaults.account if self.account is None else self.account,
            extra=(*defaults.extra, *self.extra),
        )

    def to_json(self) -> dict[str, Any]:
        """Give what is asked for; what is left to the executor is left out."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given
            if value not in (None, ())
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Resources:
        """Read what :meth:`to_json` gave; keys of a later version are passed over."""
        known = {key: value[key] for key in RESOURCE_KEYS if key in value}
        return cls(**{**known, "extra": tuple(str(option) for option in known.get("extra", ()))})


NO_RESOURCES = Resources()


def resources_in(reading: Reading, key: str = "resources") -> Resources:
    """Read the section ``resources`` of a worker or an executor."""
    section = reading.below(key, "{cpus: 4, memory: 8 GB, walltime: 2h}")
    if section is None:
        return NO_RESOURCES
    section.refuse_unknown_keys(RESOURCE_KEYS)
    return Resources(
        cpus=section.whole("cpus", 1),
        memory=section.size("memory"),
        walltime=section.duration("walltime"),
        gpus=section.whole("gpus", 0),
        queue=section.word("queue"),
        account=section.word("account"),
        extra=section.lines("extra"),
    )
