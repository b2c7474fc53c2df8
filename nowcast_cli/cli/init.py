"""``nowcast init``: make the folder of a new system."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from nowcast_cli.cli.context import invocation_of
from nowcast_cli.cli.git import commit_files
from nowcast_cli.cli.options import DryRun, Json, command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.skeleton import SCHEMA_FILE, Template, free_ports, template_files
from nowcast_cli.errors import NowcastError, UsageError
from nowcast_cli.security.key_ring import KeyRing

_FIRST_COMMIT = "Begin a nowcast system"
_FIRST_WORKER = {"toy": "sleep -- --sleep-time 2", "minimal": "rotate_logs"}

app = command_app()


@app.command()
def init(
    ctx: typer.Context,
    name: Annotated[Path, typer.Argument(metavar="NAME", help="The folder to make.")],
    template: Annotated[
        Template,
        typer.Option("--template", help="What to begin with: an example, or next to nothing."),
    ] = "toy",
    force: Annotated[
        bool,
        typer.Option("--force", help="Use a folder that is not empty; replace files in it."),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make the folder of a new system.

    \b
    Examples:
      nowcast init toy-nowcast
      nowcast init my-nowcast --template minimal
      nowcast init . --dry-run

    The folder becomes a git repository, and two free ports are written
    into its nowcast.yaml, so that systems run side by side. The keys of the
    system are made in var/keys, which git ignores.
    """
    invocation = invocation_of(ctx)
    folder = ((invocation.directory or Path()) / name).absolute()
    _refuse_unless_usable(folder, force)
    ports = free_ports()
    files = template_files(template, _values(folder, ports))
    if dry_run:
        _report_dry_run(invocation.out, folder, [*files, Path(SCHEMA_FILE)], as_json)
        return
    files[Path(SCHEMA_FILE)] = _schema()
    _write(folder, files)
    KeyRing(folder / "var" / "keys").init()
    git_problem = commit_files(folder, files, _FIRST_COMMIT)
    if as_json:
        invocation.out.json(
            {
                **_described(folder, list(files)),
                "ports": {"workers": ports[0], "manager": ports[1]},
                "git": {"committed": git_problem is None, "problem": git_problem},
            }
        )
        return
    _report(invocation.out, folder, template, ports, git_problem)


def _refuse_unless_usable(folder: Path, force: bool) -> None:
    if folder.is_symlink() or folder.exists():
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder.", hint="give another name")
        if any(folder.iterdir()) and not force:
            raise UsageError(
                f"the folder {folder} is not empty",
                hint="give another name, or --force to write into it all the same",
            )


def _values(folder: Path, ports: tuple[int, int]) -> Mapping[str, str]:
    return {
        # in a comment of YAML: a name with a line end in it would break out of it
        "NAME": " ".join(folder.resolve().name.split()),
        "WORKERS_PORT": str(ports[0]),
        "MANAGER_PORT": str(ports[1]),
    }


def _schema() -> str:
    # Here, because it loads pydantic, which no other part of this command needs.
    from nowcast_cli.config.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def _write(folder: Path, files: Mapping[Path, str]) -> None:
    try:
        for path, text in files.items():
            destination = folder / path
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NowcastError(
            f"the system cannot be made in {folder}",
            cause=f"{error.filename}: {error.strerror}",
            hint="give a folder that you may write to",
        ) from error


def _described(folder: Path, files: list[Path]) -> dict[str, object]:
    return {"folder": str(folder), "files": sorted(map(str, files))}


def _report_dry_run(out: Output, folder: Path, files: list[Path], as_json: bool) -> None:
    if as_json:
        out.json(_described(folder, files))
        return
    for path in sorted(files):
        out.line(str(folder / path))
    out.note("nothing was written; without --dry-run these files would be")


def _report(
    out: Output, folder: Path, template: Template, ports: tuple[int, int], git_problem: str | None
) -> None:
    out.line(f"made the nowcast system {folder} (ports {ports[0]} and {ports[1]})")
    if git_problem is not None:
        out.note(f"note: {git_problem}")
    out.note("next:")
    if folder != Path.cwd():
        here = Path.cwd()
        shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
        out.note(f"  cd {shlex.quote(str(shown))}")
    for line in ("start", f"run-worker {_FIRST_WORKER[template]}", "checklist show"):
        out.note(f"  nowcast {line}")
