"""``nowcast backup``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.errors import UsageError

app = command_app()


@app.command()
def backup(
    ctx: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|DIR]", help="Where it goes; by default `backups` in the state directory."
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Remove all but the newest in that folder.")
    ] = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Put the secret keys into it, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the state of the system to one file.

    \b
    Examples:
      nowcast backup
      nowcast backup /backups/toy --keep 7
      nowcast backup before-upgrade.tar.gz

    The system may run. The file holds the store as it is at one instant, the checklist
    and the configuration, and is for its owner alone to read. Folders of jobs and logs
    are not in it.
    """
    from nowcast_cli.config.sizes import size_words
    from nowcast_cli.store import backup as backups

    system, out = system_of(ctx), output_of(ctx)
    folder = _folder(system, target)
    if keep is not None and folder is None:
        raise UsageError("--keep needs a folder, not a file", hint="nowcast backup DIR --keep 7")
    now = time.time()
    file = (folder / backups.name_of(now) if folder else Path(target or "")).absolute()
    journal = make_backup(system, file, now, with_keys)
    removed = [] if keep is None or folder is None else _remove_old(folder, keep)
    if as_json:
        out.json(
            {
                "backup": str(file),
                "size": file.stat().st_size,
                "journal": journal,
                "removed": [str(path) for path in removed],
            }
        )
        return
    out.line(f"{file}: {size_words(file.stat().st_size)}, up to message {journal}")
    for path in removed:
        out.note(f"removed {path}")


def _folder(system: System, target: Path | None) -> Path | None:
    """Give the folder that is meant, None where it is a file."""
    if target is None:
        return system.paths.state / "backups"
    return target if target.is_dir() or str(target).endswith("/") else None


def make_backup(system: System, file: Path, now: float, with_keys: bool) -> int:
    """Write a backup to a file; gives the number of the last message in it."""
    from nowcast_cli import __version__
    from nowcast_cli.config.registry import registry_of
    from nowcast_cli.manager.clock import as_stored
    from nowcast_cli.manager.reload import find_module_file
    from nowcast_cli.store import backup as backups
    from nowcast_cli.store.checklist_base import base_file

    paths = system.paths
    module = Path(
        find_module_file(registry_of(system.config).next_workers_module, paths.deployment)
    )
    configuration = {
        f"deployment/{path.relative_to(paths.deployment)}": path
        for path in (paths.config_file, module)
        if path.is_relative_to(paths.deployment)
    }
    keys = sorted(paths.keys.glob("*")) if with_keys else []
    os.nice(19)  # the system has work to do
    # The checklist file may be older than the store in the backup, its base newer: never otherwise.
    manifest = backups.make(
        paths.database,
        file,
        {"checklist.yaml": paths.checklist_file},
        {base_file(paths.database).name: base_file(paths.database)}
        | configuration
        | {f"keys/{path.name}": path for path in keys},
        (as_stored(now), __version__, str(paths.deployment)),
    )
    return manifest.journal


def _remove_old(folder: Path, keep: int) -> list[Path]:
    from nowcast_cli.store.backup import backups_in

    old = backups_in(folder)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    return old
