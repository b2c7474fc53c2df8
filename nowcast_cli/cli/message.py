"""``nowcast message``: list, show, retry."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, Limit, group_app
from nowcast_cli.cli.output import Color, Output, Painted
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import MessageRecord

State = Literal["received", "decided", "stuck", "answered", "late"]
_STATES: tuple[str, ...] = get_args(State)

_COLORS: dict[str, Color] = {"stuck": "red", "late": "yellow", "received": "blue"}
_MARKS = {"stuck": "✗", "received": "○"}

app = group_app("List, show and retry messages of workers.")


@app.command("list")
def list_messages(
    ctx: typer.Context,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="WORKER", help="Of this one.", autocompletion=complete.workers
        ),
    ] = None,
    state: Annotated[
        State | None,
        typer.Option("--state", metavar="STATE", help=f"One of {', '.join(_STATES)}."),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List messages, the newest first.

    \b
    Examples:
      nowcast message list
      nowcast message list --state stuck
    """
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import short_id

    out = output_of(ctx)
    with Reader(system_of(ctx).paths.database) as reader:
        messages = reader.messages(source=source, states=state and {state}, limit=limit)
    if as_json:
        out.json({"messages": [asdict(message) for message in messages]})
        return
    from nowcast_cli.cli.times import local

    out.table(
        ["number", "received", "source", "type", "job", "state"],
        [
            [
                str(message.number),
                local(message.received),
                message.source,
                message.type,
                short_id(message.job) if message.job else "-",
                # of a decided one, what was left out of what follows
                Painted("decided in part", "yellow")
                if message.state == "decided" and message.error
                else _painted(message.state),
            ]
            for message in messages
        ],
    )
    if not messages:
        out.note("no such messages")


@app.command()
def show(
    ctx: typer.Context,
    message: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER", help="Its number, or its id.", autocompletion=complete.messages
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show a message: what it brought, and what was decided.

    \b
    Examples:
      nowcast message show 12
    """
    from nowcast_cli.cli.chain import jobs_after
    from nowcast_cli.store.reader import Reader

    out = output_of(ctx)
    with Reader(system_of(ctx).paths.database) as reader:
        record = reader.message(message)
        followers = [job.id for job in jobs_after(reader, record)]
    if as_json:
        out.json({"message": {**asdict(record), "jobs": followers}})
        return
    _print(out, record, followers)


@app.command()
def retry(
    ctx: typer.Context,
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="[NUMBER]", help="The stuck message.", autocompletion=complete.stuck_messages
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are stuck.")] = False,
    as_json: Json = False,
) -> int:
    """Decide again what follows from a stuck message.

    \b
    Examples:
      nowcast message retry 12
      nowcast message retry --all

    A message is stuck when its after_ function in the next workers module
    failed; mend the module first. `nowcast message show` has the traceback.
    The exit code is 1 when one of them is stuck again.
    """
    if (message is None) == (not every):
        raise UsageError("give the number of a message, or --all", hint="nowcast message list")
    from nowcast_cli.cli.asking import ask_manager
    from nowcast_cli.cli.watching import read_store

    system, out = system_of(ctx), output_of(ctx)
    wanted = "all"
    if message not in (None, wanted):
        wanted = str(read_store(system, lambda reader: reader.message(str(message))).number)
    reply = ask_manager(system, "retry", {"message": wanted})
    numbers: list[int] = reply.get("messages", [])
    if not numbers:
        out.note("no message is stuck")
    decided = _once_decided(system, out, numbers) if numbers else []
    stuck = [record.number for record, _ in decided if record.state == "stuck"]
    if as_json:
        out.json({"messages": numbers, "stuck": stuck})
        return 1 if stuck else 0
    for record, sentences in decided:
        out.line(
            f"message {record.number} ({record.source} {record.type}) is taken again: "
            f"{sentences[0]}"
        )
        for sentence in sentences[1:]:
            out.note(sentence)
    return 1 if stuck else 0


def _once_decided(
    system: System, out: Output, numbers: list[int]
) -> list[tuple[MessageRecord, list[str]]]:
    """Wait until it is decided what follows from the messages, and say it in words."""
    from nowcast_cli.cli.chain import jobs_after
    from nowcast_cli.cli.following import Decision, what_follows
    from nowcast_cli.cli.watching import Watch, read_store

    def look(reader: Reader) -> list[tuple[MessageRecord, list[str]]] | None:
        records = [reader.message(str(number)) for number in numbers]
        if any(record.state == "received" for record in records):
            return None
        return [
            (record, what_follows(Decision(record, jobs_after(reader, record))))
            for record in records
        ]

    return Watch(system, out).until(lambda: read_store(system, look))


def _painted(state: str) -> Painted:
    return Painted(f"{_MARKS.get(state, '●')} {state}", _COLORS.get(state, "green"))


def _print(out: Output, message: MessageRecord, followers: list[str]) -> None:
    from nowcast_cli.cli.times import local
    from nowcast_cli.store.records import short_id

    rows: list[list[str | Painted]] = [
        ["message", str(message.number)],
        ["id", message.id],
        ["from", message.source],
        ["type", message.type],
        ["job", short_id(message.job) if message.job else "-"],
        ["received", local(message.received)],
        ["state", _painted(message.state)],
        ["decided", local(message.decided)],
        ["launched", ", ".join(map(short_id, followers)) or "-"],
    ]
    out.columns(rows)
    for title, text in (
        ("payload", _payload_text(message)),
        ("reply", message.reply_text),
        ("note", message.note),
        ("error", message.error),
    ):
        if text:
            out.line(f"{title}:")
            for line in text.rstrip("\n").splitlines():
                out.line("  ", line)


def _payload_text(message: MessageRecord) -> str | None:
    """Give the payload as YAML; the message as it came where that cannot be read."""
    from nowcast_cli.cli.checklist_values import as_yaml
    from nowcast_cli.messages.message import Message, MessageError

    if message.body is None:
        return None
    try:
        payload = Message.deserialize(message.body).payload
    except MessageError:
        return message.body
    return None if payload is None else as_yaml(payload).removesuffix("...\n")
