"""The events of one system: numbered and kept with the turn that they are of, told after it.

Nothing is lost between the two. What was kept and not told, since a manager or the broker ended,
leaves a gap in the numbers of its stream; whoever meets it asks for a replay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nowcast_cli.crash_points import reached
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.inbox import Aside
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Reply, State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.event import (
    STATUS_STREAMS,
    body_of,
    encode_event,
    event_as_plain,
    prefix_of,
    topic_in,
    wire_topic,
)
from nowcast_cli.store.event_records import EventBatchPut, EventPut
from nowcast_cli.store.events import MOST, KeptEvents, batch_of
from nowcast_cli.store.records import Change

STATUSES = 200  # events that are looked at for the last of each status
LARGEST = 1 << 62  # a number of an event, which no stream comes near; SQLite has some more
Question = Callable[[Turn, Any], Reply]


class Events:
    """Gives the events of each turn their numbers, and tells them once they are kept.

    Parameters
    ----------
    kept
        What the store keeps.
    maker
        Makes events of changes.
    publish
        Tells the broker: the numbers, then pairs of topic and body.
    sources
        Gives what has happened that is in no turn: daemons that have begun or ended, notices.
    """

    def __init__(
        self,
        kept: KeptEvents,
        maker: EventMaker,
        publish: Callable[..., None],
        sources: Callable[[], Iterable[EventPut]] = tuple,
    ) -> None:
        self._kept = kept
        self._maker = maker
        self._publish = publish
        self._sources = sources
        self._numbers = kept.numbers()
        self._subscribers = 0

    @property
    def questions(self) -> Mapping[str, Question]:
        """Give what answers the requests that change nothing, by their kind."""
        return {"events": lambda _, payload: self._replay(payload), "snapshot": self._snapshot}

    def seal(self, turn: Turn) -> None:
        """Add the events of a turn, all of whose changes are there, to what it commits."""
        happened = [*self._sources()]
        if turn.changes:
            happened += self._maker.made_of(turn.begun, turn.changes)
        turn.changes += self.numbered(happened)

    def numbered(self, happened: Iterable[EventPut]) -> list[EventBatchPut]:
        """Give the batches of events, one a stream."""
        by_stream: dict[str, list[EventPut]] = {}
        for event in happened:
            by_stream.setdefault(event.topic.partition("~")[0], []).append(event)
        if not by_stream:
            return []
        time, batches = now(), []
        for stream, events in by_stream.items():
            batch = batch_of(stream, self._numbers.get(stream, 0) + 1, time, events)
            self._numbers[stream] = batch.last
            batches.append(batch)
        return batches

    def connected(self) -> None:
        """Take in that the connection to the broker is new: it may be another broker."""
        self._subscribers = 0

    def heard(self, aside: Aside) -> None:
        """Take in that the broker tells of itself: it gets the numbers of all streams."""
        if aside.kind != "broker" or not aside.frames:
            return
        before = self._subscribers
        try:
            self._subscribers = int(json.loads(aside.frames[0])["subscribers"])
        except (ValueError, KeyError, TypeError):
            return
        # A broker that had no subscribers knows of nothing that has happened meanwhile.
        statuses = self._statuses() if self._subscribers and not before else []
        self._publish(json.dumps(self._numbers).encode(), *statuses)

    def _statuses(self) -> list[bytes]:
        """Give the last event of each status, as topics and bodies."""
        events = self._kept.latest([prefix_of(stream) for stream in STATUS_STREAMS], STATUSES)
        last = {event.topic: event for event in events if event.status}
        ordered = sorted(last.values(), key=lambda event: (event.stream, event.number))
        return [f for event in ordered for f in (wire_topic(event.topic), encode_event(event))]

    def tell(self, changes: Iterable[Change]) -> None:
        """Publish the events of a turn that is committed, where anybody wants to hear of them."""
        if not self._subscribers:
            return
        numbers: dict[str, int] = {}
        frames: list[bytes] = []
        for change in changes:
            if isinstance(change, EventBatchPut):
                numbers[change.stream] = change.last
                for number, said in enumerate(change.texts, start=change.first):
                    frames += (
                        wire_topic(topic_in(said)),
                        body_of(change.stream, number, change.time, said),
                    )
        if frames:
            reached("manager.before_publishing")
            self._publish(json.dumps(numbers).encode(), *frames)

    # --- what is asked

    def _replay(self, payload: Any) -> Reply:
        """Answer ``{after: {stream: number}, topics?, limit?}`` with events.

        ``{}`` with the last numbers alone, and ``{since: time or id}`` with those of before.
        """
        if not payload:
            return Reply("ack", {"upto": dict(self._numbers)})
        since = payload.get("since") if isinstance(payload, dict) else None
        if isinstance(since, str):
            return Reply("ack", {"upto": self._kept.numbers(since)})
        after, topics, limit = _wanted(payload)
        found = self._kept.after(after, topics, limit)
        return Reply(
            "ack",
            {
                "events": [event_as_plain(event) for event in found.events],
                "upto": dict(found.upto),
                "more": found.more,
            },
        )

    def _snapshot(self, turn: Turn, payload: Any) -> Reply:
        """Answer ``{of: checklist, keys?}`` with the value as it was after an event."""
        wanted = payload.get("of") if isinstance(payload, dict) else None
        if wanted != "checklist":
            raise RequestError(f"there is a snapshot of the checklist, and none of {wanted!r}")
        # As the turn began: its own changes have no numbers as yet.
        return Reply("ack", _checklist(turn.begun, payload.get("keys"), self._numbers))


def _checklist(state: State, keys: Any, numbers: Mapping[str, int]) -> dict[str, Any]:
    value = dict(state.checklist)
    if isinstance(keys, list):
        value = {key: item for key, item in value.items() if key in keys}
    return {"value": value, "number": numbers.get("checklist", 0)}


def _wanted(payload: Any) -> tuple[dict[str, int], list[str], int]:
    """Read what a replay is asked for. Raises RequestError."""
    after = payload.get("after") if isinstance(payload, dict) else None
    if not isinstance(after, dict) or not all(
        isinstance(stream, str) and type(number) is int and 0 <= number < LARGEST
        for stream, number in after.items()
    ):
        raise RequestError("a replay names the number after which it begins, of each stream")
    topics = payload.get("topics") or []
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise RequestError("the topics of a replay are a list of text")
    limit = payload.get("limit", MOST)
    if type(limit) is not int or limit < 1:
        raise RequestError("the limit of a replay is a number from 1 on")
    return after, [prefix_of(topic) for topic in topics], min(limit, MOST)
