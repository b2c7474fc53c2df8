"""Processes end, or stop, exactly at a named point of the code."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping

from lab.catalogue import AT_THE_START
from lab.faults.signals import continue_later, send
from lab.places import process_at
from lab.plans import PlannedFault
from lab.system import LabSystem
from nowcast_cli.messages import outbox
from nowcast_cli.messages.message import Message
from nowcast_cli.process_identity import ProcessIdentity, boot_id, is_alive

_PATIENCE = 1.5  # seconds in which somebody should come to the point
_LEASE_AND_MORE = 15.0
_FOR_A_START = 8.0  # a daemon has to start for it


def kill_at(system: LabSystem, fault: PlannedFault) -> bool:
    """Have the first process that comes to the point killed there."""
    return _arm(system, fault, signal.SIGKILL) is not None


def freeze_at(system: LabSystem, fault: PlannedFault) -> bool:
    """Have the first process that comes to the point stopped there, for a while."""
    frozen = _arm(system, fault, signal.SIGSTOP)
    if frozen is None:
        return False
    seconds = 0.02 + (fault.strength / 100) ** 2
    continue_later(system, frozen, seconds)
    time.sleep(seconds * 0.3)
    return True


def freeze_the_leader(system: LabSystem, fault: PlannedFault) -> bool:
    """Stop the manager until its standby, which finds that its lease has run out, kills it."""
    if "." in fault.place:
        frozen = _arm(system, fault, signal.SIGSTOP)
    else:
        frozen = send(system, fault, signal.SIGSTOP)
    if frozen is None:
        return False
    give_up = time.monotonic() + _LEASE_AND_MORE
    while is_alive(frozen) and time.monotonic() < give_up:
        time.sleep(0.05)
        system.signal(frozen, signal.SIGSTOP)  # an earlier fault may have it continued just now
    if is_alive(frozen):
        system.signal(frozen, signal.SIGCONT)
        raise AssertionError(f"the standby has let a frozen manager be for {_LEASE_AND_MORE:g} s")
    return True


def _arm(system: LabSystem, fault: PlannedFault, number: int) -> ProcessIdentity | None:
    """Arm a point, see to it that somebody comes there, and give who was struck."""
    file = system.points / fault.place
    before = len(system.reached())
    new = system.points / ".new"
    new.write_text(str(number))
    new.replace(file)
    patience = _provoke(system, fault)
    give_up = time.monotonic() + patience
    while file.exists() and time.monotonic() < give_up:
        time.sleep(0.005)
    try:
        file.unlink()
    except FileNotFoundError:
        return _struck(system, fault.place, before)
    return None


def _struck(system: LabSystem, point: str, before: int) -> ProcessIdentity:
    give_up = time.monotonic() + 10.0  # its line comes a moment after the file has gone
    while time.monotonic() < give_up:
        for line in system.reached()[before:]:
            if line.split()[0] == point:
                system.take_in_reached_points()
                return ProcessIdentity(int(line.split()[1]), int(line.split()[2]), boot_id())
        time.sleep(0.005)
    raise AssertionError(f"who came to {point} has left no line")


def _provoke(system: LabSystem, fault: PlannedFault) -> float:
    """Make it likely that the point is reached; give the seconds to wait for that."""
    room, _, step = fault.place.partition(".")
    if step in AT_THE_START:
        _kill(system, "decider" if room == "decider" else room)
        return _FOR_A_START
    provoke = _PROVOKED.get(fault.place) or _PROVOKED.get(room)
    return _PATIENCE if provoke is None else provoke(system)


def _kill(system: LabSystem, place: str) -> None:
    system.signal(process_at(system, place, 0), signal.SIGKILL)


def _leave_workers_alone(system: LabSystem) -> float:
    """Stop the manager for longer than a worker waits before it asks again, or gives up."""
    patience = min(system.plan.deadline, 3)
    manager = process_at(system, "manager", 0)
    if manager is not None and system.signal(manager, signal.SIGSTOP):
        continue_later(system, manager, patience + 0.7)
    return patience + 1.0


def _fill_the_outbox(system: LabSystem) -> float:
    """Leave a message that could not be told, and have the manager look for it at its start."""
    message = Message("hand", "success", {"from": "outbox"}, id=system.new_hand_id())
    outbox.put(system.paths.outbox, message)
    _kill(system, "manager")
    return _FOR_A_START


def _cancel_before_it_begins(system: LabSystem) -> float:
    """Cancel a job that the launcher, which is stopped, has not begun."""
    launcher = process_at(system, "launcher", 0)
    if launcher is None or not system.signal(launcher, signal.SIGSTOP):
        return 0.0
    continue_later(system, launcher, 1.0)
    system.traffic.launch_and_cancel()
    return _PATIENCE


def _follow_more(system: LabSystem) -> float:
    return 4.0  # the scheduler asks every two seconds, and offsets are saved as lines come


_PROVOKED: Mapping[str, Callable[[LabSystem], float]] = {
    "client.waited_in_vain": _leave_workers_alone,
    "outbox": _leave_workers_alone,
    "manager.emptied_an_outbox": _fill_the_outbox,
    "prevent": _cancel_before_it_begins,
    "scheduler": _follow_more,
    "aggregator": _follow_more,
}
