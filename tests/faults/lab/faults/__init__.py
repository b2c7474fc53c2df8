"""What is done to a system, by kind of fault: ``strike`` finds the function for it.

Each takes the system and what was planned, undoes what it did before it returns, and says whether
it could be done: a worker can only be killed while one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab import catalogue as kinds
from lab.faults import disk, machine, network, points, signals, torn
from lab.plans import PlannedFault
from lab.system import LabSystem

_STRIKES: Mapping[str, Callable[[LabSystem, PlannedFault], bool]] = {
    kinds.KILL: signals.kill,
    kinds.TERM: signals.terminate,
    kinds.STOP: signals.stop_and_continue,
    kinds.CRASH: points.kill_at,
    kinds.FREEZE: points.freeze_at,
    kinds.FROZEN: points.freeze_the_leader,
    kinds.DISK: disk.fill,
    kinds.READ_ONLY: disk.make_read_only,
    kinds.DESCRIPTORS: machine.take_descriptors,
    kinds.CLOCK: machine.jump,
    kinds.PORT: network.take_port,
    kinds.GARBAGE: network.talk_nonsense,
    kinds.SLOW_READER: network.read_slowly,
    kinds.REPEATS: network.repeat_a_request,
    kinds.FLOOD: network.flood,
    kinds.LARGE: network.send_large,
    kinds.CABLE: network.pull_the_cable,
    kinds.TORN: torn.tear,
    kinds.FOREIGN: torn.put_foreign_bytes,
}


def strike(system: LabSystem, fault: PlannedFault) -> bool:
    """Do what was planned; False where there was nothing to do it to."""
    return _STRIKES[fault.kind](system, fault)
