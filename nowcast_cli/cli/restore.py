"""``nowcast restore``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import Json, Yes, command_app
from nowcast_cli.cli.times import local
from nowcast_cli.errors import NotFound, UsageError

if TYPE_CHECKING:
    from nowcast_cli.store.backup import Manifest

app = command_app()


@app.command()
def restore(
    ctx: typer.Context,
    backup: Annotated[Path, typer.Argument(metavar="FILE", help="A file of nowcast backup.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the state.

    \b
    Examples:
      nowcast restore var/backups/nowcast-20261122T031500Z.tar.gz
      nowcast -C new-machine/toy restore toy.tar.gz --yes

    The system is to be stopped. What is there is set aside, not deleted. Nothing that
    has run since is run again: jobs that still go on are taken over, and messages that
    were not decided wait for you. Where there is no configuration yet, that of the
    backup is written.
    """
    from nowcast_cli.cli.mended import document, say
    from nowcast_cli.manager import restoring
    from nowcast_cli.manager.mending import refuse_running
    from nowcast_cli.store.backup import manifest_of

    out = output_of(ctx)
    manifest = manifest_of(backup)
    system, files = _system(ctx, backup)
    refuse_running(system.paths)
    if not yes:
        _ask_leave(system, manifest)
    report = restoring.restore(system.paths, backup, time.time())
    if as_json:
        out.json({"backup": str(backup.absolute()), "made": manifest.made, **document(report)})
        return
    for file in files:
        out.note(f"wrote {file}")
    out.line(f"{system.paths.deployment} is as it was at {local(manifest.made)}")
    say(out, report)


def _system(ctx: typer.Context, backup: Path) -> tuple[System, list[Path]]:
    """Give the system, with the configuration of the backup where there is none."""
    try:
        return system_of(ctx), []
    except NotFound:
        invocation = invocation_of(ctx)
        if invocation.config is not None:
            raise
        folder = invocation.directory or Path.cwd()
        written = _write_configuration(backup, folder)
        invocation.config = next((file for file in written if file.suffix == ".yaml"), None)
        return invocation.system, written


def _write_configuration(backup: Path, folder: Path) -> list[Path]:
    from tempfile import TemporaryDirectory

    from nowcast_cli.atomic_files import write_atomically
    from nowcast_cli.store.backup import extract

    written = []
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".restore-", dir=folder) as place:
        extract(backup, Path(place))
        source = Path(place, "deployment")
        for path in sorted(found for found in source.rglob("*") if found.is_file()):
            target = folder / path.relative_to(source)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target, path.read_bytes())
                written.append(target)
    return written


def _ask_leave(system: System, manifest: Manifest) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "restoring needs --yes where there is no terminal to ask at",
            hint="nowcast restore FILE --yes",
        )
    typer.confirm(
        f"Put {system.paths.state} back to {local(manifest.made)} (message {manifest.journal} of "
        f"{manifest.system})?",
        abort=True,
    )
