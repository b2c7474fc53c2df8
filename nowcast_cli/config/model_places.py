"""The form of the sections that say where workers run: hosts, executors, agents."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
)

from nowcast_cli.config.model_sections import ClosedSection, Section
from nowcast_cli.config.model_workers import ResourcesSettings


class RemoteHost(Section):
    """A host on which workers are run by ssh; its name is what ssh is given."""

    envvars: str | None = Field(default=None, description="A file to source before a worker.")
    python: str | None = Field(
        default=None, description="The Python of the workers there, 3.9 or newer."
    )
    config_file: str | None = Field(
        default=None, description="The configuration there, which its workers are given."
    )
    state_directory: str | None = Field(
        default=None,
        description="Where the folders of jobs are kept there; ~/.cache/nowcast by default.",
    )
    shared_storage: bool = Field(
        default=True,
        description="Whether it has the files of this machine; if not, inputs and outputs of "
        "steps are sent and fetched by rsync.",
    )
    ssh_options: dict[str, str | int | bool] | None = Field(
        default=None, description="Options as in ~/.ssh/config, such as Port or IdentityFile."
    )


class Run(Section):
    """Where workers run, and whatever the deployment keeps about its runs."""

    enabled_hosts: dict[str, RemoteHost | None] = Field(
        default={}, description="The hosts on which workers may be run, besides localhost."
    )


class ExecutorSettings(ClosedSection):
    """One executor. Shows the form; ``config.executors`` reads and checks it."""

    kind: Literal["local", "ssh", "slurm", "sge", "pbs", "agents"] | None = Field(
        default=None, description="What runs its jobs."
    )
    host: str | None = Field(
        default=None,
        description="The enabled host on which the commands of the batch system are run by ssh. "
        "Default: this machine.",
    )
    poll: str | float | None = Field(
        default=None, description="How often the batch system is asked for its jobs; 10s."
    )
    python: str | None = Field(
        default=None, description="The Python that runs its jobs, 3.9 or newer."
    )
    resources: ResourcesSettings | None = Field(
        default=None, description="What its jobs ask for where their worker says nothing."
    )
    directives: list[str] | None = Field(
        default=None, description="Lines for the head of the script that a batch system is given."
    )
    parallel_environment: str | None = Field(
        default=None,
        description="The parallel environment of Grid Engine in which jobs with several processors "
        "run; smp.",
    )


class ExecutorsSettings(BaseModel):
    """Where workers run: executors by name, and which one is the default."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ExecutorSettings]

    default: str | None = Field(
        default=None, description="Runs the workers that name none; local where it is left out."
    )


class AgentsSettings(ClosedSection):
    """How agents are kept in touch with. Shows the form; ``config.agents`` reads and checks it."""

    lease: SkipValidation[str | float | None] = Field(
        default="60s", description="How long an agent may be silent before it is offline."
    )
    report_every: SkipValidation[str | float | None] = Field(
        default="5s", description="How often an agent says what its host uses."
    )
