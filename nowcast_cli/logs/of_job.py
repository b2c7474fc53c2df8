"""What the logs hold of one job: its worker's records while it ran, and what it printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from nowcast_cli.config.log_records import LONGEST, record_of
from nowcast_cli.executors.job_folder import RECORDS
from nowcast_cli.logs.records import Record
from nowcast_cli.logs.search import ALWAYS, Keep, Seen, Span, last_records, merged, time_text

STREAMS = ("stdout", "stderr")


def job_records(
    files: Iterable[Path], folder: Path, worker: str, number: int | None, keep: Keep, span: Span
) -> list[Record]:
    """Give the last records of a job, oldest first.

    What it printed comes from its folder, under the name of the worker; lines that the log
    aggregator has brought into the logs already come from there, with the time at which they
    were printed.
    """

    def of_worker(record: Record) -> bool:
        return record.name == worker and keep(record)

    logged = last_records(files, None, of_worker, span=span)
    known = {message_of(record) for record in logged}
    printed = [
        part
        for name in STREAMS
        for record in last_records([folder / name], None, lambda _: True, span=ALWAYS)
        if (part := _without(replace(record, name=worker), known)) is not None and keep(part)
    ]
    both = list(merged([*logged, *printed], Seen()))
    return both if number is None else both[-number:] if number else []


def span_of_records(folder: Path, span: Span) -> Span:
    """Widen a span to hold what a job of another host has logged, by the clock of that host."""
    try:
        with (folder / RECORDS).open("rb") as file:
            first = record_of(file.readline())
            file.seek(max(0, (folder / RECORDS).stat().st_size - 2 * LONGEST))
            last = next(filter(None, map(record_of, reversed(file.read().splitlines()))), None)
    except OSError:
        return span
    if first is None or last is None or span.since is None:
        return span
    begin, end = (
        time_text(datetime.fromtimestamp(each.created).astimezone()) for each in (first, last)
    )
    until = None if span.until is None else max(span.until, end)
    return Span(min(span.since, begin), until)


def message_of(record: Record) -> str:
    """Give what a record says, without its time, level and logger."""
    return record.text.partition("] ")[2] if record.has_logger else record.text


def _without(record: Record, known: set[str]) -> Record | None:
    """Leave out lines that the logs hold; None when none is left."""
    if record.has_logger:  # the worker prints its records, too
        return None if message_of(record) in known else record
    lines = [line for line in record.text.split("\n") if line and line not in known]
    return replace(record, text="\n".join(lines)) if lines else None
