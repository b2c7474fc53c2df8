"""The messages on which nothing is decided yet: on their way to the deciders, or stuck."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from nowcast_cli.manager.recovery import entry_of
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Entry, Reply, Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.records import MessageRecord, MessageSettled


class Undecided:
    """What the journal says of these messages; it follows the turns that are committed."""

    def __init__(self, records: Iterable[MessageRecord]) -> None:
        self._records = {record.number: record for record in records}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, number: int) -> MessageRecord | None:
        """Give the message of that number; None where it is decided, or is to be no more."""
        return self._records.get(number)

    def stuck(self) -> list[MessageRecord]:
        """Give the messages that wait for somebody to act."""
        return [record for record in self._records.values() if record.state == "stuck"]

    def entries(self) -> list[Entry]:
        """Give the messages that the deciders have to be given."""
        received = (record for record in self._records.values() if record.state == "received")
        return [entry_of(record) for record in received]

    def take_in(self, turn: Turn) -> None:
        """Follow a turn that is committed."""
        self._records |= turn.undecided()
        for change in turn.changes:
            if not isinstance(change, MessageSettled) or change.number not in self._records:
                continue
            if change.state == "decided":
                del self._records[change.number]
            else:
                record = self._records[change.number]
                self._records[change.number] = replace(
                    record, state=change.state, error=change.error
                )

    def retry(self, turn: Turn, payload: Any) -> Step:
        """Take stuck messages again: ``{message: id, number or "all"}``."""
        wanted = str(payload.get("message") if isinstance(payload, dict) else None)
        stuck = [
            record for record in self.stuck() if wanted in ("all", record.id, str(record.number))
        ]
        if not stuck and wanted != "all":
            raise RequestError(f"message {wanted} is not stuck", f"nowcast message show {wanted}")
        reply = Reply("ack", {"messages": [record.number for record in stuck]})
        return replace(unstuck(turn, stuck), reply=reply)


def unstuck(turn: Turn, stuck: Collection[MessageRecord]) -> Step:
    """Have stuck messages decided again; each once, whatever asks for it in this turn."""
    stuck = [record for record in stuck if record.number not in turn.settled]
    return Step(
        turn.state,
        tuple(MessageSettled(record.number, "received", None) for record in stuck),
        entries=tuple(entry_of(record) for record in stuck),
    )
