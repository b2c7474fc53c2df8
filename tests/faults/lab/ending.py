"""Waiting until a system is whole again, and until nothing is open in it any more."""

from __future__ import annotations

import time

from lab.journal import Found, rule_of
from lab.system import LabSystem
from nowcast_cli.errors import NowcastError

_WHOLE_WITHIN = 60.0  # seconds; alone on a machine it takes less than five
_END_WITHIN = 90.0  # seconds after the last progress
_BETWEEN_RETRIES = 2.0
_QUIET_FOR = 0.5


def wait_until_whole(system: LabSystem) -> float:
    """Wait until every daemon is ready, and give the seconds. Raises AssertionError."""
    system.undo_all()
    began = time.monotonic()
    while not system.is_whole():
        waited = time.monotonic() - began
        assert waited < _WHOLE_WITHIN, f"the system was not whole after {waited:.0f} s"
        time.sleep(0.02)
    waited = time.monotonic() - began
    system.note("whole", after=round(waited, 3))
    return waited


def wait_for_the_end(system: LabSystem) -> None:
    """Wait until nothing is open any more; what got stuck by a kill is taken again.

    Raises AssertionError when nothing has moved for long, and something is still open.
    """
    last, last_progress = "", time.monotonic()
    next_retry = last_progress
    quiet_at = -1
    while True:
        found = Found.in_(system)
        with system.reader() as reader:
            held = [each.worker for each in reader.holds()]
        stuck = [
            message
            for message in found.messages
            if message.state == "stuck" and rule_of(system, message).manner != "raise"
        ]
        open_jobs = [job for job in found.jobs if job.unfinished or job.exit is None]
        undecided = [message for message in found.messages if message.state == "received"]
        if not (stuck or open_jobs or undecided) and _is_written(system):
            if quiet_at == len(found.messages):
                return
            quiet_at = len(found.messages)  # what was on its way to the manager may come yet
            time.sleep(_QUIET_FOR)
            continue
        for worker in held:
            system.request("release", {"worker": worker})
        now = f"{len(stuck)} {len(undecided)} {[(job.id, job.state, job.pid) for job in open_jobs]}"
        if now != last:
            last, last_progress = now, time.monotonic()
        waited = time.monotonic() - last_progress
        assert waited < _END_WITHIN, (
            f"no end after {waited:.0f} s: {len(stuck)} stuck messages, {len(undecided)} not "
            f"decided, open jobs {[(job.id, job.worker, job.state) for job in open_jobs][:10]}"
        )
        if stuck and time.monotonic() > next_retry:
            next_retry = time.monotonic() + _BETWEEN_RETRIES
            system.request("retry", {"message": "all"})
        time.sleep(0.1)


def _is_written(system: LabSystem) -> bool:
    try:
        return system.checklist_file_is_current()
    except (NowcastError, OSError):
        return False
