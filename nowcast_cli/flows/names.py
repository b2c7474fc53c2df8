"""What flows, steps and parameters may be called: their names go into topics and placeholders."""

from __future__ import annotations

import re

from nowcast_cli.messages.event import SYSTEM_STREAMS

_FLOW = re.compile(r"[A-Za-z0-9_-]+")
_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def flow_name_trouble(name: str) -> str | None:
    """Say why a flow cannot be called so; None where it can."""
    if name in SYSTEM_STREAMS:
        return f"{name!r} cannot be the name of a flow: events of the system have topics with it"
    if _FLOW.fullmatch(name):
        return None
    return f"{name!r} cannot be the name of a flow: letters, digits, _ and - can stand there"


def step_name_trouble(name: str) -> str | None:
    """Say why a step or a parameter cannot be called so; None where it can."""
    if _STEP.fullmatch(name):
        return None
    return f"{name!r} cannot be its name: a letter or _, then letters, digits, _ and -"
