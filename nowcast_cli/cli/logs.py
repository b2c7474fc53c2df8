"""``nowcast logs``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, command_app
from nowcast_cli.cli.output import Color, Output, Painted
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from nowcast_cli.logs.records import Record
    from nowcast_cli.logs.search import Keep, Span
    from nowcast_cli.store.records import JobRecord

Level = Literal["debug", "info", "warning", "error", "critical"]

_LINES = 50
_BETWEEN_LOOKS = 0.1  # seconds
_AFTER_A_JOB = 0.05  # seconds, for what a worker says at its very end
_COLORS: dict[str | None, Color] = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}

app = command_app()


@app.command()
def logs(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Workers or daemons; all without.",
            autocompletion=complete.workers,
        ),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines", "-n", min=0, help="How many of the last; 50, or all of a time or job."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From then: 2h, today, 03:00.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Until then, in the same form.")
    ] = None,
    level: Annotated[
        Level,
        typer.Option("--level", case_sensitive=False, help="Leave out what is less serious."),
    ] = "debug",
    worker: Annotated[
        list[str] | None,
        typer.Option("--worker", "-w", help="The same as NAME.", autocompletion=complete.workers),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            "--job",
            "-j",
            metavar="ID",
            help="Of one job, with what it printed.",
            autocompletion=complete.jobs,
        ),
    ] = None,
    grep: Annotated[
        str | None,
        typer.Option("--grep", "-g", metavar="PATTERN", help="In which this pattern is found."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show and follow the logs of all daemons and workers.

    \b
    Examples:
      nowcast logs -n 20
      nowcast logs -f manager sleep
      nowcast logs --since 2h --level warning
      nowcast logs --since yesterday --until 06:00 --grep 'tide|surge'
      nowcast logs --job 5f3a9c21

    The lines of all log files and of what rotation has made of them, in order of
    time; a line that stands in two files is shown once. A line is a log record: a
    traceback belongs to it.
    """
    system, out = system_of(ctx), output_of(ctx)
    wanted = _wanted([*(names or ()), *(worker or ())], level.upper(), grep)
    show = _shown_as_json if as_json else _shown_as_text
    of_job = _job(system, job) if job is not None else None
    span = _span(since, until, of_job)
    if of_job is not None and since is None and until is None:
        span = _by_the_clock_of_its_host(system, of_job, span)
    some = lines if lines is not None or of_job or since or until else _LINES
    if follow:
        _refuse_until(until)
        _follow(system, some, wanted, span, of_job, lambda record: show(out, record))
        return
    records = _found(system, some, wanted, span, of_job)
    for record in records:
        show(out, record)
    if not records and not as_json:
        out.note(f"no such lines in the log files below {system.paths.logs}")


def _wanted(names: Sequence[str], level: str, grep: str | None) -> Keep:
    import re

    try:
        pattern = re.compile(grep or "")
    except re.error as error:
        raise UsageError(
            f"--grep: {grep!r} is no regular expression: {error}",
            hint="put a backslash before each sign that is meant as such",
        ) from None

    def keep(record: Record) -> bool:
        return (
            (not names or record.name in names)
            and record.is_at_least(level)
            and pattern.search(record.text) is not None
        )

    return keep


def _job(system: System, job: str) -> JobRecord:
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return reader.job(job)


def _span(since: str | None, until: str | None, job: JobRecord | None) -> Span:
    from datetime import datetime, timedelta

    from nowcast_cli.cli.instants import instant
    from nowcast_cli.logs.search import Span

    now = datetime.now().astimezone()
    first = instant(since, "--since", now) if since is not None else None
    last = instant(until, "--until", now) if until is not None else None
    if job is not None and first is None:
        first = datetime.fromisoformat(job.created)
    if job is not None and last is None and job.ended is not None:
        last = datetime.fromisoformat(job.ended) + timedelta(seconds=_AFTER_A_JOB)
    return Span.between(first, last)


def _by_the_clock_of_its_host(system: System, job: JobRecord, span: Span) -> Span:
    from nowcast_cli.executors.job_folder import folder_of
    from nowcast_cli.logs.of_job import span_of_records

    return span_of_records(folder_of(system.paths.jobs, job.id, job.worker), span)


def _refuse_until(until: str | None) -> None:
    if until is not None:
        raise UsageError("--until and --follow: what is written from now on is later than that")


def _found(
    system: System, number: int | None, keep: Keep, span: Span, job: JobRecord | None
) -> list[Record]:
    from nowcast_cli.logs.search import last_records, log_files

    files = log_files(system.config, system.paths.logs)
    if job is None:
        return last_records(files, number, keep, span=span)
    from nowcast_cli.executors.job_folder import folder_of
    from nowcast_cli.logs.of_job import job_records

    folder = folder_of(system.paths.jobs, job.id, job.worker)
    return job_records(files, folder, job.worker, number, keep, span)


def _follow(
    system: System,
    number: int | None,
    keep: Keep,
    span: Span,
    job: JobRecord | None,
    show: Callable[[Record], None],
) -> None:
    from nowcast_cli.logs.search import Follower, last_records, log_files

    printed = _printed(system, job)
    of_job = keep if job is None else _of_job(keep, job, printed)
    follower = Follower(lambda: [*log_files(system.config, system.paths.logs), *printed])
    before = follower.positions
    for record in last_records(before, number, of_job, before, span):
        show(record)
    while True:
        sys.stdout.flush()
        time.sleep(_BETWEEN_LOOKS)
        for record in filter(of_job, follower.poll()):
            show(record)


def _printed(system: System, job: JobRecord | None) -> list[Path]:
    """Name the files that a job prints to, unless the log aggregator brings them into the logs."""
    from nowcast_cli.config.settings import wants_aggregator
    from nowcast_cli.executors.job_folder import folder_of

    if job is None or wants_aggregator(system.config):
        return []
    folder = folder_of(system.paths.jobs, job.id, job.worker)
    return [folder / name for name in ("stdout", "stderr")]


def _of_job(keep: Keep, job: JobRecord, printed: Collection[Path]) -> Keep:
    return lambda record: (record.name == job.worker or record.file in printed) and keep(record)


def _shown_as_text(out: Output, record: Record) -> None:
    out.line(Painted(record.text, _COLORS.get(record.level)))


def _shown_as_json(out: Output, record: Record) -> None:
    out.json_line(
        {
            "time": record.time,
            "level": record.level,
            "name": record.name,
            "text": record.text,
            "file": str(record.file),
        }
    )
