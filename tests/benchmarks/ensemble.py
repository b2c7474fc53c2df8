"""What an ensemble of 10,000 members costs the manager: its launch, each end, the combined ending.

The manager's own turns over a real store on a real disk, without processes: ``python
tests/benchmarks/ensemble.py [MEMBERS]``.
"""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from deployment import SCRATCH

from nowcast_cli.config.registry import registry_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.admission import Admission
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.happenings import Claimed, Ended
from nowcast_cli.manager.intake import Intake
from nowcast_cli.manager.state import State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.message import Message
from nowcast_cli.store.database import Store
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobPut

AT_MOST = 50
REGISTRY = registry_of(
    {
        "message registry": {
            "workers": {"run": {"checklist key": "RUN", "success": "", "failure": "", "crash": ""}}
        }
    }
)


class Turns:
    """A manager without its edges, whose turns are timed."""

    def __init__(self, database: Path) -> None:
        self.store = Store(database)
        self.state = State()
        uptime = lambda: Uptime("boot", 1000.0)  # noqa: E731
        self.intake = Intake(self.store, REGISTRY, {}, logging.getLogger("none"), uptime)
        self.admission = Admission(REGISTRY, uptime)
        self.launched: list[str] = []
        self.took = 0.0  # s by the clock, of the last turn

    def turn(self, take_in: Callable[[Turn], None]) -> float:
        """Do one turn up to its commit; gives the seconds of CPU that it took."""
        began, at = time.process_time(), time.perf_counter()
        turn = Turn(self.state)
        take_in(turn)
        self.intake.conclude(turn)
        turn.add(self.admission.admit(turn.state, turn.changes))
        turn.put_jobs_once()
        self.store.commit(turn.changes)
        self.state = turn.state
        took = time.process_time() - began
        self.took = time.perf_counter() - at
        for change in turn.changes:
            if isinstance(change, JobPut) and change.job.state == "submitting":
                self.launched.append(change.job.id)
        return took

    def send(self, turn: Turn, message: Message) -> None:
        assert message.id is not None
        self.intake.message(turn, message, message.id, message.encode().decode())


def main(members: int = 10_000) -> None:
    """Measure, and print."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        database = Path(folder, "nowcast.db")
        turns = Turns(database)
        before = _memory()
        launch = {
            "module": "workers.run",
            "arguments": ["--member", "{member}"],
            "members": f"1..{members}",
            "at most": AT_MOST,
        }
        request = Message("nowcast", "launch", launch, id=new_id())
        began = turns.turn(lambda turn: turns.send(turn, request))
        print(f"an ensemble of {members} members, at most {AT_MOST} at once")
        print(f"launch, to the commit of all jobs: {began:.2f} s of CPU, {turns.took:.2f} s")
        print(f"memory of the manager for it: {(_memory() - before) / 1e6:.1f} MB")
        claims, ends, exits = [], [], []
        last = 0.0
        for number in range(members):
            job_id = turns.launched[number]
            claim = Claimed(job_id, 7, "2026-11-22T00:00:00.000Z")
            claims.append(turns.turn(lambda turn, seen=claim: turns.intake.happening(turn, seen)))
            payload = {"file": f"/results/{number}.nc", "rms": 0.25}
            told = Message("run", "success", payload, id=new_id(), job=job_id, outcome="success")
            last = turns.turn(lambda turn, said=told: turns.send(turn, said))
            ends.append(last)
            ended = Ended(job_id, {"code": 0}, "")
            exits.append(turns.turn(lambda turn, seen=ended: turns.intake.happening(turn, seen)))
        for what, seconds in (("claim", claims), ("message", ends[:-1]), ("exit", exits)):
            ordered = sorted(seconds)
            print(
                f"turn of the {what} of a member: p50 {1000 * median(ordered):.2f} ms of CPU, "
                f"p95 {1000 * ordered[len(ordered) * 95 // 100]:.2f} ms"
            )
        print(f"turn of the last message, with the combined one: {last:.2f} s of CPU")
        with Reader(database) as reader:
            began_at = time.perf_counter()
            (ensemble,) = reader.ensembles()
            reader.unfinished_members(ensemble)
            reader.jobs(alone=True, limit=20)
            print(f"a list with it as one line: {1000 * (time.perf_counter() - began_at):.1f} ms")
        assert ensemble.succeeded == members
        turns.store.close()


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
