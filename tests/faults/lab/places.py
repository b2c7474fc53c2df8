"""Where a fault can strike: the processes of a system by the names that the catalogue has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.system import LabSystem
from nowcast_cli.executors.job_folder import Claim, read_claim
from nowcast_cli.process_identity import ProcessIdentity, identity_of, is_alive

_RECENT = 40  # job folders that are looked at


def process_at(system: LabSystem, place: str, choice: int) -> ProcessIdentity | None:
    """Give a process of that place that lives; None where there is none just now."""
    if place in ("manager", "message_broker", "standby", "scheduler", "log_aggregator"):
        return system.daemon(place)
    if place == "launcher":
        launcher = system._launcher()
        return None if launcher is None else identity_of(launcher)
    found = sorted(_candidates(system, place), key=lambda each: each.pid)
    return found[choice % len(found)] if found else None


def _candidates(system: LabSystem, place: str) -> Iterator[ProcessIdentity]:
    if place == "decider":
        manager = system.daemon("manager")
        for child in children_of(manager.pid) if manager else ():
            if b"nowcast_cli.manager.decider" in command_of(child):
                yield from _existing(child)
    elif place in ("runner", "worker"):
        for _, claim in open_claims(system):
            process = claim.runner if place == "runner" else claim.process
            if process is not None and is_alive(process):
                yield process
    else:
        yield from _before_a_claim(system, place)


def _before_a_claim(system: LabSystem, place: str) -> Iterator[ProcessIdentity]:
    """Give runners, or workers, that were forked and have no job, or have not claimed it yet."""
    launcher = system._launcher()
    busy = {claim.runner.pid for _, claim in open_claims(system) if claim.runner is not None}
    for runner in children_of(launcher) if launcher else ():
        if runner in busy:
            continue
        if place == "spare runner":
            yield from _existing(runner)
        else:
            for worker in children_of(runner):
                yield from _existing(worker)


def open_claims(system: LabSystem) -> Iterator[tuple[Path, Claim]]:
    """Give the folders of jobs that were claimed and have not ended, as their files tell."""
    days = sorted(system.paths.jobs.glob("*"), reverse=True)[:3]
    recent = [folder for day in days for folder in sorted(day.glob("*"), reverse=True)[:_RECENT]]
    for folder in recent:
        if (folder / "pid").exists() and not (folder / "exit").exists():
            claim = read_claim(folder)
            if claim is not None:
                yield folder, claim


def _existing(pid: int) -> Iterator[ProcessIdentity]:
    identity = identity_of(pid)
    if identity is not None:
        yield identity


def children_of(pid: int) -> list[int]:
    """Give the children of a process, as the kernel tells them."""
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_of(pid: int) -> bytes:
    """Give the command line of a process; empty when it has gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
