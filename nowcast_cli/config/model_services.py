"""The form of a service in nowcast.yaml. ``config.services`` reads and checks it."""

from __future__ import annotations

from pydantic import Field

from nowcast_cli.config.model_sections import ClosedSection


class ServiceEntry(ClosedSection):
    """A user's program that runs for as long as the system does."""

    command: str | list[str | float] = Field(description="What is run, without a shell.")
    autostart: bool | None = Field(
        default=None, description="Whether `nowcast start` starts it with the daemons; true."
    )
    actions: list[str] | None = Field(
        default=None,
        description="Keys of the actions that it owns, running or not: ?Ingest?latest.",
    )
    topics: list[str] | None = Field(
        default=None, description="Topics that it wants beside those of the flows of its actions."
    )
    environment: dict[str, str | float] | None = Field(
        default=None, description="Variables of its environment."
    )
    working_directory: str | None = Field(
        default=None, description="Where it runs. Default: the deployment."
    )
    ready_within: str | float | None = Field(
        default=None, description="How long it may take until it says that it is ready; 30s."
    )
