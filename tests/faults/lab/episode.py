"""One system, from its start through its faults to the verdict of the model."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lab.ending import wait_for_the_end, wait_until_whole
from lab.environment import Namespaces
from lab.faults import strike
from lab.journal import Found, violations
from lab.plans import Plan
from lab.samples import Samples
from lab.system import LabSystem
from lab.traffic import Traffic

_BREATH = 10  # faults after which the system is given the time to be whole


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


def run(plan: Plan, folder: Path, possible: Namespaces, *, full: bool) -> Outcome:
    """Run a plan in a folder that is made for it, and removed again where everything held.

    ``possible`` are the networks that are made where the plan has a cable to be pulled.
    """
    outcome = Outcome(plan.seed, folder=str(folder))
    began = time.monotonic()
    namespaces = possible if plan.flavour == "cable" else None
    if namespaces is not None:
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
        _breathe(system, outcome)
        system.retire("scheduler")  # or there would always be something going on
        wait_for_the_end(system)
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
            _breathe(system, outcome)


def _breathe(system: LabSystem, outcome: Outcome) -> None:
    outcome.slowest_recovery = max(outcome.slowest_recovery, wait_until_whole(system))
