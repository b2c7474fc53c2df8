"""``nowcast job``: list, show, stats, cancel, rerun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, Limit, group_app
from nowcast_cli.cli.output import Text

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import JobRecord, MessageRecord

State = Literal[
    "waiting",
    "held",
    "submitting",
    "running",
    "succeeded",
    "failed",
    "crashed",
    "timed out",
    "cancelled",
    "lost",
]
_STATES: tuple[str, ...] = get_args(State)
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The job's id, or its end.", autocompletion=complete.jobs),
]

_STDERR_LINES = 20
_FILES = ("stdout", "stderr", "exit", "scratch")

app = group_app("List, show, cancel and rerun jobs; show what those of a worker cost.")


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker", metavar="NAME", help="Of this worker.", autocompletion=complete.workers
        ),
    ] = None,
    state: Annotated[
        State | None,
        typer.Option("--state", metavar="STATE", help=f"One of {', '.join(_STATES)}."),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first.

    \b
    Examples:
      nowcast job list
      nowcast job list --worker sleep --state crashed
    """
    from nowcast_cli.cli.job_view import HEADER, row
    from nowcast_cli.cli.job_view import as_json as json_of
    from nowcast_cli.store.reader import Reader

    out = output_of(ctx)
    system = system_of(ctx)
    with Reader(system.paths.database) as reader:
        jobs = reader.jobs(worker=worker, states=state and {state}, limit=limit)
        holds, reasons = reader.holds(), _reasons(reader, system, jobs)
    if as_json:
        out.json({"jobs": [json_of(job) for job in jobs]})
        return
    out.table(HEADER, [row(job, reasons.get(job.id)) for job in jobs])
    if not jobs:
        out.note("no such jobs" if worker or state else "no job has been launched as yet")
    if holds:
        from nowcast_cli.cli.waiting import held_words

        for hold in holds:
            out.note(held_words(hold))


@app.command()
def show(ctx: typer.Context, job: Id, as_json: Json = False) -> None:
    """Show a job: how it went and why, and where its files are.

    \b
    Examples:
      nowcast job show 5f3a9c21
    """
    from nowcast_cli.cli.chain import ending_of, jobs_after
    from nowcast_cli.cli.job_view import as_json as json_of
    from nowcast_cli.cli.job_view import how_it_went
    from nowcast_cli.executors.job_folder import folder_of, last_lines
    from nowcast_cli.store.reader import Reader

    system, out = system_of(ctx), output_of(ctx)
    with Reader(system.paths.database) as reader:
        record = reader.job(job)
        waits = _reasons(reader, system, [record]).get(record.id)
        ending = ending_of(reader, record)
        followers = jobs_after(reader, ending) if ending is not None else []
        cause = None if record.cause is None else reader.message_of_number(record.cause)
    folder = folder_of(system.paths.jobs, record.id, record.worker)
    stderr = last_lines(folder / "stderr", _STDERR_LINES)
    if as_json:
        details = {
            "folder": str(folder),
            "stderr": stderr,
            "jobs": [follower.id for follower in followers],
            "waits": waits,
        }
        out.json({"job": {**json_of(record), **details}})
        return
    near = _what_is_near(cause, ending, followers)
    out.columns([*how_it_went(record, waits), *near, *_files(folder)])
    if stderr:
        out.line(f"last lines of {folder / 'stderr'}:")
        for line in stderr:
            out.line("  ", line)


@app.command()
def stats(
    ctx: typer.Context,
    worker: Annotated[
        str,
        typer.Argument(metavar="WORKER", help="Its name.", autocompletion=complete.workers),
    ],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Of jobs made from then on: 30d, today."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the jobs of a worker have cost: time in the queue, run time, memory, CPU.

    P50 is what half of them needed at most, P95 what 95 of 100 did. All but
    the queue wait is of those that succeeded: a job that fails at once tells
    nothing of how long the work takes.

    \b
    Examples:
      nowcast job stats run_model
      nowcast job stats run_model --since 30d --json | jq '.run_time.p95'
    """
    from nowcast_cli.cli.job_stats import stats_of
    from nowcast_cli.cli.job_view import as_stored, stats_as_json, stats_rows
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    begin = None if since is None else as_stored(since)
    with Reader(system.paths.database) as reader:
        found = stats_of(reader.runs(worker, begin or ""))
    if as_json:
        out.json({"worker": worker, "since": begin, **stats_as_json(found)})
        return
    if not found.jobs:
        from nowcast_cli.config.hints import did_you_mean
        from nowcast_cli.config.workers import known_workers

        out.note(
            f"no job of {worker} has ended{did_you_mean(worker, known_workers(system.config))}"
        )
        return
    share = 100 * found.succeeded / found.jobs
    out.line(f"{worker}: {found.jobs} jobs, of which {found.succeeded} succeeded ({share:.1f} %)")
    out.table(["", "p50", "p95", "most", "job"], stats_rows(found))


@app.command()
def cancel(
    ctx: typer.Context,
    job: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The job's id, or its end.",
            autocompletion=complete.unfinished_jobs,
        ),
    ],
    as_json: Json = False,
) -> None:
    """End a job that waits or runs.

    \b
    Examples:
      nowcast job cancel 5f3a9c21
    """
    out, record = output_of(ctx), _found(system_of(ctx), job)
    reply = _ask(ctx, "cancel", record)
    if as_json:
        out.json({"job": record.id, "state": reply.get("state")})
        return
    out.line(f"{record.worker} (job {_short(record)}) is {reply.get('state', 'cancelled')}")


@app.command()
def rerun(ctx: typer.Context, job: Id, as_json: Json = False) -> None:
    """Run a job again with the same arguments; its chain goes on.

    \b
    Examples:
      nowcast job rerun 5f3a9c21
    """
    out, record = output_of(ctx), _found(system_of(ctx), job)
    new = str(_ask(ctx, "rerun", record)["job"])
    if as_json:
        out.json({"job": new, "predecessor": record.id})
        return
    out.line(f"{record.worker} runs again: job {new[-8:]}")
    out.note(f"`nowcast job show {new[-8:]}` shows how it goes")


def _found(system: System, job: str) -> JobRecord:
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return reader.job(job)


def _ask(ctx: typer.Context, request: str, job: JobRecord) -> dict[str, Any]:
    from nowcast_cli.cli.asking import ask_manager

    return ask_manager(system_of(ctx), request, {"job": job.id})


def _short(job: JobRecord) -> str:
    from nowcast_cli.store.records import short_id

    return short_id(job.id)


def _reasons(reader: Reader, system: System, jobs: list[JobRecord]) -> dict[str, str]:
    """Give why jobs have not begun, by the ids of those."""
    if all(job.state not in ("waiting", "held") for job in jobs):
        return {}
    from nowcast_cli.cli.waiting import Waiting

    waiting = Waiting(reader, system.config)
    return {job.id: words for job in jobs if (words := waiting.why(job)) is not None}


def _what_is_near(
    cause: MessageRecord | None, ending: MessageRecord | None, followers: list[JobRecord]
) -> list[list[Text]]:
    rows: list[list[Text]] = []
    if cause is not None:
        rows.append(["follows", f"message {cause.number} ({cause.source} {cause.type})"])
    if ending is not None:
        rows.append(["said", f"message {ending.number} ({ending.source} {ending.type})"])
    if followers:
        then = ", ".join(f"{job.worker} (job {_short(job)})" for job in followers)
        rows.append(["launched", then])
    return rows


def _files(folder: Path) -> list[list[Text]]:
    there = [name for name in _FILES if (folder / name).exists()]
    return [["folder", str(folder)], ["files", "  ".join(there) or "-"]]
