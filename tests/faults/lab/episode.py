"""One system, from its start through its faults to the verdict of the model."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lab.environment import Namespaces
from lab.faults import strike
from lab.journal import Found, rule_of, violations
from lab.plans import Plan
from lab.samples import Samples
from lab.system import LabSystem
from lab.traffic import Traffic
from nowcast_cli.errors import NowcastError

_BREATH = 10  # faults after which the system is given the time to be whole
_WHOLE_WITHIN = 45.0  # seconds; alone on a machine it takes less than five
_END_WITHIN = 90.0  # seconds after the last progress
_BETWEEN_RETRIES = 2.0


@dataclass
class Outcome:
    """What became of a system: faults that were tried, by kind and place, and what did not hold."""

    seed: str
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    messages: int = 0
    jobs: int = 0
    lost: int = 0
    samples: int = 0
    seconds: float = 0.0
    slowest_recovery: float = 0.0
    folder: str = ""


def run(plan: Plan, folder: Path, *, number: int, full: bool) -> Outcome:
    """Run a plan in a folder that is made for it, and removed again where everything held."""
    outcome = Outcome(plan.seed, folder=str(folder))
    began = time.monotonic()
    namespaces = None
    if plan.flavour == "cable":
        namespaces = Namespaces.of(number)
        namespaces.make()
        namespaces.enter()
    system = LabSystem(folder, plan, namespaces=namespaces, full=full)
    try:
        _go_through(system, outcome)
    except AssertionError as error:
        outcome.violations.append(str(error))
    finally:
        if outcome.violations:
            (folder / "violations").write_text("\n".join(outcome.violations) + "\n")
            (folder / "everything.txt").write_text(system.everything_written())
            if "disk" in plan.features:
                shutil.copytree(system.paths.state, folder / "state", dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns("*.sock"))  # fmt: skip
        system.end()
        if namespaces is not None:
            namespaces.remove()
    if not outcome.violations:
        shutil.rmtree(folder)
    outcome.seconds = time.monotonic() - began
    return outcome


def _go_through(system: LabSystem, outcome: Outcome) -> None:
    system.traffic = Traffic(system)
    system.begin()
    with Samples(system) as samples:
        system.traffic.start()
        try:
            _strike_again_and_again(system, outcome)
        finally:
            system.undo_all()
            system.traffic.stop()
        _wait_until_whole(system, outcome)
        system.retire("scheduler")  # or there would always be something going on
        _wait_for_the_end(system)
        found = Found.in_(system)
    outcome.samples = samples.count
    outcome.messages, outcome.jobs = len(found.messages), len(found.jobs)
    outcome.lost = sum(job.state == "lost" for job in found.jobs)
    outcome.violations += violations(system, samples)


def _strike_again_and_again(system: LabSystem, outcome: Outcome) -> None:
    for number, fault in enumerate(system.plan.faults, start=1):
        time.sleep(fault.gap / 1000)
        system.note("fault", kind=fault.kind, place=fault.place, strength=fault.strength)
        done = strike(system, fault)
        system.note("done" if done else "not possible", kind=fault.kind, place=fault.place)
        if done:
            outcome.tried[fault.kind, fault.place] += 1
        if number % _BREATH == 0:
            _wait_until_whole(system, outcome)


def _wait_until_whole(system: LabSystem, outcome: Outcome) -> None:
    system.undo_all()
    began = time.monotonic()
    while not system.is_whole():
        waited = time.monotonic() - began
        assert waited < _WHOLE_WITHIN, f"the system was not whole after {waited:.0f} s"
        time.sleep(0.02)
    outcome.slowest_recovery = max(outcome.slowest_recovery, time.monotonic() - began)
    system.note("whole", after=round(time.monotonic() - began, 3))


def _wait_for_the_end(system: LabSystem) -> None:
    """Wait until nothing is open any more; what got stuck by a kill is taken again."""
    last, last_progress = "", time.monotonic()
    next_retry = last_progress
    while True:
        found = Found.in_(system)
        stuck = [
            message for message in found.messages if message.state == "stuck"
            and rule_of(system, message).manner != "raise"
        ]  # fmt: skip
        open_jobs = [job for job in found.jobs if job.unfinished or job.exit is None]
        undecided = [message for message in found.messages if message.state == "received"]
        if not (stuck or open_jobs or undecided) and _is_written(system):
            return
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
