"""What the members of an ensemble have come to: by the store, and by a turn not yet committed."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from nowcast_cli.manager.ensembles import Heard
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import EnsembleRecord, JobPut, JobRecord, MessageRecord


class MembersHeard:
    """Reads it from the store, and remembers what it has seen being said: that takes long to parse.

    Nothing is remembered of ensembles that have ended.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: dict[str, dict[int, Any]] = {}  # by ensemble, then by message

    def remember(self, ensemble_id: str, record: MessageRecord, payload: Any) -> None:
        """Take note of the payload of a member's final message, with the member's name."""
        self._said.setdefault(ensemble_id, {})[record.number] = payload

    def last_jobs(self, turn: Turn, ensemble: EnsembleRecord) -> dict[int, JobRecord]:
        """Give the last job of each member by its place, in order."""
        changed = (change.job for change in turn.changes if isinstance(change, JobPut))
        return self._store.last_members(ensemble, changed)

    def of(self, turn: Turn, ensemble: EnsembleRecord) -> Iterator[Heard]:
        """Give what was heard of the members of an ensemble that ends, in their order."""
        now = {record.number: record for record in turn.journalled.values()}
        said = self._said.pop(ensemble.id, {})
        for job in self.last_jobs(turn, ensemble).values():
            assert job.member is not None, "a job of an ensemble is a member"
            label, number = job.member.label, job.final_message
            message = None
            if number is not None:
                message = now.get(number) or self._store.message_by_number(number)
            if message is None:
                yield Heard(label, job.state)
                continue
            payload = said[message.number] if message.number in said else payload_of(message)
            told = payload.get(label) if isinstance(payload, dict) else None
            yield Heard(label, job.state, message.type, told)

    def forget_ended(self, open_ones: Container[str]) -> None:
        """Remember nothing of ensembles that are not among the open ones."""
        for ensemble_id in [each for each in self._said if each not in open_ones]:
            del self._said[ensemble_id]
