"""Jobs as people read them, and as JSON has them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nowcast_cli.cli.instants import instant
from nowcast_cli.cli.job_stats import Spread, Stats
from nowcast_cli.cli.output import Color, Painted, Text
from nowcast_cli.cli.times import local, words
from nowcast_cli.config.executors import LOCAL, SSH
from nowcast_cli.config.placeholders import ON_THE_HOST
from nowcast_cli.config.settings import THIS_MACHINE
from nowcast_cli.config.sizes import size_words
from nowcast_cli.executors.native import Native
from nowcast_cli.executors.transfer_note import TransferNote
from nowcast_cli.store.job_figures import figures_of
from nowcast_cli.store.records import JobRecord, short_id

HEADER = ("id", "worker", "where", "state", "created", "waited", "took", "reason")
# What says nothing as long as all jobs run here.
_OF_PLACES = ("where", "waited")
_COLORS: dict[str, Color] = {
    "succeeded": "green",
    "running": "blue",
    "cancelled": "yellow",
    "failed": "red",
    "crashed": "red",
    "timed out": "red",
    "lost": "red",
}
_MARKS = {"waiting": "○", "held": "○", "submitting": "○"}


def painted(state: str) -> Painted:
    """Give the state of a job with its mark and colour."""
    ended_badly = _COLORS.get(state) == "red"
    mark = "✗" if ended_badly else _MARKS.get(state, "●")
    return Painted(f"{mark} {state}", _COLORS.get(state))


def as_json(job: JobRecord) -> dict[str, Any]:
    """Give a job with what it has cost: seconds, and bytes."""
    return {**asdict(job), **asdict(figures_of(job))}


def native_of(job: JobRecord) -> Native | None:
    """Give what the system beneath its executor says of a job; None where there is none."""
    return None if job.native is None else Native.from_json(job.native)


def where(job: JobRecord) -> str:
    """Say where a job runs: its executor, or the host by ssh, and what it is called there."""
    name = job.host if job.executor == SSH else job.executor
    native = native_of(job)
    return name if native is None else f"{name} {native.id}"


def row(job: JobRecord, waits: str | None) -> list[Text]:
    """Give a row of a list of jobs; ``waits`` is why it has not begun."""
    figures, native = figures_of(job), native_of(job)
    beneath = native.words if native is not None and job.unfinished else ""
    if beneath.lower() == job.state:  # an agent's host calls it as we do
        beneath = ""
    reason = (job.reason or waits or beneath).partition("\n")[0]
    return [
        short_id(job.id),
        job.worker if job.member is None else f"{job.worker} {job.member.label}",
        where(job),
        painted(job.state),
        local(job.created),
        words(figures.queue_wait),
        words(figures.run_time),
        reason,
    ]


def table(
    rows: Iterable[Sequence[Text]], jobs: Iterable[JobRecord]
) -> tuple[list[str], list[list[Text]]]:
    """Give the header and rows of a list; where all jobs run here, without their places."""
    dropped = _OF_PLACES if all(job.executor == LOCAL for job in jobs) else ()
    kept = [index for index, name in enumerate(HEADER) if name not in dropped]
    return [HEADER[index] for index in kept], [[row[index] for index in kept] for row in rows]


def how_it_went(job: JobRecord, waits: str | None) -> list[list[Text]]:
    """Give all that there is to say of a job, in rows of a name and a value."""
    attempt = f"{job.attempt}, after job {job.predecessor[-8:]}" if job.predecessor else "1"
    figures = figures_of(job)
    rows: list[list[Text]] = [
        ["job", job.id],
        ["worker", f"{job.worker} ({job.module}{_on_host(job)})"],
        ["executor", _executor_words(job)],
        ["arguments", shlex.join(job.arguments) or "-"],
        ["state", painted(job.state)],
        *_where_known("member", _member_words(job)),
        *_where_known("reason", job.reason),
        *_where_known("waits", waits),
        *_where_known("slow", _slow_words(job)),
        ["attempt", attempt],
        ["created", local(job.created)],
        *_queue_rows(job, figures.queue_wait),
        ["ended", local(job.ended)],
        ["took", words(figures.run_time)],
        ["process", str(job.pid or "-")],
    ]
    if job.exit is not None:
        rows.append(["exit", _exit_words(job.exit)])
    return rows


def command_rows(folder: Path) -> list[list[Text]]:
    """Say what a job runs that is a command; nothing for a module, or one that has not begun."""
    import json

    try:
        step = json.loads((folder / "job.json").read_bytes()).get("command")
        text = shlex.join(str(word) for word in step["words"]) if step else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    for name in ON_THE_HOST:
        text = text.replace(f"\0{name}'\0", f"{{{name}}}").replace(f"\0{name}\0", f"{{{name}}}")
    return [["command", text]] if text else []


def transfer_rows(transfer: TransferNote | None) -> list[list[Text]]:
    """Say how far the files of a job have come that are on their way; nothing where none are."""
    if transfer is None:
        return []
    came, whole = size_words(transfer.came), size_words(transfer.bytes)
    files = "1 file" if transfer.files == 1 else f"{transfer.files} files"
    return [["transfer", f"{transfer.what}, host {transfer.host}: {came} of {whole}, {files}"]]


def _executor_words(job: JobRecord) -> str:
    native = native_of(job)
    name = f"ssh to {job.host}" if job.executor == SSH else job.executor
    if native is None:
        return name if job.executor != LOCAL else "local"
    state = native.words if job.unfinished else f"last seen {replace(native, unknown=False).words}"
    return f"{name}: {native.id}, {state}"


def _on_host(job: JobRecord) -> str:
    return "" if job.host in THIS_MACHINE else f" on {job.host}"


def _where_known(name: str, value: str | None) -> list[list[Text]]:
    return [[name, value]] if value else []


def _member_words(job: JobRecord) -> str | None:
    if job.member is None or job.ensemble is None:
        return None
    return f"{job.member.label}, one of {job.member.size} of ensemble {short_id(job.ensemble)}"


def _slow_words(job: JobRecord) -> str | None:
    if job.slow is None:
        return None
    return f"since {local(job.slow)} it has run for far longer than any job of its worker before"


def _queue_rows(job: JobRecord, waited: float | None) -> list[list[Text]]:
    """Say when a job was submitted and began; here nothing lies between the two."""
    if job.executor == LOCAL:
        return [["started", local(job.started)]]
    after = "" if waited is None else f", after {words(waited)} in the queue"
    return [["submitted", local(job.submitted)], ["started", f"{local(job.started)}{after}"]]


def _exit_words(exit_: Mapping[str, Any]) -> str:
    ended = f"signal {exit_['signal']}" if exit_.get("signal") else f"code {exit_.get('code')}"
    used = []
    if exit_.get("cpu_seconds") is not None:
        used.append(f"{exit_['cpu_seconds']:.2f} s of CPU")
    if exit_.get("peak_memory"):
        used.append(f"{exit_['peak_memory'] / 1e6:.0f} MB of memory")
    return ", ".join([ended, *used])


# --- the jobs of a worker together


def as_stored(since: str) -> str:
    """Read ``--since``, in the form of the store. Raises UsageError."""
    begin = instant(since, "--since", datetime.now().astimezone()).astimezone(UTC)
    return begin.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def stats_as_json(stats: Stats) -> dict[str, Any]:
    """Give the figures as ``nowcast job stats --json`` prints them."""
    return {
        "jobs": stats.jobs,
        "succeeded": stats.succeeded,
        "success_share": stats.succeeded / stats.jobs if stats.jobs else None,
        **{
            name.replace(" ", "_"): None if spread is None else asdict(spread)
            for name, spread in _spreads(stats).items()
        },
    }


def stats_rows(stats: Stats) -> list[list[Text]]:
    """Give a row for each figure that is known."""
    rows: list[list[Text]] = []
    for name, spread in _spreads(stats).items():
        if spread is None:
            continue
        tell = _size if name == "peak memory" else words
        values = (tell(value) for value in (spread.p50, spread.p95, spread.most))
        rows.append([name, *values, short_id(spread.job)])
    return rows


def _spreads(stats: Stats) -> dict[str, Spread | None]:
    return {
        "queue wait": stats.queue_wait,
        "run time": stats.run_time,
        "peak memory": stats.peak_memory,
        "cpu seconds": stats.cpu_seconds,
    }


def _size(number: float) -> str:
    return size_words(round(number))
