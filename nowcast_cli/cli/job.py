"""``nowcast job``: list, show, stats, cancel, rerun, assign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, Limit, group_app
from nowcast_cli.cli.output import Output, Text
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast_cli.cli.chain import Follower
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import EnsembleRecord, JobRecord, MessageRecord

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

app = group_app("List, show, cancel and rerun jobs.")


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

    An ensemble is one line; with --state its members are listed by themselves.

    \b
    Examples:
      nowcast job list
      nowcast job list --worker sleep --state crashed
    """
    from nowcast_cli.cli import ensemble_view
    from nowcast_cli.cli.job_view import as_json as json_of
    from nowcast_cli.cli.job_view import row, table
    from nowcast_cli.store.reader import Reader

    out = output_of(ctx)
    system = system_of(ctx)
    with Reader(system.paths.database) as reader:
        ensembles = [] if state else reader.ensembles(worker=worker, limit=limit)
        alone = state is None
        jobs = reader.jobs(worker=worker, states=state and {state}, alone=alone, limit=limit)
        if limit is not None:
            ids = [*(job.id for job in jobs), *(each.id for each in ensembles)]
            newest = sorted(ids, reverse=True)[:limit]
            jobs = [job for job in jobs if job.id in newest]
            ensembles = [each for each in ensembles if each.id in newest]
        left = {each.id: reader.unfinished_members(each) for each in ensembles}
        holds, reasons = reader.holds(), _reasons(reader, system, jobs)
    if as_json:
        told = [ensemble_view.as_json(each, left[each.id]) for each in ensembles]
        out.json({"jobs": [json_of(job) for job in jobs], "ensembles": told})
        return
    rows = {job.id: row(job, reasons.get(job.id)) for job in jobs}
    rows |= {each.id: ensemble_view.row(each, left[each.id]) for each in ensembles}
    out.table(*table([rows[each] for each in sorted(rows, reverse=True)], jobs))
    if not rows:
        out.note("no such jobs" if worker or state else "no job has been launched as yet")
    if holds:
        from nowcast_cli.cli.waiting import held_words

        for hold in holds:
            out.note(held_words(hold))


@app.command()
def show(ctx: typer.Context, job: Id, as_json: Json = False) -> None:
    """Show a job: how it went and why, and where its files are.

    Of an ensemble it shows how it is as one, and its members.

    \b
    Examples:
      nowcast job show 5f3a9c21
    """
    from nowcast_cli.cli.chain import ending_of, jobs_after
    from nowcast_cli.cli.job_view import as_json as json_of
    from nowcast_cli.cli.job_view import command_rows, how_it_went, transfer_rows
    from nowcast_cli.executors.job_folder import folder_of, last_lines
    from nowcast_cli.executors.transfer_note import read_note
    from nowcast_cli.store.reader import Reader

    system, out = system_of(ctx), output_of(ctx)
    with Reader(system.paths.database) as reader:
        if (ensemble := reader.ensemble(job)) is not None:
            _show_ensemble(out, reader, ensemble, as_json)
            return
        record = reader.job(job)
        waits = _reasons(reader, system, [record]).get(record.id)
        ending = ending_of(reader, record)
        followers = jobs_after(reader, ending) if ending is not None else []
        cause = None if record.cause is None else reader.message_of_number(record.cause)
    folder = folder_of(system.paths.jobs, record.id, record.worker)
    stderr = last_lines(folder / "stderr", _STDERR_LINES)
    transfer = read_note(folder) if record.unfinished else None
    if as_json:
        details = {
            "folder": str(folder),
            "transfer": None if transfer is None else vars(transfer),
            "stderr": stderr,
            "jobs": [follower.id for follower in followers],
            "waits": waits,
        }
        out.json({"job": {**json_of(record), **details}})
        return
    near = _what_is_near(cause, ending, followers)
    found = (*command_rows(folder), *transfer_rows(transfer), *near, *_files(folder))
    out.columns([*how_it_went(record, waits), *found])
    if stderr:
        out.line(f"last lines of {folder / 'stderr'}:")
        for line in stderr:
            out.line("  ", line)


def _show_ensemble(out: Output, reader: Reader, ensemble: EnsembleRecord, as_json: bool) -> None:
    from nowcast_cli.cli import ensemble_view
    from nowcast_cli.cli.job_view import as_json as json_of

    left = reader.unfinished_members(ensemble)
    members = reader.last_members(ensemble)
    if as_json:
        told = ensemble_view.as_json(ensemble, left)
        out.json({"ensemble": told, "members": [json_of(job) for job in members]})
        return
    out.columns(ensemble_view.how_it_went(reader, ensemble, left))
    out.table(ensemble_view.MEMBERS_HEADER, ensemble_view.members_rows(members))


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
    """Show what the jobs of a worker have cost.

    Time in the queue, run time, peak memory and processor time.
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
    jobs = "1 job" if found.jobs == 1 else f"{found.jobs} jobs"
    out.line(f"{worker}: {jobs}, of which {found.succeeded} succeeded ({share:.1f} %)")
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
    """End a job that waits or runs; of an ensemble, all its members.

    \b
    Examples:
      nowcast job cancel 5f3a9c21
    """
    out, found = output_of(ctx), _found(system_of(ctx), job)
    reply = _ask(ctx, "cancel", {"job": found.id})
    if as_json:
        out.json({"job": found.id, "state": reply.get("state")})
        return
    out.line(f"{found.words} is {reply.get('state', 'cancelled')}")


@app.command()
def rerun(
    ctx: typer.Context,
    job: Id,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Of an ensemble, only the members that have not succeeded."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a job again with the same arguments; its chain goes on.

    Of an ensemble all members run again, or with --failed those that have not
    succeeded; the others count as they ended, and are told with them. So they
    are where one member is named.

    \b
    Examples:
      nowcast job rerun 5f3a9c21
      nowcast job rerun 8c01d2e4 --failed
    """
    out, found = output_of(ctx), _found(system_of(ctx), job)
    if failed and found.kind == "job":
        raise UsageError(
            f"--failed is for an ensemble, and {job} is a job", hint=f"nowcast job rerun {job}"
        )
    reply = _ask(ctx, "rerun", {"job": found.id, "failed": failed})
    new = str(reply["job"])
    if as_json:
        out.json({**reply, "predecessor": found.id})
        return
    if "ensemble" in reply:
        some = "1 member runs" if reply["members"] == 1 else f"{reply['members']} members run"
        out.line(f"{some} again: ensemble {new[-8:]}")
    else:
        out.line(f"{found.worker} runs again: job {new[-8:]}")
    out.note(f"`nowcast job show {new[-8:]}` shows how it goes")


@app.command()
def assign(
    ctx: typer.Context,
    job: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The job's id, or its end.",
            autocompletion=complete.unfinished_jobs,
        ),
    ],
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent.", autocompletion=complete.agents)
    ],
) -> None:
    """Give a job that waits for an agent to that one, whatever its tags.

    \b
    Examples:
      nowcast job assign 5f3a9c21 ocean1

    It still waits until there is room for it. A job that an agent was given
    already stays there.
    """
    from nowcast_cli.cli.asking import ask_manager

    out, record = output_of(ctx), _found(system_of(ctx), job)
    reply = ask_manager(system_of(ctx), "assign", {"job": record.id, "agent": agent})
    out.line(f"{record.worker} (job {record.id[-8:]}) goes to {agent}")
    if reply.get("state") != "online":
        out.note(f"{agent} is {reply.get('state')}: the job waits until it takes jobs again")


def _found(system: System, job: str) -> Follower:
    """Give the job or the ensemble whose id is, begins or ends so."""
    from nowcast_cli.cli.chain import Follower
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        if (ensemble := reader.ensemble(job)) is not None:
            name = f"{ensemble.worker} {ensemble.members}"
            return Follower(ensemble.id, name, ensemble.state, "ensemble")
        record = reader.job(job)
        return Follower(record.id, record.worker, record.state)


def _ask(ctx: typer.Context, request: str, payload: dict[str, Any]) -> dict[str, Any]:
    from nowcast_cli.cli.asking import ask_manager

    return ask_manager(system_of(ctx), request, payload)


def _reasons(reader: Reader, system: System, jobs: list[JobRecord]) -> dict[str, str]:
    """Give why jobs have not begun, by the ids of those."""
    if all(job.state not in ("waiting", "held", "submitting") for job in jobs):
        return {}
    from nowcast_cli.cli.waiting import Waiting

    waiting = Waiting(reader, system.config)
    return {job.id: words for job in jobs if (words := waiting.why(job)) is not None}


def _what_is_near(
    cause: MessageRecord | None, ending: MessageRecord | None, followers: list[Follower]
) -> list[list[Text]]:
    rows: list[list[Text]] = []
    if cause is not None:
        rows.append(["follows", f"message {cause.number} ({cause.source} {cause.type})"])
    if ending is not None:
        rows.append(["said", f"message {ending.number} ({ending.source} {ending.type})"])
    if followers:
        rows.append(["launched", ", ".join(each.words for each in followers)])
    return rows


def _files(folder: Path) -> list[list[Text]]:
    there = [name for name in _FILES if (folder / name).exists()]
    return [["folder", str(folder)], ["files", "  ".join(there) or "-"]]
