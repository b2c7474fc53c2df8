"""``nowcast schedule``: list, next, run, pause, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.cli.output import Output, Painted, Text

if TYPE_CHECKING:
    from nowcast_cli.cli.schedule_report import Scheduled, ScheduleReport
    from nowcast_cli.scheduler.plan import Plan

_MARKS = {
    **dict.fromkeys(("succeeded", "done"), ("●", "green")),
    **dict.fromkeys(("running", "open"), ("●", "blue")),
    **dict.fromkeys(("waiting", "held", "submitting"), ("○", "blue")),
}

app = group_app("List what is scheduled, launch it, pause and resume it.")

Item = Annotated[
    str,
    typer.Argument(
        metavar="ITEM",
        help="Its name, or that of its worker or flow.",
        autocompletion=complete.scheduled_items,
    ),
]


@app.command("list")
def list_items(ctx: typer.Context, as_json: Json = False) -> None:
    """List the items: when each comes, and how it went last.

    \b
    Examples:
      nowcast schedule list
      nowcast schedule list --json
    """
    from nowcast_cli.cli.schedule_report import gather

    out, report = output_of(ctx), gather(system_of(ctx))
    if as_json:
        out.json(report.as_json())
        return
    rows = [_row(report, scheduled) for scheduled in report.items]
    out.table(["item", "when", "next", "", "last", "job"], rows)
    if not rows:
        out.note("nothing is scheduled")
    _say_what_else(out, report)


@app.command("next")
def show_next(
    ctx: typer.Context,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="How many launches to show.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Show the next launches of all items, the soonest first.

    \b
    Examples:
      nowcast schedule next
      nowcast schedule next -n 30
    """
    from nowcast_cli.cli.schedule_report import gather, upcoming

    out, report = output_of(ctx), gather(system_of(ctx))
    launches = upcoming(report, count)
    if as_json:
        rows = [{"item": item.name, "at": at.isoformat()} for at, item in launches]
        out.json({"time zone": str(report.zone), "launches": rows})
        return
    out.table(
        ["at", "", "item", "launches"],
        [
            [
                report.local(at),
                report.in_words(at),
                item.name,
                item.words_of_command,
            ]
            for at, item in launches
        ],
    )
    if not launches:
        out.note("nothing will be launched")
    _say_what_else(out, report)


@app.command()
def run(ctx: typer.Context, item: Item) -> None:
    """Launch an item now; its next time stays as it is.

    \b
    Examples:
      nowcast schedule run download_weather
    """
    from datetime import UTC, datetime

    from nowcast_cli.cli.asking import ask_manager
    from nowcast_cli.scheduler.launches import by_hand

    system = system_of(ctx)
    scheduled = _plan(system).item(item)
    request = by_hand(scheduled, datetime.now(UTC))
    reply = ask_manager(system, request.type, request.payload)
    if scheduled.flow:
        output_of(ctx).line(f"flow {scheduled.flow} runs: nowcast flow show {reply['run'][-8:]}")
        return
    kind = "ensemble" if "ensemble" in reply else "job"
    output_of(ctx).line(f"launched {scheduled.worker} ({kind} {str(reply['job'])[-8:]})")


@app.command()
def pause(ctx: typer.Context, item: Item) -> None:
    """Launch nothing for an item until it is resumed.

    \b
    Examples:
      nowcast schedule pause download_weather
    """
    import shlex

    from nowcast_cli.cli.asking import ask_manager

    system = system_of(ctx)
    scheduled = _plan(system).item(item)
    about = {"item": scheduled.name, "timing": str(scheduled.timing)}
    ask_manager(system, "pause schedule", about)
    name = shlex.quote(scheduled.name)
    output_of(ctx).line(f"{scheduled.name} is paused; nowcast schedule resume {name} ends that")


@app.command()
def resume(ctx: typer.Context, item: Item) -> None:
    """Launch for a paused item again, from its next time on.

    \b
    Examples:
      nowcast schedule resume download_weather
    """
    from nowcast_cli.cli.asking import ask_manager
    from nowcast_cli.cli.schedule_report import gather

    system = system_of(ctx)
    name = _plan(system).item(item).name
    ask_manager(system, "resume schedule", {"item": name})
    report = gather(system)
    (scheduled,) = [each for each in report.items if each.item.name == name]
    when = f": {report.local(scheduled.next)}, {report.in_words(scheduled.next)}"
    output_of(ctx).line(f"{name} goes on{when if scheduled.next else ''}")


def _plan(system: System) -> Plan:
    from nowcast_cli.scheduler.plan import plan_of

    return plan_of(system.config)


def _row(report: ScheduleReport, scheduled: Scheduled) -> list[Text]:
    item, row = scheduled.item, scheduled.row
    zone = "" if str(item.zone) == str(report.zone) else f" {item.zone}"
    coming: list[Text] = [report.local(scheduled.next), report.in_words(scheduled.next)]
    if row is not None and row.paused is not None:
        coming = [Painted("○ paused", "yellow"), f"since {report.local(row.paused)}"]
    last = "-" if row is None else report.local(row.nominal)
    return [item.name, f"{item.words}{zone}", *coming, last, _job(scheduled)]


def _job(scheduled: Scheduled) -> Text:
    job = scheduled.job
    if job is None:
        return "-"
    mark, color = _MARKS.get(job.state, ("✗", "red"))
    return Painted(f"{mark} {job.state} ({job.id[-8:]})", color)  # type: ignore[arg-type]


def _say_what_else(out: Output, report: ScheduleReport) -> None:
    out.note(f"now {report.local(report.now)}, time zone {report.zone_words()}")
    for problem in report.problems:
        out.note(Painted("✗ ", "red"), problem)
    if not report.runs:
        out.note("the scheduler does not run: nothing is launched before nowcast start")
