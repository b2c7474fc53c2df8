"""Ensembles as people read them, each as one, and as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.chain import jobs_after
from nowcast_cli.cli.job_view import painted
from nowcast_cli.cli.output import Text
from nowcast_cli.cli.times import local, seconds_between, words
from nowcast_cli.store.records import EnsembleRecord, JobRecord, short_id

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader

MEMBERS_HEADER = ("member", "id", "state", "attempt", "took", "reason")


def name(ensemble: EnsembleRecord) -> str:
    """Name an ensemble: ``run_member 1..21``."""
    return f"{ensemble.worker} {ensemble.members}"


def progress(ensemble: EnsembleRecord, unfinished: Mapping[str, int]) -> str:
    """Say how far an ensemble is: ``14 done, 1 failed, 5 running, 1 waiting``."""
    waiting = unfinished.get("waiting", 0) + unfinished.get("submitting", 0)
    counts = (
        (ensemble.succeeded, "done"),
        (ensemble.failed, "failed"),
        (ensemble.crashed, "crashed"),
        (ensemble.cancelled, "cancelled"),
        (unfinished.get("running", 0), "running"),
        (waiting, "waiting"),
        (unfinished.get("held", 0), "held"),
    )
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def state_of(ensemble: EnsembleRecord, unfinished: Mapping[str, int]) -> str:
    """Give the state of an ensemble in the words for jobs."""
    if not ensemble.unfinished:
        return ensemble.state
    states = ("running", "submitting", "waiting", "held")
    return next((state for state in states if unfinished.get(state)), "waiting")


def row(ensemble: EnsembleRecord, unfinished: Mapping[str, int]) -> list[Text]:
    """Give the row of a list of jobs that stands for all members."""
    return [
        short_id(ensemble.id),
        name(ensemble),
        f"{ensemble.size} members",
        painted(state_of(ensemble, unfinished)),
        local(ensemble.created),
        "-",
        words(seconds_between(ensemble.created, ensemble.ended)),
        progress(ensemble, unfinished),
    ]


def as_json(ensemble: EnsembleRecord, unfinished: Mapping[str, int]) -> dict[str, Any]:
    """Give an ensemble with the numbers of its members that have not ended."""
    states = ("running", "submitting", "waiting", "held")
    return {**asdict(ensemble), **{state: unfinished.get(state, 0) for state in states}}


def how_it_went(
    reader: Reader, ensemble: EnsembleRecord, unfinished: Mapping[str, int]
) -> list[list[Text]]:
    """Give all that there is to say of an ensemble as one, in rows of a name and a value."""
    rows: list[list[Text]] = [
        ["ensemble", ensemble.id],
        ["worker", name(ensemble)],
        ["state", painted(state_of(ensemble, unfinished))],
        ["members", progress(ensemble, unfinished) or "-"],
        ["ends when", ends_when(ensemble)],
        ["at most", f"{ensemble.at_most} at once" if ensemble.at_most else "-"],
        ["created", local(ensemble.created)],
        ["ended", local(ensemble.ended)],
        ["took", words(seconds_between(ensemble.created, ensemble.ended))],
    ]
    if ensemble.reason:
        rows.insert(3, ["reason", ensemble.reason])
    if ensemble.predecessor is not None:
        rows.append(["runs again", f"members of ensemble {short_id(ensemble.predecessor)}"])
    for what, number in (("follows", ensemble.cause), ("said", ensemble.final_message)):
        message = None if number is None else reader.message_of_number(number)
        if message is not None:
            rows.append([what, f"message {message.number} ({message.source} {message.type})"])
            if what == "said" and (then := jobs_after(reader, message)):
                rows.append(["launched", ", ".join(each.words for each in then)])
    return rows


def ends_when(ensemble: EnsembleRecord) -> str:
    """Say when an ensemble ends."""
    if ensemble.at_least is None:
        return "all members have ended"
    least = "one has" if ensemble.at_least == 1 else f"{ensemble.at_least} have"
    return f"{least} succeeded, or no longer can"


def members_rows(members: Sequence[JobRecord]) -> list[list[Text]]:
    """Give a row for each member, in their order."""
    return [
        [
            str(job.member.label),
            short_id(job.id),
            painted(job.state),
            str(job.attempt),
            words(seconds_between(job.started, job.ended)),
            (job.reason or "").partition("\n")[0],
        ]
        for job in members
        if job.member is not None
    ]
