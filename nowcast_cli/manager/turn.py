"""One turn of the manager: the steps that are taken together, committed together, then acted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.state import Entry, Note, State, Step
from nowcast_cli.store.records import Change, JobPut, MessageRecord, MessageSettled


@dataclass
class Turn:
    """What a turn has gathered. ``state`` becomes true with the commit of ``changes``."""

    state: State
    changes: list[Change] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    answers: list[tuple[Arrived, bytes]] = field(default_factory=list)
    taken_files: list[Path] = field(default_factory=list)
    journalled: dict[str, MessageRecord] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    begun: State = field(init=False)  # the state that the turn began with

    def __post_init__(self) -> None:
        self.begun = self.state

    def add(self, step: Step) -> None:
        """Take a step, which began with the state as it is."""
        self.state = step.state
        self.changes += step.changes
        self.notes += step.notes
        self.entries += step.entries
        self.settled.update(
            change.number for change in step.changes if isinstance(change, MessageSettled)
        )
        if step.journalled is not None:
            self.journalled[step.journalled.id] = step.journalled

    def put_jobs_once(self) -> None:
        """Leave of the changes of each job the last one, which is all that has to be written."""
        puts = [change.job.id for change in self.changes if isinstance(change, JobPut)]
        if len(puts) == len(set(puts)):
            return
        later: set[str] = set()
        kept: list[Change] = []
        for change in reversed(self.changes):
            if isinstance(change, JobPut):
                if change.job.id in later:
                    continue
                later.add(change.job.id)
            kept.append(change)
        self.changes = kept[::-1]

    def undecided(self) -> dict[int, MessageRecord]:
        """Give the messages of this turn that are to be decided, by number."""
        return {
            record.number: record
            for record in self.journalled.values()
            if record.state == "received"
        }
