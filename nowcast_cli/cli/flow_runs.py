"""Runs of flows: begin, list, follow, cancel and open them again, end a step from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.action_waits import FollowedWaits, is_performed, orders_of, words
from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.flow_result import show_what_it_gave
from nowcast_cli.cli.options import Json, Limit
from nowcast_cli.cli.output import Output, Painted, Text

if TYPE_CHECKING:
    from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord

RunId: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="The run's id, or its last 8 characters.", autocompletion=complete.runs
    ),
]
Follow: TypeAlias = Annotated[
    bool, typer.Option("--follow", "-f", help="Print each step as it ends; wait for the end.")
]

_MOST_TRACEBACKS = 3
_INTERVAL = 0.2  # s between looks at a run that is followed
_COLORS: Mapping[str, tuple[str, str]] = {
    "done": ("●", "green"),
    "skipped": ("○", "green"),
    "running": ("●", "blue"),
    "waiting": ("○", "blue"),
    "cancelled": ("✗", "yellow"),
}


def run(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="FLOW", help="Its name.", autocompletion=complete.flows)
    ],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="The value of a parameter."),
    ] = None,
    follow: Follow = False,
    as_json: Json = False,
) -> int:
    """Begin a run of a flow.

    The exit code with --follow is 0 when the run ends as done, else 1.

    \b
    Examples:
      nowcast flow run forecast
      nowcast flow run forecast --param date=2026-11-22 --follow
    """
    from nowcast_cli.cli.flow_parameters import given_parameters

    out, system = output_of(ctx), system_of(ctx)
    payload = {"flow": name, "parameters": given_parameters(param), "origin": "nowcast flow run"}
    run_id = str(ask_manager(system, "run flow", payload)["run"])
    if follow:
        return _follow(out, system, run_id)
    if as_json:
        out.json({"run": run_id})
    else:
        out.line(f"{name} runs: nowcast flow show {run_id[-8:]}")
    return 0


def runs(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[FLOW]", help="Of this flow.", autocompletion=complete.flows),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the runs of flows, the newest first.

    \b
    Examples:
      nowcast flow runs
      nowcast flow runs forecast -n 5 --json
    """
    from nowcast_cli.cli.times import local
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    with Reader(system.paths.database) as reader:
        found = reader.flow_runs(name, limit)
    if as_json:
        out.json({"runs": [run_json(each) for each in found]})
        return
    rows: list[list[Text]] = [
        [each.id[-8:], each.flow, _state(each.state), local(each.created), _now(each)]
        for each in found
    ]
    out.table(["run", "flow", "state", "begun", ""], rows)
    if not rows:
        which = "no flow has run" if name is None else f"no run of {name}"
        out.note(f"{which}: nowcast flow run {quote(name or 'FLOW')}")


def show_run(out: Output, system: System, run_id: str, as_json: bool) -> None:
    """Print a run: its steps, their attempts, times and values, and what it waits for."""
    from nowcast_cli.cli.times import local
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        found = reader.flow_run(run_id)
        definition = reader.flow_definition(found.digest)
    if as_json:
        out.json(run_json(found) | {"orders": dict(orders_of(system, found))})
        return
    out.line(Painted(found.flow, "bold"), f"  run {found.id}")
    out.line("  state       ", _state(found.state), f"  {found.reason}" if found.reason else "")
    out.line("  begun       ", local(found.created), f"  by {found.origin}")
    if found.ended is not None:
        out.line("  ended       ", local(found.ended))
    for key, value in found.parameters.items():
        out.line("  parameter   ", f"{key} = {_short(value)}")
    out.line()
    orders = orders_of(system, found)
    steps = {} if definition is None else definition[1].get("steps", {})
    sub_flows = {name for name, step in steps.items() if "flow" in step}
    rows = [_row(found, record, orders, sub_flows) for record in in_order(found)]
    out.table(["step", "state", "attempt", "begun", "ended", "job", ""], rows)
    _show_tracebacks(out, found)


def _show_tracebacks(out: Output, run: FlowRunRecord) -> None:
    """Print where the actions were that raised; of many, the first ones."""
    from nowcast_cli.flows.advance import name_of

    raised = [record for record in in_order(run) if record.traceback]
    for record in raised[:_MOST_TRACEBACKS]:
        out.line()
        out.line(Painted(name_of(record), "bold"), f", attempt {record.attempt}")
        out.line(str(record.traceback).rstrip())


def cancel(ctx: typer.Context, run_id: RunId) -> None:
    """Cancel a run: its jobs are ended, nothing more begins.

    \b
    Examples:
      nowcast flow cancel 4f1c2a90
    """
    found = _named(ctx, run_id)
    ask_manager(system_of(ctx), "cancel flow", {"run": found.id})
    output_of(ctx).line(f"run {found.id[-8:]} of {found.flow} is cancelled")


def retry(ctx: typer.Context, run_id: RunId, follow: Follow = False) -> int:
    """Do what ended badly in a run once more, and go on.

    \b
    Examples:
      nowcast flow retry 4f1c2a90 --follow
    """
    return _open_again(ctx, run_id, None, follow)


def resume(
    ctx: typer.Context,
    run_id: RunId,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="This step and all that come after it."),
    ] = None,
    follow: Follow = False,
) -> int:
    """Open a run that has ended, from a step on.

    Without --from, as nowcast flow retry.

    \b
    Examples:
      nowcast flow resume 4f1c2a90 --from convert
    """
    return _open_again(ctx, run_id, first, follow)


def complete_step(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="As nowcast flow show tells it.")],
    result: Annotated[
        list[str] | None,
        typer.Option("--result", "-r", metavar="NAME=VALUE", help="What the step gives."),
    ] = None,
    failed: Annotated[
        str | None, typer.Option("--failed", metavar="REASON", help="It has failed, and why.")
    ] = None,
) -> None:
    """End a step that waits for a word from outside.

    That is a person's, or a program's. The first word counts; the same one again does no harm.

    \b
    Examples:
      nowcast flow complete 4f1c2a90/approve//1 --result by=Susan
      nowcast flow complete 4f1c2a90/approve//1 --failed "the wind is wrong"
    """
    from nowcast_cli.cli.flow_parameters import given_parameters

    state = {"state": "done"} if failed is None else {"state": "failed", "reason": failed}
    payload = {
        "token": _in_full(ctx, token),
        "result": given_parameters(result, "--result") or None,
        **state,
    }
    ask_manager(system_of(ctx), "complete step", payload)
    output_of(ctx).line(f"{token} is {'done' if failed is None else 'failed'}")


def _open_again(ctx: typer.Context, run_id: str, first: str | None, follow: bool) -> int:
    out, system = output_of(ctx), system_of(ctx)
    found = _named(ctx, run_id)
    ask_manager(system, "resume flow", {"run": found.id, "from": first})
    if follow:
        return _follow(out, system, found.id)
    out.line(f"run {found.id[-8:]} of {found.flow} goes on")
    return 0


def _in_full(ctx: typer.Context, token: str) -> str:
    """Give a token with the whole id of its run, where that is one; else as it is."""
    from nowcast_cli.errors import NotFound

    run_id, slash, rest = token.partition("/")
    try:
        return f"{_named(ctx, run_id).id}{slash}{rest}" if slash else token
    except NotFound:
        return token


def _named(ctx: typer.Context, run_id: str) -> FlowRunRecord:
    from nowcast_cli.store.reader import Reader

    with Reader(system_of(ctx).paths.database) as reader:
        return reader.flow_run(run_id)


def _follow(out: Output, system: System, run_id: str) -> int:
    """Print what changes in a run until it has ended; Ctrl-C ends the looking alone."""
    from nowcast_cli.store.reader import Reader

    seen: dict[tuple[str, int | None], tuple[str, int, bool]] = {}
    waits = FollowedWaits(system)
    with Reader(system.paths.database) as reader:
        while True:
            found = reader.flow_run(run_id)
            for record in in_order(found):
                key = (record.step, record.item)
                # Once its function has returned, a step may wait for a word from outside.
                now = (record.state, record.attempt, record.performer is None)
                if seen.get(key) != now:
                    seen[key] = now
                    _say(out, found, record)
            for line in waits.new_lines(found):
                out.line(f"    {line}")
            if found.state != "running":
                break
            time.sleep(_INTERVAL)
    reason = f": {found.reason}" if found.reason else ""
    out.line(_state(found.state), f"  {found.flow} (run {found.id[-8:]}){reason}")
    if found.state == "done":
        show_what_it_gave(out, found)
    return 0 if found.state == "done" else 1


def _say(out: Output, run: FlowRunRecord, record: StepRecord) -> None:
    from datetime import UTC, datetime

    from nowcast_cli.cli.times import local
    from nowcast_cli.flows.advance import name_of

    at = record.ended or record.begun or datetime.now(UTC).isoformat()
    attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
    reason = f": {record.reason}" if record.reason else ""
    out.line(local(at), "  ", _state(record.state), f"  {name_of(record)}{attempt}{reason}")
    if record.state == "running" and record.job is None and record.performer is None:
        out.line(f"    {_waits(run, record)}")


def in_order(run: FlowRunRecord) -> list[StepRecord]:
    """Give the steps of a run as they began, those that wait last."""
    return sorted(
        run.steps.values(),
        key=lambda record: (record.begun or record.ended or "~", record.step, record.item or 0),
    )


def token_of(run: FlowRunRecord, record: StepRecord) -> str:
    """Give what names the current attempt of a step."""
    from nowcast_cli.flows.tokens import Token

    return str(Token(run.id, record.step, record.item, record.attempt))


def _step_json(record: StepRecord) -> dict[str, Any]:
    from dataclasses import asdict

    clocks = {"delay": record.delay, "deadline": record.deadline}
    return record._asdict() | {
        name: None if delay is None else asdict(delay) for name, delay in clocks.items()
    }


def run_json(run: FlowRunRecord) -> dict[str, Any]:
    """Give a run with its steps for JSON."""
    steps = [{**_step_json(record), "token": token_of(run, record)} for record in in_order(run)]
    return {
        "run": run.id,
        "flow": run.flow,
        "state": run.state,
        "reason": run.reason,
        "origin": run.origin,
        "created": run.created,
        "ended": run.ended,
        "parent": run.parent,
        "definition": run.digest,
        "parameters": dict(run.parameters),
        "steps": steps,
    }


def _row(
    run: FlowRunRecord,
    record: StepRecord,
    orders: Mapping[str, Mapping[str, Any]],
    sub_flows: Collection[str],
) -> list[Text]:
    from nowcast_cli.cli.times import local
    from nowcast_cli.flows.advance import name_of

    job = "-" if record.job is None else record.job[-8:]
    if record.job is not None and record.step in sub_flows:
        job = f"run {job}"
    return [
        name_of(record),
        _state(record.state),
        str(record.attempt),
        "-" if record.begun is None else local(record.begun),
        "-" if record.ended is None else local(record.ended),
        job,
        _words(run, record, orders.get(token_of(run, record))),
    ]


def _words(run: FlowRunRecord, record: StepRecord, order: Mapping[str, Any] | None) -> str:
    if is_performed(record):
        return words(record, order)
    if record.state == "running" and record.job is None:
        return _waits(run, record)
    if record.state == "waiting":
        if record.attempt > 1 and record.reason:
            return f"tried again after: {record.reason}"
        return "waits for its concurrency or a conflict"
    return record.reason or ("" if record.gave is None else _short(record.gave))


def _waits(run: FlowRunRecord, record: StepRecord) -> str:
    _, _, rest = token_of(run, record).partition("/")
    return f"waits for: nowcast flow complete {run.id[-8:]}/{rest}"


def _now(run: FlowRunRecord) -> str:
    if run.reason:
        return run.reason
    return f"at {', '.join(run.at)}" if run.at else ""


def _state(state: str) -> Painted:
    mark, color = _COLORS.get(state, ("✗", "red"))
    return Painted(f"{mark} {state}", color)  # type: ignore[arg-type]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
