"""What a command is told by the common options, and the system that it is about.

``-C DIR``, ``--config FILE``, ``--color WHEN`` and ``--debug`` may stand before or after any
command; they arrive in the :class:`Invocation` that every command's context holds. A command
that is about a system asks for it with :func:`system_of`; only then is the configuration read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.output import ColorChoice, Output

if TYPE_CHECKING:
    import typer

    from nowcast_cli.config import Config, SystemPaths


@dataclass(frozen=True)
class System:
    """A system: its configuration, as read, and the places of its files."""

    config: Config
    paths: SystemPaths


class Invocation:
    """One run of the command: the common options and what follows from them."""

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.config: Path | None = None
        self.debug = False
        self.out = Output()

    def remember(self, option: str, value: Any) -> None:
        """Take in the value of the common option of that name."""
        if option == "color":
            color: ColorChoice = value
            self.out.color = color
        else:
            setattr(self, option, value)

    @cached_property
    def config_file(self) -> Path:
        """The configuration file of the system; raises NotFound (exit 4) saying what was tried."""
        from nowcast_cli.config.find import find_config

        return find_config(self.directory, self.config)

    @cached_property
    def system(self) -> System:
        """The system; raises NotFound (exit 4) or ConfigError (exit 2)."""
        from nowcast_cli.config import Config, system_paths

        config = Config()
        config.load(self.config_file)
        return System(config, system_paths(config))


def invocation_of(context: typer.Context) -> Invocation:
    """Return what the common options said."""
    invocation: Invocation = context.ensure_object(Invocation)
    return invocation


def system_of(context: typer.Context) -> System:
    """Return the system that the command is about; raises NotFound or ConfigError."""
    return invocation_of(context).system


def output_of(context: typer.Context) -> Output:
    """Return where the command prints."""
    return invocation_of(context).out
