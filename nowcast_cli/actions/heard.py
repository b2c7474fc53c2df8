"""What a turn of the action host has brought, and the words for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nowcast_cli.actions.worker_process import Held, WorkerProcess


@dataclass(slots=True)
class Heard:
    """What one turn has brought.

    ``results`` are texts of ``performing.Result`` by the ids of their orders; ``words`` are
    frames for the manager: progress, renewed, asks.
    """

    results: dict[str, bytes] = field(default_factory=dict)
    words: list[list[bytes]] = field(default_factory=list)


def running_in(worker: WorkerProcess, now: float) -> dict[str, Any]:
    """Give what a worker has under way, at ``now`` of ``time.monotonic``, for its health."""
    head = worker.pending[0].order
    return {
        "key": head.key,
        "flow": head.flow,
        "run": head.run,
        "step": head.step,
        "seconds": round(now - worker.head_since, 1),
        "worker": worker.number,
        "pid": worker.pid,
    }


def words_of(held: Held) -> str:
    """Name an order as people know it: by its key, its flow and its run."""
    order = held.order
    return f"{order.key} ({order.flow}, run {order.run[-8:]})" if order.run else order.key


def trouble_in(unusable: Mapping[str, str]) -> str | None:
    """Give the sentence for `nowcast status`."""
    if not unusable:
        return None
    number = f" (and {len(unusable) - 1} more)" if len(unusable) > 1 else ""
    return f"a component of an action cannot be used{number}: {next(iter(unusable.values()))}"


def mapping_of(content: bytes) -> dict[str, Any]:
    """Read what an action worker says, whose code is ours: a mapping; an empty one otherwise."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
