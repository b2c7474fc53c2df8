"""``nowcast clean``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import DryRun, Json, Yes, command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.errors import NotFound, UsageError

if TYPE_CHECKING:
    from nowcast_cli.cli.cleaning import Removal
    from nowcast_cli.store.pruning import Prunable

_WORDS = {
    "job": ("folder of a job", "folders of jobs"),
    "scratch": ("scratch folder", "scratch folders"),
    "log": ("rotated log file", "rotated log files"),
}

app = command_app()


@app.command()
def clean(
    ctx: typer.Context, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> int | None:
    """Remove old jobs, scratch folders, logs and messages.

    \b
    Examples:
      nowcast clean --dry-run
      nowcast clean --yes

    How long they are kept says `retention` in nowcast.yaml: jobs 30 days, their
    scratch folders 7, rotated logs 90, the journal 365, events 30. Jobs that have not ended,
    messages that were not delivered, chains that are not over and the last success
    of each worker are never touched. What jobs have left on other hosts goes with
    their folders here. A manager that runs cleans the journal itself,
    a little at a time; while it is stopped, the room is given back to the disk.
    """
    from nowcast_cli.cli.clean_hosts import removals_elsewhere, remove_elsewhere

    system, out = system_of(ctx), output_of(ctx)
    found, old = _found(system), _old_messages(system)
    if (found or old) and not (dry_run or yes):
        _show(out, found, system.paths.state)
        _ask_leave(found, old)
    elsewhere = removals_elsewhere(system, found)
    failed = {} if dry_run else remove_elsewhere(system, elsewhere)
    if not dry_run:
        failed |= _remove([removal for removal in found if removal.path not in failed])
    gone = _clean_journal(system, old, dry_run) if old else {}
    done = [removal for removal in found if removal.path not in failed]
    hosts = {
        host: sum(removal.path not in failed for removal in removals)
        for host, removals in elsewhere.items()
    }
    if as_json:
        out.json({**_document(done, failed, dry_run), "hosts": hosts, "journal": gone})
    else:
        if dry_run:
            _show(out, found, system.paths.state)
        _say(out, done, failed, gone, dry_run)
        for host, count in hosts.items():
            out.note(f"{count} of them on host {host}, too")
    return 1 if failed else None


def _old_messages(system: System) -> Prunable | None:
    from nowcast_cli.cli.clean_journal import old_messages
    from nowcast_cli.config.log_settings import retention

    keep = retention(system.config)
    return old_messages(system, keep.journal, keep.events, time.time())


def _clean_journal(system: System, old: Prunable, dry_run: bool) -> dict[str, int]:
    """Give how many messages and jobs went; where nothing goes, how many messages may at most."""
    from nowcast_cli.cli.clean_journal import clean_journal

    if dry_run:
        return {"messages": old.messages, "batches of events": old.batches}
    return clean_journal(system, old)


def _found(system: System) -> list[Removal]:
    from nowcast_cli.cli.cleaning import removals
    from nowcast_cli.config import logging_section
    from nowcast_cli.config.log_settings import retention
    from nowcast_cli.logs import search

    keep = retention(system.config)
    logs = {
        *logging_section.log_files(system.config),
        *search.log_files(system.config, system.paths.logs),
    }
    return removals(system.paths.jobs, logs, _open_jobs(system), keep, time.time())


def _open_jobs(system: System) -> set[str] | None:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import UNFINISHED_STATES

    try:
        with Reader(system.paths.database) as reader:
            return {job.id for job in reader.jobs(states=UNFINISHED_STATES, limit=None)}
    except NotFound:
        return None  # without the store nobody can tell which jobs go on


def _remove(found: Sequence[Removal]) -> dict[Path, str]:
    from nowcast_cli.cli.cleaning import remove

    failed = {}
    for removal in found:
        try:
            remove(removal)
        except OSError as error:
            failed[removal.path] = f"{error.filename or removal.path}: {error.strerror}"
    return failed


def _show(out: Output, found: Sequence[Removal], state: Path) -> None:
    from nowcast_cli.config.durations import duration_words
    from nowcast_cli.config.sizes import size_words

    out.table(
        ["what", "age", "size", "path"],
        [
            [
                removal.kind,
                duration_words(removal.age),
                size_words(removal.size),
                str(removal.path.relative_to(state) if _is_below(removal.path, state)
                    else removal.path),
            ]
            for removal in found
        ],
    )  # fmt: skip


def _is_below(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder)


def _ask_leave(found: Sequence[Removal], old: Prunable | None) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "removing things needs --yes where there is no terminal to ask at",
            hint="nowcast clean --dry-run",
        )
    words = [_counted(found)] if found else []
    if old:
        words.append(
            f"up to {old.messages:,} messages and {old.batches:,} batches of events of the journal"
        )
    typer.confirm(f"Remove {' and '.join(words)}?", abort=True)


def _say(
    out: Output,
    done: Sequence[Removal],
    failed: dict[Path, str],
    gone: dict[str, int],
    dry_run: bool,
) -> None:
    for reason in dict.fromkeys(failed.values()):
        out.note(f"could not be removed: {reason}")
    verb = "would remove " if dry_run else "removed "
    if done:
        out.line(verb, _counted(done))
    if any(gone.values()):
        counted = [f"{count:,} {kind}" for kind, count in gone.items()]
        out.line(verb, "up to " if dry_run else "", _listed(counted), " of the journal")
    elif not done and not failed:
        out.line("nothing is older than it is to be kept")


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _counted(found: Sequence[Removal]) -> str:
    from nowcast_cli.config.sizes import size_words

    counts = Counter(removal.kind for removal in found)
    parts = [f"{n} {_WORDS[kind][n != 1]}" for kind in _WORDS if (n := counts[kind])]  # type: ignore[index]
    size = size_words(sum(removal.size for removal in found))
    return f"{', '.join(parts)}: {size}"


def _document(done: Sequence[Removal], failed: dict[Path, str], dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "removed": [
            {"kind": removal.kind, "path": str(removal.path), "size": removal.size,
             "age_seconds": round(removal.age)}
            for removal in done
        ],
        "failed": [{"path": str(path), "reason": reason} for path, reason in failed.items()],
        "size": sum(removal.size for removal in done),
    }  # fmt: skip
