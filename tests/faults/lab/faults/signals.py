"""Processes are killed, told to end, or stopped for a while."""

from __future__ import annotations

import signal
import threading
import time

from lab.places import process_at
from lab.plans import PlannedFault
from lab.system import LabSystem
from nowcast_cli.process_identity import ProcessIdentity

_PATIENCE = 1.0  # seconds in which a process of that kind is waited for


def kill(system: LabSystem, fault: PlannedFault) -> bool:
    """Send SIGKILL."""
    return send(system, fault, signal.SIGKILL) is not None


def terminate(system: LabSystem, fault: PlannedFault) -> bool:
    """Send SIGTERM: a daemon ends in good order, a worker says that it crashed."""
    return send(system, fault, signal.SIGTERM) is not None


def stop_and_continue(system: LabSystem, fault: PlannedFault) -> bool:
    """Stop a process, and let others be struck while it stands still."""
    stopped = send(system, fault, signal.SIGSTOP)
    if stopped is None:
        return False
    seconds = 0.02 + (fault.strength / 100) ** 2 * 1.2
    continue_later(system, stopped, seconds)
    time.sleep(seconds * 0.3)
    return True


def continue_later(system: LabSystem, process: ProcessIdentity, seconds: float) -> None:
    """Continue a stopped process after that time."""
    timer = threading.Timer(seconds, system.signal, (process, signal.SIGCONT))
    timer.daemon = True
    system.undoing.append(timer)
    timer.start()


def send(system: LabSystem, fault: PlannedFault, number: int) -> ProcessIdentity | None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        process = process_at(system, fault.place, fault.choice)
        if process is not None and system.signal(process, number):
            system.note("signal", number=number, place=fault.place, pid=process.pid)
            return process
        time.sleep(0.01)
    return None
