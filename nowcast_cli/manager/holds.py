"""Requests to launch nothing, of a worker or of the whole system, and to go on. Pure.

While a hold is on, messages are taken and decided; what is to be launched waits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Reply, State, Step, warning
from nowcast_cli.store.records import HoldDropped, HoldPut, HoldRecord


def hold(state: State, payload: Any, now: str, known: Collection[str]) -> Step:
    """Begin to hold: ``{worker}``, null for the whole system; to hold again changes nothing.

    A worker has to be among the ``known`` ones, or jobs of it wait: else it is a slip of the pen.
    """
    worker = _worker(payload)
    if worker is not None and worker not in known and not _has_jobs(state, worker):
        raise RequestError(
            f"the worker {worker} is not in the message registry" + did_you_mean(worker, known),
            "nowcast config show lists its workers",
        )
    before = state.holds.get(worker)
    record = before or HoldRecord(worker, now)
    reply = Reply("ack", {"worker": worker, "since": record.since})
    if before is not None:
        return Step(state, reply=reply)
    note = warning(f"{_name(worker)} is held: nothing is launched until it is released")
    held = replace(state, holds={**state.holds, worker: record})
    return Step(held, (HoldPut(record),), (note,), reply)


def release(state: State, payload: Any) -> Step:
    """Launch again what was held: ``{worker}``, null for the whole system."""
    worker = _worker(payload)
    if worker not in state.holds:
        held = ", ".join(_name(each) for each in state.holds) or "nothing"
        raise RequestError(f"{_name(worker)} is not held; held: {held}", "nowcast status")
    rest = {each: record for each, record in state.holds.items() if each != worker}
    note = warning(f"{_name(worker)} is released")
    return Step(
        replace(state, holds=rest),
        (HoldDropped(worker),),
        (note,),
        Reply(
            "ack",
            {
                "worker": worker,
                "system held": None in rest,
                "held": sorted(each for each in rest if each),
            },
        ),
    )


def _worker(payload: Any) -> str | None:
    worker = payload.get("worker") if isinstance(payload, dict) else ""
    if worker is not None and (not isinstance(worker, str) or not worker):
        raise RequestError("the request names no worker", "nowcast hold --help")
    return worker


def _name(worker: str | None) -> str:
    return worker or "the whole system"


def _has_jobs(state: State, worker: str) -> bool:
    return any(job.worker == worker and job.unfinished for job in state.jobs.values())
