"""For what a step that is an action waits, in words: as the manager tells it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.context import System
from nowcast_cli.errors import NowcastError

if TYPE_CHECKING:
    from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord

_HOST = "action_workers"
_BETWEEN = 1.0  # s
_MOST_LINES = 10
_PATIENCE = 2.0  # s: without an answer the store tells what it knows


def orders_of(system: System, run: FlowRunRecord) -> Mapping[str, Mapping[str, Any]]:
    """Give where the orders of a run are, by token; nothing where nobody can be asked."""
    if not any(is_performed(record) for record in run.steps.values()):
        return {}
    orders: Mapping[str, Mapping[str, Any]] = _told(system, {"run": run.id}).get("orders") or {}
    return orders


def keys_said(system: System) -> list[tuple[str, str]]:
    """Give the keys that services which are there say they own, each with its service."""
    performers: Mapping[str, Mapping[str, Any]] = _told(system, {}).get("performers") or {}
    return [(key, name) for name, seen in performers.items() for key in seen.get("serves") or ()]


def _told(system: System, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask the manager for performers and their orders; nothing where nobody can be asked."""
    from nowcast_cli.cli.asking import runs
    from nowcast_cli.messages.client import Client
    from nowcast_cli.messages.message import Message

    try:
        if not runs(system):
            return {}
        with Client.of(system.config, "operator") as client:
            message = Message("nowcast", "actions", dict(payload))
            reply = client.ask(message, deadline=_PATIENCE)
    except NowcastError:
        return {}
    return reply.payload if isinstance(reply.payload, dict) else {}


def is_performed(record: StepRecord) -> bool:
    """Say whether a step runs that somebody carries out, or is to."""
    return record.state == "running" and record.performer is not None


def words(record: StepRecord, order: Mapping[str, Any] | None) -> str:
    """Say for what a step waits that is carried out, or how far it is."""
    who = record.performer
    if not who:
        return "waits until all services have said what they do"
    if order is None:
        return f"is for {who}"
    if order["where"] == "in hand":
        return f"{who}: {_progress(order)}"
    if not order["there"]:
        if who == _HOST:
            return "waits: there are no action workers (nowcast start action_workers)"
        return f"waits: the service {who} is not there (nowcast status {who})"
    if order["where"] == "expected":
        return f"waits for {who} to say whether it has it"
    return f"waits for room: {who} {_full(order['takes'])}"


def _full(takes: int) -> str:
    """Say of a performer without room how that is, by how many orders it takes at once."""
    if takes == 0:
        return "takes none now"
    return f"has the {'one' if takes == 1 else takes} that it takes at once"


class FollowedWaits:
    """Tells of a run that is followed for what its actions wait, and how far they are, once each.

    What takes less than a second is passed over.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._next = time.monotonic() + _BETWEEN
        self._said: dict[tuple[str, int | None], str] = {}

    def new_lines(self, run: FlowRunRecord) -> list[str]:
        """Give what is new since the last call."""
        performed = list(islice((r for r in run.steps.values() if is_performed(r)), _MOST_LINES))
        if not performed or time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + _BETWEEN
        from nowcast_cli.flows.advance import name_of
        from nowcast_cli.flows.tokens import Token

        orders, lines = orders_of(self._system, run), []
        for record in performed:
            token = str(Token(run.id, record.step, record.item, record.attempt))
            said, key = words(record, orders.get(token)), (record.step, record.item)
            if self._said.get(key) != said:
                self._said[key] = said
                lines.append(f"{name_of(record)}: {said}")
        return lines


def _progress(order: Mapping[str, Any]) -> str:
    from nowcast_cli.cli.times import local

    text, fraction = order.get("text"), order.get("fraction")
    if text is None and fraction is None:
        return f"at work since {local(str(order.get('since')))}"
    percent = None if fraction is None else f"{100 * fraction:.0f} %"
    if text is None:
        return str(percent)
    return text if percent is None else f"{text} ({percent})"
