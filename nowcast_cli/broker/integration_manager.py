"""The integration manager: publishes what the manager says has happened to whoever has subscribed.

=====================  =================================================================
broker to subscriber   topic with a ``~`` behind it, body: an event, or a beacon
subscriber to broker   subscriptions, as ZeroMQ sends them, and nothing else
=====================  =================================================================

An event goes to all who are there. One who does not read loses events alone, once its queue is
full, and learns of it by their numbers. Who subscribes to what is a status is told the last one of
each such topic; so are all others who have subscribed to it, who know it by its number. (ZeroMQ
can tell the new one alone, but then counts on nobody sending anything but subscriptions.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence

import zmq

from nowcast_cli.broker.events_door import EventsDoor
from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import sizes
from nowcast_cli.broker.side_talk import Said, SideTalk
from nowcast_cli.broker.streams import Pair, Streams, WrongNumbers
from nowcast_cli.crash_points import reached
from nowcast_cli.messages.event import LOGS

BEACON_EVERY = 1.0  # seconds
_LOGS = LOGS.encode()
_MOST_NEW = 1000  # topics; who subscribes to more may have all statuses


class IntegrationManager:
    """Publishes at XPUB sockets.

    Parameters
    ----------
    doors
        The sockets; closed by :meth:`close`.
    side_talk
        The way from the manager.
    faults
        Where messages of a wrong shape are reported.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        doors: Sequence[EventsDoor],
        side_talk: SideTalk,
        faults: FaultLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._doors = doors
        self._side_talk = side_talk
        self._faults = faults
        self._clock = clock
        self._streams = Streams()
        self._subscribers = 0
        self.wants_logs = False  # somebody may have subscribed to log records
        self._new: set[bytes] = set()  # what was subscribed to since statuses were told
        self._beacon_at = clock()
        for door in doors:
            door.on_message, door.connections.on_change = self._take_subscription, self._count
        side_talk.hear(b"publish", self._take_from_manager)
        side_talk.on_greeting(self._greeted)

    def due_in(self) -> float | None:
        """Give the seconds until the next beacon; None while no subscriber is there."""
        if not self._subscribers:
            return None
        return max(0.0, self._beacon_at - self._clock())

    def turn(self) -> None:
        """Send beacons, and what is a status to those who are new; when it is due."""
        self._beacon_at = self._clock() + BEACON_EVERY
        for door in self._doors:
            door.look()
        if self._new:
            self._publish_all(self._streams.statuses(frozenset(self._new)))
            self._new.clear()
        self._publish_all(self._streams.beacons())

    @property
    def subscribers(self) -> int:
        """How many are connected."""
        return self._subscribers

    def close(self) -> None:
        """Close the sockets."""
        for door in self._doors:
            door.close()

    def publish(self, topic: Said, body: Said) -> None:
        """Send an event to whoever has subscribed to its topic; never blocks."""
        for door in self._doors:
            door.publish(topic, body)
            door.published()

    def _take_subscription(self, door: EventsDoor, frames: list[zmq.Frame]) -> None:
        said = frames[0].bytes
        if len(frames) > 1 or said[:1] not in (b"\0", b"\1"):
            self._faults.report(
                f"dropped a message on {door.name} that is no subscription: {sizes(frames)}"
            )
        elif said[:1] == b"\1":
            self._subscribed(said[1:])
            reached("broker.heard_a_subscription")

    def _subscribed(self, topic: bytes) -> None:
        self.wants_logs |= topic.startswith(_LOGS)  # by name: who wants all does not mean these
        self._new.add(topic if len(self._new) < _MOST_NEW else b"")

    def _count(self) -> None:
        """Tell the manager when the first subscriber has come, or the last one has gone."""
        before, self._subscribers = self._subscribers, sum(map(_peers, self._doors))
        if not self._subscribers:
            # What happens while nobody is there is not told to the broker: it knows nothing then.
            if before:
                self._streams.forget()
            self.wants_logs = False
            self._new.clear()
        if not before and self._subscribers:
            self._streams.forget_numbers()  # of when nobody was there: they are told anew
            self._beacon_at = self._clock()
        if bool(before) != bool(self._subscribers):
            self._tell_manager()

    def _tell_manager(self) -> None:
        self._side_talk.tell(b"broker", json.dumps({"subscribers": self._subscribers}).encode())

    def _greeted(self, is_new: bool) -> None:
        if is_new:
            self._streams.forget_numbers()
        self._tell_manager()

    def _take_from_manager(self, frames: list[zmq.Frame]) -> None:
        """Publish: an empty frame, the kind, the numbers, then pairs of topic and body."""
        try:
            if len(frames) % 2 == 0:
                raise WrongNumbers("a topic has no body")
            self._streams.told(frames[2].bytes)
        except WrongNumbers as error:
            self._faults.report(
                f"dropped a message on the manager's port that publishes nothing: {error}"
            )
            return
        if self._subscribers:
            for topic, body in zip(frames[3::2], frames[4::2], strict=True):
                self._streams.published(topic.bytes, body.bytes)
                for door in self._doors:
                    door.publish(topic, body)
            for door in self._doors:
                door.published()
        reached("broker.published")

    def _publish_all(self, pairs: Iterable[Pair]) -> None:
        for topic, body in pairs:
            self.publish(topic, body)


def _peers(door: EventsDoor) -> int:
    return len(door.connections)
