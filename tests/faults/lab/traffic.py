"""What a busy system is asked meanwhile: chains are launched, and messages told by hand.

Everything that is sent has an id that the lab knows, and what was acknowledged is kept, for the
model to look for.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from lab.deployment import arguments_of, module_of
from lab.system import LabSystem
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages.client import NoAnswer
from nowcast_cli.messages.message import Message

_PATIENCE = 150.0  # seconds; the system is whole long before
_BETWEEN_MESSAGES = 0.25
_BETWEEN_LAUNCHES = 0.25
_MAY_BE_REFUSED = ("cancel", "release")  # a job may have ended, a hold be released by then


class Traffic:
    """Keeps a system busy, in a thread of its own, until :meth:`stop`.

    ``acknowledged`` are the ids of messages that were answered, ``launched`` the jobs of launches
    by the id of the request, ``cancelled`` the jobs that somebody has asked to cancel.
    """

    def __init__(self, system: LabSystem) -> None:
        self.acknowledged: set[str] = set()
        self.launched: dict[str, str] = {}
        self.requested: set[str] = set()
        self.cancelled: set[str] = set()
        self.unanswered: list[str] = []
        self.refused: list[str] = []
        self.others: list[threading.Thread] = []
        self._system = system
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Launch no more, and wait for what was asked to be answered."""
        self._over.set()
        for thread in (self._thread, *self.others):
            thread.join()

    def _go_on(self) -> None:
        number, limited = 0, "jobs" in self._system.plan.features
        next_message = next_launch = time.monotonic()
        while not self._over.is_set():
            if time.monotonic() > next_launch and self._has_room():
                next_launch = time.monotonic() + _BETWEEN_LAUNCHES
                self.launch(number)
                number += 1
            elif limited and number % 25 == 7:
                self._hold_for_a_moment(number)
                number += 1
            elif time.monotonic() > next_message:
                next_message = time.monotonic() + _BETWEEN_MESSAGES
                kind = "success" if number % 4 == 0 else "progress"
                self.tell(Message("hand", kind, {"n": number % 50}, id=self._system.new_hand_id()))
                number += 1
            else:
                self._over.wait(0.05)

    def _has_room(self) -> bool:
        with suppress(NowcastError, OSError), self._system.reader() as reader:
            counts = reader.counts()
            open_jobs = sum(counts[state] for state in ("waiting", "held", "submitting", "running"))
            return open_jobs < self._system.plan.busy and counts["undecided"] < 20
        return False

    def launch(self, number: int) -> str | None:
        """Launch one of the roots, and give its job."""
        roots = self._system.plan.roots
        worker, doing = roots[number % len(roots)]
        request = Message(
            "nowcast",
            "launch",
            {"module": module_of(worker), "arguments": arguments_of(doing)},
            id=self._system.new_hand_id(),
        )
        assert request.id is not None
        with self._lock:
            self.requested.add(request.id)
        reply = self.tell(request)
        if reply is None or reply.type != "ack":
            return None
        job = str(reply.payload["job"])
        with self._lock:
            self.launched[request.id] = job
        return job

    def _hold_for_a_moment(self, number: int) -> None:
        """Hold a worker, or the whole system, and release it a moment later."""
        worker = (None, *self._system.plan.workers)[number % (1 + len(self._system.plan.workers))]
        for kind in ("hold", "release"):
            self.tell(Message("nowcast", kind, {"worker": worker}, id=self._system.new_hand_id()))
            self._over.wait(0.3)

    def launch_and_cancel(self) -> None:
        """Launch a job and cancel it at once."""
        job = self.launch(0)
        if job is not None:
            self.cancelled.add(job)
            self.tell(Message("nowcast", "cancel", {"job": job}, id=self._system.new_hand_id()))

    def tell(self, message: Message) -> Message | None:
        """Send a message until it is answered; None where that never was."""
        assert message.id is not None
        try:
            reply = self._system.send(message, _PATIENCE)
        except NoAnswer as error:
            self.unanswered.append(f"{message.id}: {error.what} ({error.cause})")
            return None
        with self._lock:
            if reply.type in ("refused", "unregistered worker", "unregistered message type"):
                if message.type not in _MAY_BE_REFUSED:
                    self.refused.append(f"{message.type} of {message.source}: {reply.payload}")
            else:
                self.acknowledged.add(message.id)
        return reply
