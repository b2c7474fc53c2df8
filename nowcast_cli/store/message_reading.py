"""The journal: messages, and what they did to the checklist."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import merge
from operator import itemgetter
from typing import get_args

from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.store.reading import Reading, condition
from nowcast_cli.store.records import (
    MessageRecord,
    Outcome,
)
from nowcast_cli.store.rows import (
    message_of_row,
)

# The index has the outcome, by which last successes are found; the number orders each by itself.
_OUTCOMES = ("IS NULL", *(f"= '{outcome}'" for outcome in get_args(Outcome)))
_LAST_OF_SOURCE = " UNION ALL ".join(
    "SELECT number FROM (SELECT number FROM message {where} "
    f"AND outcome {outcome} ORDER BY number DESC LIMIT {{most}})"
    for outcome in _OUTCOMES
)


class MessageReading(Reading):
    """Reads the journal."""

    def messages(
        self,
        *,
        source: str | None = None,
        states: Collection[str] | None = None,
        chain: str | None = None,
        limit: int | None = 50,
    ) -> list[MessageRecord]:
        """Give messages, the newest first; those of a ``chain`` only with ``states``."""
        most = -1 if limit is None else limit
        # A store has a few messages that are not decided and, maybe, millions that are.
        special = states is not None and "decided" not in states
        where, values = condition(("state", states), ("+chain", chain), ("source", source))
        if special:
            chosen = f"{where} AND state <> 'decided'"
        elif source is not None:
            chosen = f"WHERE number IN ({_LAST_OF_SOURCE.format(where=where, most=most)})"
            values = values * len(_OUTCOMES)
        else:
            chosen = where
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {self._message} FROM message {chosen} ORDER BY number DESC LIMIT {most}",
                values,
            )
        ]

    def message(self, id_or_number: str) -> MessageRecord:
        """Give the message of that number, or whose id is or begins so.

        Raises NotFound where there is none, NowcastError where there are several.
        """
        numbered = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE number = ?",
            (_number(id_or_number),),
        ).fetchall()
        rows = numbered or self._by_begin("message", self._message, id_or_number)
        if not rows:
            raise NotFound(
                f"there is no message {id_or_number}",
                hint="nowcast message list",
            )
        if len(rows) > 1:
            raise NowcastError(
                f"several messages have an id that begins with {id_or_number}",
                hint="give the number that nowcast message list shows",
            )
        return message_of_row(rows[0])

    def last_number(self) -> int:
        """Give the number of the last message of the journal, 0 where there is none."""
        return int(self._connection.execute("SELECT max(number) FROM message").fetchone()[0] or 0)

    def news(self, after: int, upto: int, sources: Collection[str]) -> list[MessageRecord]:
        """Give the messages after one number up to another that somebody may want to be told of.

        Those are bad endings after which nothing is tried again, what is overdue or slow, and
        all messages of ``sources`` but the ends of members of ensembles; the oldest first. Only
        messages of nowcast itself have their ``body``: others may be large.
        """
        body = "CASE WHEN source = 'nowcast' THEN body END AS body"
        columns = self._message.replace(" body,", f" {body},")
        last = "AND note IS NULL" if self._version >= 3 else ""  # else it is tried again
        alone = "AND ifnull(note NOT LIKE 'member %', TRUE)" if self._version >= 3 else ""
        marks = ", ".join("?" * len(sources))
        return [
            message_of_row(row)
            for row in self._connection.execute(
                f"SELECT {columns} FROM message WHERE number > ? AND number <= ? "
                f"AND (outcome IN ('failure', 'crash') {last} "
                f"OR (source = 'nowcast' AND type IN ('overdue', 'slow')) "
                f"OR (source IN ({marks}) {alone})) "
                "ORDER BY number",
                (after, upto, *sources),
            )
        ]

    def message_of_number(self, number: int) -> MessageRecord | None:
        """Give the message of that number, None where it is not in the journal any more."""
        row = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE number = ?", (number,)
        ).fetchone()
        return None if row is None else message_of_row(row)

    def message_by_exact_id(self, message_id: str) -> MessageRecord | None:
        """Give the message of that id, None where it has not been received."""
        row = self._connection.execute(
            f"SELECT {self._message} FROM message WHERE id = ?", (message_id,)
        ).fetchone()
        return None if row is None else message_of_row(row)

    def first_received(self) -> str | None:
        """Give the time of the first message of the journal, None where there is none."""
        row = self._connection.execute(
            "SELECT received FROM message ORDER BY number LIMIT 1"
        ).fetchone()
        return None if row is None else str(row[0])

    def last_success(self, worker: str, before: str = "~") -> str | None:
        """Give when the worker last succeeded, not later than ``before``; None for never.

        That one member of an ensemble has succeeded says nothing of the worker.
        """
        alone = "AND note IS NULL " if self._version >= 3 else ""
        row = self._connection.execute(
            "SELECT received FROM message "
            f"WHERE source = ? AND outcome = 'success' AND received <= ? {alone}"
            "ORDER BY number DESC LIMIT 1",
            (worker, before),
        ).fetchone()
        return None if row is None else str(row[0])

    def checklist_keys(self) -> list[str]:
        """Give the keys of the checklist that messages have changed, each as YAML."""
        return [
            str(key)
            for (key,) in self._connection.execute(
                # From one key to the next, over all the messages of each.
                "WITH RECURSIVE known(key) AS (SELECT min(checklist_key) FROM message "
                "WHERE effect IS NOT NULL UNION ALL SELECT (SELECT min(checklist_key) "
                "FROM message WHERE effect IS NOT NULL AND checklist_key > key) FROM known "
                "WHERE key IS NOT NULL) SELECT key FROM known WHERE key IS NOT NULL"
            )
        ]

    def checklist_effects(self, keys: Collection[str]) -> Iterator[MessageRecord]:
        """Give the messages that changed these keys (YAML) or cleared all, the newest first."""
        select = f"SELECT {self._message} FROM message WHERE effect IS NOT NULL AND"
        latest = [
            self._connection.execute(f"{select} checklist_key IS ? ORDER BY number DESC", (key,))
            for key in (None, *keys)
        ]
        for row in merge(*latest, key=itemgetter(0), reverse=True):
            yield message_of_row(row)


def _number(text: str) -> int:
    """Give the number of a message; of what is none, and of one too large for SQLite, -1."""
    return int(text) if text.isdecimal() and len(text) < 19 else -1
