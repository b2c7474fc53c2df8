"""``nowcast export``: files for another supervisor than ours."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import group_app
from nowcast_cli.errors import NowcastError

if TYPE_CHECKING:
    from nowcast_cli.supervisor.export import Plan

Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Write the files there, not to the terminal."),
]

app = group_app("Write files for systemd, circus or supervisord.")


@app.command()
def systemd(ctx: typer.Context, output: Folder = None) -> None:
    """Write units for systemd: one a daemon, and a target for all.

    They are for a user's own systemd; the target says how they are put in
    place. Stop the system before: nowcast stop.

    \b
    Examples:
      nowcast export systemd
      nowcast export systemd --output units
    """
    from nowcast_cli.supervisor.export.systemd import files_for

    _give(ctx, files_for(_plan(system_of(ctx))), output)


@app.command()
def circus(ctx: typer.Context, output: Folder = None) -> None:
    """Write a configuration for circus.

    \b
    Examples:
      nowcast export circus --output .
    """
    from nowcast_cli.supervisor.export.circus import files_for

    _give(ctx, files_for(_plan(system_of(ctx))), output)


@app.command()
def supervisord(ctx: typer.Context, output: Folder = None) -> None:
    """Write a configuration for a supervisord of your own.

    nowcast start needs none: it brings its own supervisord.

    \b
    Examples:
      nowcast export supervisord --output .
    """
    from nowcast_cli.supervisor.export.supervisord import files_for

    _give(ctx, files_for(_plan(system_of(ctx))), output)


def _plan(system: System) -> Plan:
    from nowcast_cli.config.paths import ensure
    from nowcast_cli.supervisor.daemons import daemons_of
    from nowcast_cli.supervisor.export import Plan
    from nowcast_cli.supervisor.services import service_programs

    ensure(system.paths)  # the files name its folders, which must be there
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", system.paths.deployment.name).strip("-.") or "system"
    return Plan(
        name=name,
        python=sys.executable,
        config_file=system.paths.config_file,
        run=system.paths.run,
        logs=system.paths.logs,
        daemons=daemons_of(system.config, None),
        environment={"NOWCAST_YAML": str(system.paths.config_file)},
        services=service_programs(system.config, system.paths),
    )


def _give(ctx: typer.Context, files: dict[str, str], folder: Path | None) -> None:
    out = output_of(ctx)
    if folder is None:
        for name, text in files.items():
            out.line(f"# --- {name}")
            out.line(text)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
            out.line(str(folder / name))
    except OSError as error:
        raise NowcastError(
            f"the files cannot be written to {folder}",
            cause=error.strerror,
            hint="give a folder that you may write to",
        ) from error
