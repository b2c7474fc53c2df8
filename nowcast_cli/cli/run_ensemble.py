"""``nowcast run-worker`` of an ensemble: how its members go on, and what follows from all."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.context import System
from nowcast_cli.cli.ensemble_view import name, progress
from nowcast_cli.cli.following import (
    Decision,
    follow_chain,
    how_it_ended_as_one,
    wait_for_checklist,
    what_follows,
)
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.watching import Watch, read_store
from nowcast_cli.errors import NotRunning, NowcastError, UsageError

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader
    from nowcast_cli.store.records import EnsembleRecord

_INTERRUPTED = 130
_BETWEEN_LINES = 1.0  # s
_CODES = {"succeeded": 0, "failed": 1}
_CRASHED = 70
_DASHED = re.compile(r"(\d+)-(\d+)")  # how batch systems write a range


def wish(members: str | None, at_most: int | None, ends_when: str | None) -> dict[str, Any]:
    """Give what the options ask for as a launch has it. Raises UsageError."""
    from nowcast_cli.config.ensembles import NotAnEnsemble, at_most_of, ending_of, members_of

    asked: dict[str, Any] = {}
    if members is not None and (found := _DASHED.fullmatch(members)):
        raise UsageError(
            f"{members} would be one member of that name",
            hint=f"a range is --members {found[1]}..{found[2]}",
        )
    try:
        if members is not None:
            asked["members"] = members if ".." in members else members.split(",")
            members_of(asked["members"])
        if at_most is not None:
            asked["at most"] = at_most_of(at_most)
        if ends_when is not None:
            asked["ends when"] = ending_of(int(ends_when) if ends_when.isdecimal() else ends_when)
    except NotAnEnsemble as error:
        raise UsageError(
            f"the ensemble: {error}", hint="--members 1..21 --at-most 5 --ends-when 15"
        ) from None
    return asked


def check_worker(system: System, worker: str, asked: Mapping[str, Any]) -> None:
    """Refuse what is asked of an ensemble where the launch makes none. Raises UsageError."""
    from nowcast_cli.config.registry import registry_of

    if not asked or "members" in asked:
        return
    entry = registry_of(system.config).workers.get(worker)
    if entry is not None and entry.jobs.ensemble.members is None:
        option = "--" + next(iter(asked)).replace(" ", "-")
        raise UsageError(
            f"{option} is for an ensemble, and {worker} has no members",
            hint="give them by --members 1..21, or by `members` in the message registry",
        )


def watch_ensemble(
    system: System, out: Output, watch: Watch, ensemble_id: str, *, follow: bool
) -> int:
    """Tell how an ensemble goes on until it has ended, then what follows; gives the exit code."""
    try:
        ensemble = _until_its_end(system, out, watch, ensemble_id)
    except KeyboardInterrupt:
        return _cancel(system, out, watch, ensemble_id)
    watch.finish()
    decision = watch.until(lambda: _decision_on(system, ensemble))
    wait_for_checklist(system, out, watch, [decision.message])
    sentence, *notes = what_follows(decision)
    out.note(f"{how_it_ended_as_one(ensemble)}; {sentence}")
    for note in notes:
        out.note(note)
    if ensemble.reason:
        out.note(f"  {ensemble.reason}; see `nowcast job show {ensemble.id[-8:]}`")
    if follow:
        try:
            follow_chain(system, out, watch, ensemble)
        except KeyboardInterrupt:
            out.note("\nno longer followed; what was launched goes on: nowcast job list")
            return _INTERRUPTED
    return _CODES.get(ensemble.state, _CRASHED)


def _until_its_end(system: System, out: Output, watch: Watch, ensemble_id: str) -> EnsembleRecord:
    told, tell_at = "", 0.0

    def look() -> EnsembleRecord | None:
        nonlocal told, tell_at
        ensemble, line = read_store(system, lambda reader: _progress(reader, ensemble_id))
        if line != told and (not ensemble.unfinished or time.monotonic() >= tell_at):
            out.note(line)
            told, tell_at = line, time.monotonic() + _BETWEEN_LINES
        return None if ensemble.unfinished else ensemble

    return watch.until(look)


def _progress(reader: Reader, ensemble_id: str) -> tuple[EnsembleRecord, str]:
    ensemble = reader.ensemble(ensemble_id)
    assert ensemble is not None, "it was launched"
    return ensemble, f"{name(ensemble)}: {progress(ensemble, reader.unfinished_members(ensemble))}"


def _decision_on(system: System, ensemble: EnsembleRecord) -> Decision | None:
    from nowcast_cli.cli.chain import jobs_after

    def look(reader: Reader) -> Decision | None:
        number = ensemble.final_message
        message = None if number is None else reader.message_of_number(number)
        if message is None:
            return Decision(None, [])
        return (
            None if message.state == "received" else Decision(message, jobs_after(reader, message))
        )

    return read_store(system, look)


def _cancel(system: System, out: Output, watch: Watch, ensemble_id: str) -> int:
    from nowcast_cli.cli.asking import ask_manager

    out.note(f"\ncancelling ensemble {ensemble_id[-8:]}")
    try:
        ask_manager(system, "cancel", {"job": ensemble_id})
    except NotRunning:
        raise
    except NowcastError as refusal:  # it has ended in this very moment
        out.note(refusal.what)
    watch.finish()
    return _INTERRUPTED
