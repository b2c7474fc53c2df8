"""``nowcast events``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.cli.output import Output

if TYPE_CHECKING:
    from datetime import datetime

    from nowcast_cli.bus.kept import Kept
    from nowcast_cli.messages.event import Event

_SHOWN = 50
_OF_LOGS = ": log records are not kept as events; see nowcast logs, or follow them with -f"
_SHOWN_BEFORE = 10  # of what was before, where what happens is followed
_ID = re.compile(r"[A-Za-z_?][^\s:]*:\d+")

app = command_app()


@app.command()
def events(
    ctx: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")
    ] = False,
    topics: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            "-t",
            metavar="TOPIC",
            help="First fields of a topic; may be given again.",
            autocompletion=complete.topics,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME|ID", help="From then: 2h, today, 03:00, jobs:120."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, help="How many of the last; 50, with -f 10, or all since then."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show and follow what happens: events of all kinds.

    \b
    Examples:
      nowcast events -n 20
      nowcast events -f --topic jobs --topic flows~forecast
      nowcast events --since 2h --topic checklist~'NEMO run'
      nowcast events --since jobs:120 --json

    A topic is made of fields with ~ between them, such as jobs~make_forcing~failed; the
    first is its stream, in which events are numbered. Following goes on while daemons are
    killed and started again, and misses nothing. With everything down, what is kept is shown.
    """
    from nowcast_cli.bus.kept import kept_for
    from nowcast_cli.messages.event import LOGS, prefix_of

    system, out = system_of(ctx), output_of(ctx)
    prefixes = [prefix_of(topic) for topic in topics or ()]
    begin = None if since is None else _begin(since)
    kept = kept_for(system.config, "operator")
    try:
        _check(system, kept, prefixes, begin)
        if follow:
            _follow(system, out, kept, prefixes, begin, limit, as_json)
            return
        most = limit if limit is not None or begin is not None else _SHOWN
        found = kept.latest(prefixes, _text(begin), most)
        _show(out, found, as_json)
        if not found and not as_json:
            logs = any(prefix.startswith(prefix_of(LOGS)) for prefix in prefixes)
            out.note("no such events", _OF_LOGS if logs else "")
    finally:
        kept.close()


def _begin(since: str) -> str | datetime:
    """Give the time, or the id of an event, from which on events are wanted."""
    from datetime import datetime

    from nowcast_cli.cli.instants import instant

    if _ID.fullmatch(since):
        return since
    return instant(since, "--since", datetime.now().astimezone())


def _check(
    system: System, kept: Kept, prefixes: Iterable[str], begin: str | datetime | None
) -> None:
    """Refuse streams that can have no events, and an event that there is not."""
    from nowcast_cli.config.hints import did_you_mean
    from nowcast_cli.errors import NotFound, UsageError
    from nowcast_cli.messages.event import BEACON, DELIMITER, SYSTEM_STREAMS, field

    of_id, _, number = begin.rpartition(":") if isinstance(begin, str) else ("", "", "0")
    wanted = [prefix.partition(DELIMITER)[0] for prefix in prefixes] + [of_id] * bool(of_id)
    of_system = SYSTEM_STREAMS - {BEACON}
    if any(stream not in of_system for stream in wanted):
        from nowcast_cli.flows.loading import declared

        known = {*of_system, *kept.numbers(), *map(field, declared(system.config).flows)}
        for stream in wanted:
            if stream not in known and "?" not in stream:  # of actions that are called, their keys
                raise UsageError(
                    f"no event is of the stream {stream!r}{did_you_mean(stream, known)}",
                    hint=f"the streams are {', '.join(sorted(of_system))}, and the names of flows",
                )
    last = kept.numbers().get(of_id, 0) if of_id else 0
    if int(number) > last:
        raise NotFound(
            f"there is no event {begin} as yet",
            hint=f"the last is {of_id}:{last}" if last else f"{of_id} has none so far",
        )


def _text(begin: str | datetime | None) -> str | None:
    from nowcast_cli.bus.kept import stored

    return begin if begin is None or isinstance(begin, str) else stored(begin)


def _follow(
    system: System,
    out: Output,
    kept: Kept,
    prefixes: list[str],
    begin: str | datetime | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show some of what was before, then all that happens, without a hole between the two."""
    from nowcast_cli.bus.subscribing import subscribe

    numbers = kept.numbers()
    most = limit if limit is not None or begin is not None else _SHOWN_BEFORE
    before = kept.latest(prefixes, _text(begin), most)
    _show(out, (e for e in before if e.number <= numbers.get(e.stream, 0)), as_json)
    with subscribe(*prefixes, since=numbers, config=system.config, key="operator") as subscription:
        for event in subscription:
            _show(out, (event,), as_json)


def _show(out: Output, found: Iterable[Event], as_json: bool) -> None:
    from nowcast_cli.cli.event_lines import line_of
    from nowcast_cli.messages.event import event_as_plain

    for event in found:
        if as_json:
            out.json_line(event_as_plain(event))
        else:
            out.line(*line_of(event))
