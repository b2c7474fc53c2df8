"""What came back of a store that was restored or repaired, as it is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.output import Output

if TYPE_CHECKING:
    from nowcast_cli.manager.mending import Report

_WORDS = {
    "going on": "jobs that still run are taken over",
    "taken in": "jobs have left messages in their folders, which are taken in",
    "to begin": "jobs were asked for and have not begun: they are launched",
    "ended": "jobs ended without a trace of their last message: nothing is launched after them",
    "lost": "jobs are lost: nobody can tell what has become of them",
    "undecided": "messages may have been decided, and wait: nowcast message retry NUMBER",
    "moved on": "items of the schedule go on from now: what was due since is passed over",
    "barriers": "barriers hold jobs, and wait for these workers",
}
_SHOWN = 10


def document(report: Report) -> dict[str, Any]:
    """Give the report for ``--json``."""
    return {
        "source": report.source or None,
        "set_aside": report.aside,
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
    out.line(f"messages: {kept} kept, {saved} read from the damaged store, {missing} missing")
    if report.jobs["saved"]:
        out.line(f"jobs: {report.jobs['saved']} read from the damaged store")
    out.line(f"checklist: from {report.checklist}")
    for table in report.unread:
        out.line(f"not all of the table {table} could be read")
    for kind, names in report.told.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        out.line(f"{len(names)} {_WORDS[kind]}: {', '.join(names[:_SHOWN])}{more}")
    out.note(f"what was there is kept in {report.aside}")
    out.note("next: nowcast start")
