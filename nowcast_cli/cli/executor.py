"""``nowcast executor``: list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.cli.output import Painted, Text

if TYPE_CHECKING:
    from nowcast_cli.cli.executor_report import Seen

app = group_app("List the executors that workers run on.")


@app.command("list")
def list_executors(ctx: typer.Context, as_json: Json = False) -> None:
    """List executors: their health, and how many jobs they have.

    Each is asked itself, so this works with all daemons down. Jobs that are
    queued have been taken on and have not begun.

    \b
    Examples:
      nowcast executor list
      nowcast executor list --json | jq '.executors[] | select(.reached | not)'
    """
    from nowcast_cli.cli.executor_report import look

    out, system = output_of(ctx), system_of(ctx)
    seen = look(system)
    if as_json:
        out.json({"executors": [_as_json(each) for each in seen]})
        return
    out.table(["executor", "kind", "running", "queued", "health"], [_row(each) for each in seen])
    for each in seen:
        if each.health.hint is not None:
            out.note(f"{each.name}: {each.health.hint}")


def _row(seen: Seen) -> list[Text]:
    name = f"{seen.name} (default)" if seen.is_default else seen.name
    if seen.health.trouble is None:
        health = Painted(f"● {seen.health.words}", "green")
    else:
        health = Painted(f"✗ {seen.health.trouble}", "red")
    return [name, seen.kind, str(seen.load.running), str(seen.load.queued), health]


def _as_json(seen: Seen) -> dict[str, Any]:
    return {
        "name": seen.name,
        "kind": seen.kind,
        "default": seen.is_default,
        "host": seen.host,
        "reached": seen.health.trouble is None,
        "words": seen.health.words,
        "trouble": seen.health.trouble,
        "hint": seen.health.hint,
        "running": seen.load.running,
        "queued": seen.load.queued,
        "states": dict(seen.load.states),
        "unknown": seen.load.unknown,
    }
