"""The root of the command tree: common options, and commands that load when they are used."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException
from typer.main import get_command

from nowcast_cli.cli.commands import COMMANDS, SECTIONS
from nowcast_cli.cli.context import Invocation, invocation_of
from nowcast_cli.cli.output import ColorChoice, Output, print_error
from nowcast_cli.errors import UsageError

COMMAND_ERRORS = (TyperException, typer.Exit, typer.Abort)
_COMMON = ("directory", "config", "color", "debug")


class LazyGroup(TyperGroup):
    """A group whose commands are names and help lines until one of them is used.

    Help, completion and "did you mean" see the stand-ins; resolving a command loads its module.
    """

    def __init__(self, **attributes: Any) -> None:
        stand_ins = {name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()}
        super().__init__(**{**attributes, "commands": stand_ins})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that ``args`` name, and load it."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if name is None or stand_in is None:
            return name, stand_in, rest
        return name, load_command(name, self), rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the commands in their sections."""
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                rows = [(name.ljust(width), entry.help) for name, entry in section.items()]
                formatter.write_dl(rows)


def build_root() -> LazyGroup:
    """Return the command ``nowcast``."""
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(nowcast)
    return cast(LazyGroup, get_command(app))


def load_command(name: str, root: TyperGroup) -> Any:
    """Import the module of the command ``name`` and return the command, common options added."""
    module = import_module(f"nowcast_cli.cli.{COMMANDS[name].module}")
    command = get_command(module.app)
    command.name = name
    common = [p for p in root.params if isinstance(p, TyperOption) and p.name in _COMMON]
    _add_common_options(command, common)
    return command


def complete(root: LazyGroup, invocation: Invocation, variable: str) -> int:
    """Answer a shell that completes a command line, or print a completion script."""
    from typer import _completion_classes  # typer does it for its own options only

    _completion_classes.completion_init()
    # It takes the markup of rich out of help lines: ours have none, and rich costs 50 ms a TAB.
    _completion_classes._sanitize_help_text = lambda text: text
    try:
        root.main([], "nowcast", variable, obj=invocation)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def exit_code_of(error: BaseException, out: Output) -> int:
    """Print what typer raised, if it is a mistake, and return the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        stopped_at = error.__context__  # Ctrl-C or Ctrl-D, which leave the question's line open
        out.note("nothing was done" if stopped_at is None else "\nnothing was done")
        return 130 if isinstance(stopped_at, KeyboardInterrupt) else 1
    if not isinstance(error, TyperException):
        raise error
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        out.note(error.format_message())
        return UsageError.exit_code
    hint = f"{context.command_path} --help" if context else "nowcast --help"
    print_error(UsageError(error.format_message(), hint=hint), out)
    return error.exit_code


def _remember(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    if value and param.name:
        invocation_of(ctx).remember(param.name, value)
    return value


def _print_version(value: bool) -> None:
    if value:
        from nowcast_cli import __version__

        print(f"nowcast {__version__}")
        raise typer.Exit


def nowcast(
    directory: Annotated[
        Path | None,
        typer.Option(
            "-C", metavar="DIR", callback=_remember, help="Look for the system in DIR, not here."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            callback=_remember,
            help="Use this configuration; else NOWCAST_YAML, else nowcast.yaml here or above.",
        ),
    ] = None,
    color: Annotated[
        ColorChoice | None,
        typer.Option("--color", callback=_remember, help="When to use colour."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_remember, help="Print the traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Build, run and watch automated forecast systems.

    \b
    Examples:
      nowcast init toy-nowcast
      nowcast -C toy-nowcast start
      nowcast -C toy-nowcast run-worker sleep

    The options may stand before or after a command.
    """


def _add_common_options(command: Any, common: Sequence[TyperOption]) -> None:
    """Let ``-C`` and the others stand after the command too, where it has no option so named."""
    own = {name for param in command.params for name in param.opts}
    for option in common:
        if own.isdisjoint(option.opts):
            inherited = copy.copy(option)
            inherited.expose_value = False
            inherited.hidden = True
            command.params.append(inherited)
    for inner in getattr(command, "commands", {}).values():
        _add_common_options(inner, common)
