"""What the members of an ensemble have come to: by the store, and by a turn not yet committed."""

from __future__ import annotations

from collections.abc import Iterator

from nowcast_cli.manager.ensembles import Heard
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import EnsembleRecord, JobPut, JobRecord, MessageRecord


def last_jobs(store: Store, turn: Turn, ensemble: EnsembleRecord) -> dict[int, JobRecord]:
    """Give the last job of each member by its place, in order."""
    changed = (change.job for change in turn.changes if isinstance(change, JobPut))
    return store.last_members(ensemble, changed)


def heard(store: Store, turn: Turn, ensemble: EnsembleRecord) -> Iterator[Heard]:
    """Give what was heard of the members, in their order."""
    now = {record.number: record for record in turn.journalled.values()}
    for job in last_jobs(store, turn, ensemble).values():
        assert job.member is not None, "a job of an ensemble is a member"
        label = job.member.label
        message = None
        if job.final_message is not None:
            message = now.get(job.final_message) or store.message_by_number(job.final_message)
        if message is None:
            yield Heard(label, job.state)
        else:
            yield Heard(label, job.state, message.type, _said(message, label))


def _said(message: MessageRecord, label: int | str) -> object:
    payload = payload_of(message)
    return payload.get(label) if isinstance(payload, dict) else None
