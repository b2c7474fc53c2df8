"""What the runs of flows need of the world."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from nowcast_cli.flows.definition import Flow
from nowcast_cli.manager.boot_clock import Uptime


@dataclass(frozen=True, slots=True)
class Outside:
    """Times, ids, the module of a worker, and flows by name.

    ``today`` is a date of the system's time zone. ``module_of`` and ``flow_named`` raise
    NowcastError.
    """

    now: Callable[[], str]
    today: Callable[[], date]
    uptime: Callable[[], Uptime]
    new_id: Callable[[], str]
    module_of: Callable[[str], str]
    flow_named: Callable[[str], Flow]
    flows: Callable[[], Collection[Flow]]
