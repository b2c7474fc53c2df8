"""The request queue: from the workers' port to the manager's, and the answers back.

Frames, as they travel:

=====================  ==================================================
client to broker       ``b""``, body (what a REQ socket sends)
broker to manager      client, stamp, ``b""``, body
manager to broker      client, stamp, ``b""``, reply (what a REP socket returns)
a manager that begins  ``b""``, ``b"hello"``, greeting
=====================  ==================================================

What else begins with an empty frame is for :mod:`nowcast_cli.broker.side_talk`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from typing import Any

import zmq

from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import IN, NOW, NOW_AND_MORE, OUT, WaitFor, receive, sizes
from nowcast_cli.broker.refusals import Refusal, refusal_of
from nowcast_cli.broker.requests import KeptRequests
from nowcast_cli.broker.side_talk import Said, SideTalk
from nowcast_cli.config.limits import DEFAULTS, Limits
from nowcast_cli.crash_points import reached

OFFERS_A_TURN = 100

# How the messages of agents begin (``messages.agent_messages``): their kind, and whose they are.
_OF_AN_AGENT = re.compile(
    rb'\{"source": "nowcast", "type": "agent", "payload": "\{'
    rb'(\\"what\\": \\"(?:register|report|pull|answer)\\", \\"agent\\": \\"[\w.@-]+\\")'
)


class RequestQueue:
    """One device of the broker's loop: a ROUTER for clients, a DEALER for the manager.

    Parameters
    ----------
    clients, manager
        The bound ROUTER and DEALER sockets; closed by :meth:`close`.
    faults
        Where messages of a wrong shape are reported.
    limits
        What is not kept, and answered at once.
    judge
        Says of a body why its sender may not ask that; None where all may ask everything.
    side_talk
        Where everything else goes that the manager says.
    """

    def __init__(
        self,
        clients: zmq.Socket[bytes],
        manager: zmq.Socket[bytes],
        faults: FaultLog,
        limits: Limits = DEFAULTS,
        judge: Callable[[zmq.Frame], Refusal | None] | None = None,
        side_talk: SideTalk | None = None,
    ) -> None:
        self._limits = limits
        self._judge = judge
        self._side_talk = side_talk or SideTalk()
        self._side_talk.send = self._say
        self._clients = clients
        self._faults = faults
        # The sends of the C extension itself: zmq.Socket's, in Python, doubles their time to look
        # for arguments that are not given here.
        self._send_client = super(zmq.Socket, clients).send
        self._requests: KeptRequests[bytes] = KeptRequests(os.urandom(8))
        self.use_manager(manager)

    @property
    def manager(self) -> zmq.Socket[bytes]:
        """The socket on which the manager is spoken to."""
        return self._manager

    def use_manager(self, manager: zmq.Socket[bytes]) -> None:
        """Speak to the manager by this socket from now on; what is kept is offered there."""
        self._manager = manager
        self._send_manager = super(zmq.Socket, manager).send
        self._both: WaitFor = [(manager, IN), (self._clients, IN)]
        self._both_and_offer: WaitFor = [(manager, IN | OUT), (self._clients, IN)]
        self._requests.offer_all_again()

    def waits_for(self) -> WaitFor:
        """Return the sockets and events to poll for.

        Room at the manager's side is only waited for while something is to be offered: so
        nothing spins when no manager is there.
        """
        if self._requests.backlog or self._side_talk.waits_for_room:
            return self._both_and_offer
        return self._both

    def due_in(self) -> float | None:
        """Give None: all work here is by events."""
        return None

    def work(self, ready: WaitFor) -> None:
        """Take one message from each socket that has some, then offer what can be offered.

        One, because a poll that finds the next costs less than a receive that finds none.
        """
        for source, events in ready:
            if not events & IN:
                continue
            try:
                if source is self._clients:
                    self._take_request()
                elif source is self._manager:
                    self._take_from_manager()
            except zmq.Again:  # what was there went with its connection
                continue
        if self._side_talk.waits_for_room:
            self._side_talk.go_on()
        if self._requests.backlog:
            self._offer()

    def status(self) -> dict[str, Any]:
        """Return what a health answer says of the queue."""
        has_room = bool(self._manager.getsockopt(zmq.EVENTS) & OUT)  # type: ignore[operator]
        return {
            "waiting": len(self._requests),
            "waiting bytes": self._requests.size,
            "manager takes messages": has_room,
        }

    def close(self) -> None:
        """Close both sockets."""
        self._clients.close()
        self._manager.close()

    def _take_request(self) -> None:
        frames = receive(self._clients)
        reached("broker.received")
        if len(frames) != 3 or len(frames[1]):
            self._faults.report(
                "dropped a message on the workers' port that is not a request: "
                f"{sizes(frames)} in place of a client, an empty frame and a body"
            )
            return
        refusal = self._judge(frames[2]) if self._judge is not None else None
        refusal = refusal or refusal_of(frames[2], self._requests, self._limits)
        if refusal is None:
            # Copied: a frame of a small message would keep the whole buffer it was received in.
            body = frames[2].bytes
            self._requests.keep(frames[0].bytes, body, topic_of(body))
            return
        self._faults.report(refusal.fault)
        if refusal.reply:
            self._reply(frames[0].bytes, refusal.reply)
        reached("broker.kept")

    def _take_from_manager(self) -> None:
        frames = receive(self._manager)
        reached("broker.heard_the_manager")
        if len(frames) == 4 and len(frames[0]) and not len(frames[2]):
            self._answer(frames[1].bytes, frames[3])
        elif len(frames) == 3 and not len(frames[0]) and frames[1].bytes == b"hello":
            self._requests.offer_all_again()
            self._side_talk.greeted(frames[2].bytes)
        elif len(frames) < 3 or len(frames[0]) or not self._side_talk.take(frames):
            self._faults.report(
                "dropped a message on the manager's port that is not an answer: "
                f"{sizes(frames)} in place of a client, a stamp, an empty frame and a reply"
            )

    def _answer(self, stamp: bytes, reply: zmq.Frame) -> None:
        client = self._requests.answered(stamp)
        reached("broker.before_the_answer")
        if client is None:  # answered before, or asked of the broker that ran before this one
            return
        self._reply(client, reply)

    def _reply(self, client: bytes, reply: zmq.Frame | bytes) -> None:
        # A ROUTER drops what is for a client that has gone or does not read; it never blocks.
        with contextlib.suppress(zmq.Again):
            self._send_client(client, NOW_AND_MORE)
            self._send_client(b"", NOW_AND_MORE)
            self._send_client(reply, NOW)
        reached("broker.answered")

    def _say(self, frames: tuple[Said, ...]) -> bool:
        try:
            self._send_manager(frames[0], NOW_AND_MORE)
        except zmq.Again:
            return False
        for frame in frames[1:-1]:
            self._send_manager(frame, NOW_AND_MORE)
        self._send_manager(frames[-1], NOW)
        return True

    def _offer(self) -> None:
        for _ in range(OFFERS_A_TURN):
            request = self._requests.next_to_offer()
            if request is None:
                return
            try:
                self._send_manager(request.client, NOW_AND_MORE)
            except zmq.Again:  # no manager, or one that has enough in hand
                return
            # Once the first frame is taken, the others are: a message is queued as a whole.
            self._send_manager(request.stamp, NOW_AND_MORE)
            self._send_manager(b"", NOW_AND_MORE)
            self._send_manager(request.body, NOW)
            self._requests.offered()
            reached("broker.offered")


def topic_of(body: bytes) -> bytes | None:
    """Say of what an agent says which of its messages are as good; None for other senders.

    An agent asks one thing of a kind at a time, and asks it anew when nobody answers.
    """
    found = _OF_AN_AGENT.match(body)
    return None if found is None else found[1]
