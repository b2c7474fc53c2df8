"""What came back of a store that was restored or repaired, as it is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.output import Output

if TYPE_CHECKING:
    from nowcast_cli.manager.mending import Report

# What there is one of, and what there are several of.
_WORDS = {
    "going on": ("job that still runs is taken over", "jobs that still run are taken over"),
    "taken in": (
        "job has left messages in its folder, which are taken in",
        "jobs have left messages in their folders, which are taken in",
    ),
    "to begin": (
        "job was asked for and has not begun: it is launched",
        "jobs were asked for and have not begun: they are launched",
    ),
    "ended": (
        "job ended without a trace of its last message: nothing is launched after it",
        "jobs ended without a trace of their last message: nothing is launched after them",
    ),
    "lost": (
        "job is lost: nobody can tell what has become of it",
        "jobs are lost: nobody can tell what has become of them",
    ),
    "undecided": (
        "message may have been decided, and waits: nowcast message retry NUMBER",
        "messages may have been decided, and wait: nowcast message retry NUMBER",
    ),
    "moved on": (
        "item of the schedule goes on from now: what was due since is passed over",
        "items of the schedule go on from now: what was due since is passed over",
    ),
    "ensembles": (
        "ensemble is known by its members' folders alone: what is not found of it counts as lost",
        "ensembles are known by their members' folders alone: what is not found counts as lost",
    ),
    "barriers": (
        "barrier holds jobs, and waits for these workers",
        "barriers hold jobs, and wait for these workers",
    ),
}
_SHOWN = 10


def document(report: Report) -> dict[str, Any]:
    """Give the report for ``--json``."""
    return {
        "source": report.source or None,
        "set_aside": report.aside or None,
        "messages": report.messages,
        "jobs": report.jobs,
        "checklist": report.checklist,
        "unread": report.unread,
        "told": {kind.replace(" ", "_"): names for kind, names in report.told.items()},
    }


def say(out: Output, report: Report) -> None:
    """Print the report."""
    kept, saved, missing = (report.messages[key] for key in ("kept", "saved", "missing"))
    out.line(f"from {report.source}" if report.source else "there was no backup to begin with")
    read = f", {saved} read from the damaged store" if saved else ""
    out.line(f"messages: {kept} kept{read}{f', {missing} missing' if missing else ''}")
    if report.jobs["saved"]:
        out.line(f"jobs: {report.jobs['saved']} read from the damaged store")
    out.line(f"checklist: from {report.checklist}")
    for table in report.unread:
        out.line(f"not all of the table {table} could be read: what is here of it may be older")
    for kind, names in report.told.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        words = _WORDS[kind][len(names) > 1]
        out.line(f"{len(names)} {words}: {', '.join(names[:_SHOWN])}{more}")
    if report.aside:
        out.note(f"what was there is kept in {report.aside}")
    out.note("next: nowcast start")
