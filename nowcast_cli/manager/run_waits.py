"""Who waits for the end of a run: the answer is held until then, or until its time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any, TypeAlias

from nowcast_cli.manager.flow_moves import given_by
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.manager.replies import encode_reply
from nowcast_cli.manager.state import Reply, refused
from nowcast_cli.messages.message import Message
from nowcast_cli.store.flow_records import FlowRunPut, FlowRunRecord
from nowcast_cli.store.records import Change

LONGEST = 20.0  # s
MOST = 1000  # answers that are held: one more is answered at once
CALL = "call"  # the one step of a run that is the call of an action

_Key: TypeAlias = tuple[bytes | None, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrived: Arrived
    message_id: str | None
    run: str
    until: float  # of the clock


class RunWaits:
    """Holds the answers to ``await run``.

    Parameters
    ----------
    run_of
        Gives a run as the store has it.
    answer
        Sends an answer.
    monotonic
        The clock, in seconds.
    """

    def __init__(
        self,
        run_of: Callable[[str], FlowRunRecord | None],
        answer: Callable[[Arrived, bytes], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_of = run_of
        self._answer = answer
        self._monotonic = monotonic
        self._waiting: dict[_Key, _Waiting] = {}
        self._by_message: dict[str, _Key] = {}
        self._by_run: dict[str, dict[_Key, None]] = {}
        self._due: list[tuple[float, _Key]] = []
        self._new: list[tuple[Arrived, Message]] = []

    def is_waiting(self, arrived: Arrived) -> bool:
        """Say whether this waits already: the broker has offered it again."""
        return _key(arrived) in self._waiting

    def hear(self, arrived: Arrived, message: Message) -> None:
        """Take in ``{run, seconds}``; it is answered after the commit of this turn, or later."""
        self._new.append((arrived, message))

    def due_in(self) -> float | None:
        """Give the seconds until somebody is to be answered, None for never."""
        return max(0.0, self._due[0][0] - self._monotonic()) if self._due else None

    def act(self, changes: Iterable[Change]) -> None:
        """Answer those whose run has ended by what is committed now, and whose time is over."""
        if self._by_run:
            for change in changes:
                if isinstance(change, FlowRunPut) and change.run.state != "running":
                    for key in list(self._by_run.get(change.run.id, ())):
                        self._reply(self._drop(key), change.run)
        for arrived, message in self._new:
            self._take(arrived, message)
        self._new.clear()
        while self._due and self._due[0][0] <= self._monotonic():
            _, key = heappop(self._due)
            if key in self._waiting:
                waiting = self._drop(key)
                self._reply(waiting, self._run_of(waiting.run))

    def _take(self, arrived: Arrived, message: Message) -> None:
        payload = message.payload if isinstance(message.payload, Mapping) else {}
        seconds = payload.get("seconds", 0)
        # No float before it is small: an integer may be too large for one.
        wait = max(0, min(seconds, LONGEST)) if isinstance(seconds, int | float) else 0
        until = self._monotonic() + wait
        waiting = _Waiting(arrived, message.id, str(payload.get("run")), until)
        run = self._run_of(waiting.run)
        if run is None or run.state != "running" or not wait > 0 or len(self._waiting) >= MOST:
            self._reply(waiting, run)
            return
        key = _key(arrived)
        if message.id is not None:
            before = self._by_message.get(message.id)
            if before is not None:  # asked again by a new connection: nobody hears the old one
                old = self._drop(before)
                waiting = replace(waiting, until=old.until)  # else each time would put it off
                self._reply(old, run)
            self._by_message[message.id] = key
        self._waiting[key] = waiting
        self._by_run.setdefault(waiting.run, {})[key] = None
        heappush(self._due, (waiting.until, key))

    def _drop(self, key: _Key) -> _Waiting:
        waiting = self._waiting.pop(key)
        self._by_message.pop(waiting.message_id or "", None)
        of_run = self._by_run[waiting.run]
        del of_run[key]
        if not of_run:
            del self._by_run[waiting.run]
        return waiting

    def _reply(self, waiting: _Waiting, run: FlowRunRecord | None) -> None:
        if run is None:
            reply = refused(f"there is no run {waiting.run!r}", "nowcast flow runs")
        else:
            reply = Reply("ack", ended(run))
        self._answer(waiting.arrived, encode_reply(reply, waiting.message_id))


def ended(run: FlowRunRecord) -> dict[str, Any]:
    """Say how a run has ended, or that it runs; of a call, ``gave`` is what the action gave."""
    given = given_by(run)
    is_call = "?" in run.flow
    reason = run.reason
    if is_call and reason is not None:
        reason = reason.removeprefix(f"step {CALL}: ")  # the one step that there is
    return {
        "run": run.id,
        "state": run.state,
        "reason": reason,
        "gave": given.get(CALL) if is_call else given,
    }


def _key(arrived: Arrived) -> _Key:
    return arrived.stamp, arrived.envelope
