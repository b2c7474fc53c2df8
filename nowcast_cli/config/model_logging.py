"""The form of the sections about logs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
)

from nowcast_cli.config.model_sections import ClosedSection, Section
from nowcast_cli.config.model_values import (
    no_handlers,
)


class LogsSettings(ClosedSection):
    """What the log aggregator follows beside the jobs. ``config.log_settings`` reads it."""

    follow: list[str] | None = Field(
        default=None, description="Files whose lines go into the logs, as paths with wildcards."
    )
    watch: Literal["auto", "inotify", "poll"] | None = Field(
        default=None, description="How changes are noticed. auto: poll on network file systems."
    )


class Handler(Section):
    """A place where log messages go, in the form of Python's logging.config.dictConfig."""

    filename: str | None = Field(default=None, description="The file that is written.")
    formatter: str | None = None


class LoggingLayout(Section):
    """A logging configuration in the form of Python's logging.config.dictConfig."""

    version: Literal[1] = 1
    formatters: dict[str, dict[str, Any]] = Field(default={})
    # An empty list stands for no handlers, as in configurations made for tests.
    handlers: Annotated[dict[str, Handler], BeforeValidator(no_handlers)] = Field(default={})
    loggers: dict[str, dict[str, Any]] = Field(default={})
    root: dict[str, Any] = Field(default={})


class Logging(LoggingLayout):
    """Where log messages go: one layout, or the pair of a distributed system."""

    aggregator: LoggingLayout | None = Field(
        default=None, description="What collects the log messages of all processes."
    )
    publisher: LoggingLayout | None = Field(
        default=None, description="What each process does with its log messages."
    )
