"""The form of a worker's entry in the message registry, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, SkipValidation

from nowcast_cli.config.model_sections import ClosedSection, Section
from nowcast_cli.config.model_values import (
    Module,
    key_of_a_mapping,
)


class RetrySettings(ClosedSection):
    """How often a worker is run again. Shows the form; ``config.job_settings`` reads it."""

    tries: int = Field(description="How often it is run at most, the first time included.")
    delay: str | float | None = Field(
        default=None, description="How long to wait before it is run again, such as 30s."
    )
    factor: float | None = Field(
        default=None, description="By how much the delay grows from one time to the next."
    )
    on: list[Literal["crash", "failure", "lost"]] | None = Field(
        default=None,
        description="The endings after which it is run again. Default: crash, and "
        "lost where the worker is idempotent.",
    )


class ResourcesSettings(ClosedSection):
    """What a job asks of its machine. Shows the form; ``config.resources`` reads it."""

    cpus: int | None = Field(default=None, description="Processors, on one host.")
    memory: str | int | None = Field(
        default=None, description="Memory of the whole job, such as 8 GB."
    )
    walltime: str | float | None = Field(
        default=None,
        description="How long it runs at most, such as 2h. Here and by ssh it is the timeout where "
        "there is none.",
    )
    gpus: int | None = Field(default=None, description="Graphics processors.")
    queue: str | None = Field(default=None, description="The queue, or partition.")
    account: str | None = Field(default=None, description="The account or project that pays.")
    extra: list[str] | None = Field(
        default=None, description="Options of the command that submits, as they stand."
    )


class RequiresSettings(ClosedSection):
    """What an agent must have. Shows the form; ``config.requirements`` reads and checks it."""

    tags: list[str] | None = Field(
        default=None, description='Tags that it has, or with ! in front, has not: [gpu, "!old"].'
    )


class WorkerRegistration(Section):
    """A worker: its key in the checklist, and the message types that it may send."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | None]

    checklist_key: Annotated[Any, AfterValidator(key_of_a_mapping)] = Field(
        default=None, description="The key of the checklist that its payloads go to."
    )
    module: Module | None = Field(
        default=None, description="The module of the worker, when its name does not lead to it."
    )
    # read and checked by config.command_step
    command: SkipValidation[str | list[str] | None] = Field(
        default=None, description="A command that the worker is, instead of a module."
    )
    parameters: SkipValidation[dict[str, str | float | bool | None] | None] = Field(
        default=None,
        description="Of a command: its options with their defaults; one without has to be given.",
    )
    environment: SkipValidation[dict[str, str | float] | None] = Field(
        default=None, description="Of a command: variables of its environment."
    )
    working_directory: SkipValidation[str | None] = Field(
        default=None, description="Of a command: where it runs; default: the scratch of the job."
    )
    success_codes: SkipValidation[int | list[int] | None] = Field(
        default=None, description="Of a command: exit codes of a success; default: 0."
    )
    inputs: SkipValidation[dict[Literal["copy", "link"], list[str] | dict[str, str]] | None] = (
        Field(
            default=None,
            description="Of a command: files that are copied into scratch, or linked to.",
        )
    )
    outputs: SkipValidation[dict[str, str] | None] = Field(
        default=None, description="Of a command: files in scratch, each with its destination."
    )
    as_: SkipValidation[Literal["symlink"] | None] = Field(
        default=None,
        description="Of a command: symlink shows all outputs at one instant; their folder "
        "becomes a symlink.",
    )
    marker: SkipValidation[str | None] = Field(
        default=None, description="Of a command: a file that is made once all outputs are there."
    )
    # read and checked by config.expectations
    expect_by: SkipValidation[str | None] = Field(
        default=None, description="The time of day by which it has succeeded, quoted: '09:30'."
    )
    within: SkipValidation[str | None] = Field(
        default=None, description="How long after another it has succeeded: 2h of other_worker."
    )
    # read and checked by config.job_settings
    timeout: SkipValidation[str | float | None] = Field(
        default=None, description="How long a job may run, such as 2h; then it is ended."
    )
    retry: SkipValidation[RetrySettings | None] = Field(
        default=None, description="When and how often a job that ended badly is run again."
    )
    concurrency: SkipValidation[int | None] = Field(
        default=None, description="How many jobs of the worker may run at once."
    )
    idempotent: SkipValidation[bool | None] = Field(
        default=None,
        description="Whether to run it twice does no harm: then lost jobs are retried.",
    )
    priority: SkipValidation[int | None] = Field(
        default=None,
        description="Of jobs that wait for a place, the highest goes first; 0 if not given.",
    )
    executor: SkipValidation[str | None] = Field(
        default=None, description="Where it runs: an executor, or one of `run: enabled hosts`."
    )
    resources: SkipValidation[ResourcesSettings | None] = Field(
        default=None, description="What its jobs ask of the machine that they run on."
    )
    members: SkipValidation[str | list[Any] | dict[str, Any] | None] = Field(
        default=None,
        description="What an ensemble is made of, a job for each: a range such as 1..21, a list, "
        "or parameters with their values.",
    )
    at_most: SkipValidation[int | None] = Field(
        default=None, description="How many members run at once."
    )
    ends_when: SkipValidation[str | int | None] = Field(
        default=None,
        description="What ends an ensemble: all members have ended, any or so many have succeeded.",
    )
    directives: SkipValidation[list[str] | None] = Field(
        default=None, description="Lines for the head of the script that a batch system is given."
    )
    requires: SkipValidation[RequiresSettings | None] = Field(
        default=None, description="What the agent must have that a job is placed on."
    )
