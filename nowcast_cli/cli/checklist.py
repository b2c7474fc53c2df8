"""``nowcast checklist``: show, history, wait, clear.

Show and wait read the checklist file alone, history the journal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import DryRun, Json, Limit, Yes, group_app
from nowcast_cli.cli.output import Output, Painted
from nowcast_cli.errors import NotFound, UsageError, WaitTimedOut

if TYPE_CHECKING:
    from nowcast_cli.cli.checklist_history import Version

_BETWEEN_LOOKS = 0.05  # seconds

app = group_app("Read the checklist and its history, wait for it, clear it.")


@app.command()
def show(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help="Show these alone; a/b is b in a.",
            autocompletion=complete.checklist_keys,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again each time that it changes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the checklist, or some of its keys.

    It needs no daemon.

    \b
    Examples:
      nowcast checklist show
      nowcast checklist show sleepyhead "log files"
      nowcast checklist show forecast/2026-11-22 --json
    """
    file, out = system_of(ctx).paths.checklist_file, output_of(ctx)
    if not watch:
        _print(out, file, keys or [], as_json)
        return
    for shown, _ in enumerate(_changes(file)):
        _print_once_more(out, file, keys or [], as_json, is_first=shown == 0)


@app.command()
def history(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="a/b is b in a.", autocompletion=complete.checklist_keys
        ),
    ],
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Show when a key changed, by which message, and how.

    The oldest change comes first, times are local. Works with the system up
    or down.

    \b
    Examples:
      nowcast checklist history sleepyhead
      nowcast checklist history "NEMO run/status" -n 5
      nowcast checklist history forecast --json | jq .changes[-1]
    """
    from nowcast_cli.cli import checklist_history
    from nowcast_cli.store.checklist_base import read_base
    from nowcast_cli.store.reader import Reader

    system, out = system_of(ctx), output_of(ctx)
    with Reader(system.paths.database) as reader:
        keys, known = checklist_history.keys_above(reader.checklist_keys(), key)
        effects = reader.checklist_effects(keys)
        versions = (
            checklist_history.history(effects, key, limit, lambda: read_base(system.paths.database))
            if keys
            else []
        )
    if not versions:
        raise NotFound(
            f"the journal tells nothing of {key!r} in the checklist",
            hint=f"it knows: {', '.join(sorted(known)[:20])}" if known else "it is empty as yet",
        )
    if as_json:
        out.json({"key": key, "changes": [_version_as_json(version) for version in versions]})
        return
    for version in versions:
        _print_version(out, version)


@app.command()
def wait(
    ctx: typer.Context,
    condition: Annotated[
        str,
        typer.Argument(
            metavar="KEY[=VALUE]",
            help="What to wait for; a/b is b in a.",
            autocompletion=complete.checklist_keys,
        ),
    ],
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="Give up then, with exit code 124."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Wait until a key is there, or has a value; then show it.

    \b
    Examples:
      nowcast checklist wait forecast --timeout 600
      nowcast checklist wait "NEMO run/status=completed"
    """
    system, out = system_of(ctx), output_of(ctx)
    give_up = None if timeout is None else time.monotonic() + timeout
    _warn_if_nothing_will_change(system, out)
    for _ in _changes(system.paths.checklist_file, give_up):
        met = _met(_checklist_if_any(system.paths.checklist_file), condition)
        if met is not None:
            _print_values(out, met, as_json)
            return
    raise WaitTimedOut(
        f"the checklist did not come to hold {condition} within {timeout:g} s",
        hint="nowcast checklist show",
    )


@app.command()
def clear(
    ctx: typer.Context, yes: Yes = False, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Empty the checklist, after a copy of it to the checklist log.

    \b
    Examples:
      nowcast checklist clear --dry-run
      nowcast checklist clear --yes
    """
    from nowcast_cli.cli.asking import ask_manager

    system, out = system_of(ctx), output_of(ctx)
    keys = sorted(map(str, _checklist_if_any(system.paths.checklist_file)))
    if not dry_run:
        if not yes:
            _ask_leave(len(keys))
        ask_manager(system, "clear checklist", {})
    if as_json:
        out.json({"cleared": not dry_run, "keys": keys})
        return
    named = ", ".join(keys) or "nothing"
    out.line(f"would be cleared: {named}" if dry_run else f"cleared: {named}")


def _print(out: Output, file: Path, keys: list[str], as_json: bool) -> None:
    from nowcast_cli.cli.checklist_values import selection
    from nowcast_cli.store.checklist_file import read_checklist

    _print_values(out, selection(read_checklist(file), keys), as_json)


def _print_version(out: Output, version: Version) -> None:
    from nowcast_cli.cli.checklist_history import differences, row_of
    from nowcast_cli.cli.times import local

    message = version.message
    out.line(
        Painted(local(message.received), "bold"),
        f"  {message.source} {message.type} (message {message.number})",
    )
    out.columns([row_of(each) for each in differences(version.before, version.after)], indent=2)


def _version_as_json(version: Version) -> dict[str, Any]:
    from nowcast_cli.cli import checklist_values as values
    from nowcast_cli.cli.checklist_history import ABSENT, differences

    def shown(**both: Any) -> dict[str, Any]:
        return {word: values.as_json(value) for word, value in both.items() if value is not ABSENT}

    message = version.message
    return {
        "message": message.number,
        "received": message.received,
        "source": message.source,
        "type": message.type,
        "job": message.job,
        **shown(value=version.after),
        "differences": [
            {"path": list(each.path), **shown(before=each.before, after=each.after)}
            for each in differences(version.before, version.after)
        ],
    }


def _print_once_more(
    out: Output, file: Path, keys: list[str], as_json: bool, *, is_first: bool
) -> None:
    """Print what of ``keys`` there is: a key may come later, so that it lacks is no error."""
    from nowcast_cli.cli import checklist_values as values

    checklist = _checklist_if_any(file)
    present = {}
    for key in keys:
        try:
            present[key] = values.look_up(checklist, key)
        except KeyError:
            continue
    shown = present if keys else checklist
    if as_json:
        out.json_line({"checklist": values.as_json(shown)})
        return
    if not is_first:
        out.line("---")
    _print_values(out, shown, as_json)
    sys.stdout.flush()


def _print_values(out: Output, shown: dict[Any, Any], as_json: bool) -> None:
    from nowcast_cli.cli import checklist_values as values

    if as_json:
        out.json({"checklist": values.as_json(shown)})
    else:
        out.line(values.as_yaml(shown).rstrip("\n"))


def _changes(file: Path, give_up: float | None = None) -> Iterator[None]:
    """Come back at once, and each time that the file has been written, until ``give_up``."""
    last: object = ()
    while True:
        now = _stamp(file)
        if now != last:
            last = now
            yield
        left = _BETWEEN_LOOKS if give_up is None else give_up - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _BETWEEN_LOOKS))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _met(checklist: dict[Any, Any], condition: str) -> dict[Any, Any] | None:
    """Give the key and its value when the condition is met, else None."""
    from nowcast_cli.cli.checklist_values import equals, look_up

    try:
        return {condition: look_up(checklist, condition)}
    except KeyError:
        pass
    key, sign, text = condition.partition("=")
    try:
        value = look_up(checklist, key)
    except KeyError:
        return None
    return {key: value} if sign and equals(value, text) else None


def _checklist_if_any(file: Path) -> dict[Any, Any]:
    from nowcast_cli.store.checklist_file import read_checklist

    try:
        return read_checklist(file)
    except NotFound:
        return {}


def _warn_if_nothing_will_change(system: System, out: Output) -> None:
    from nowcast_cli.cli.asking import runs
    from nowcast_cli.config.paths import other_owner

    if other_owner(system.paths.run) is None and not runs(system):
        out.note(
            "note: the system does not run, and its checklist changes only when it does: "
            "nowcast start"
        )


def _ask_leave(number: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "clearing the checklist needs --yes where there is no terminal to ask at",
            hint="nowcast checklist clear --dry-run",
        )
    typer.confirm(f"Clear the checklist ({number} keys)?", abort=True)
