"""What the manager is asked for an item: to launch a worker, or to begin a run of a flow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nowcast_cli.config.schedule import Item
from nowcast_cli.flows.placeholders import filled_in
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message


def by_hand(item: Item, now: datetime) -> Message:
    """Give the request to launch it now; nothing of its schedule changes."""
    return Message("nowcast", *_wanted(item, now), id=new_id())


def by_the_clock(item: Item, nominal: datetime) -> Message:
    """Give the request to launch it for a nominal time, of which there is only one."""
    about = {"item": item.name, "timing": str(item.timing), "nominal": nominal.isoformat()}
    if item.within is not None:
        until = nominal + timedelta(seconds=item.delay(nominal) + item.within)
        about["until"] = until.isoformat()
    kind, payload = _wanted(item, nominal)
    return Message("nowcast", kind, {**payload, "schedule": about}, id=item.request_id(nominal))


def _wanted(item: Item, at: datetime) -> tuple[str, dict[str, Any]]:
    if item.flow is None:
        arguments = list(item.arguments)
        return "launch", {"module": item.module, "arguments": arguments, "host": "localhost"}
    return "run flow", {
        "flow": item.flow,
        "parameters": filled_in(dict(item.parameters), lambda name: _times(item, at)[name]),
        "origin": f"schedule {item.name}",
    }


def _times(item: Item, at: datetime) -> Mapping[str, str]:
    local = at.astimezone(item.zone)
    return {"schedule.time": local.isoformat(), "schedule.date": local.date().isoformat()}
