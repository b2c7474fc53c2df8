"""What a step of a flow costs the manager alone: its turns over a store on the disk, no sockets.

A performer is played: it is given orders, and says of each that it is done, a hundred in a turn.
CPU time, as the machine may have other work; and so that a step of a ``for each`` of ten thousand
costs what one of a thousand does. With ``--profile``, where it goes.

``.venv/bin/python tests/benchmarks/manager_steps.py [--profile]``.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from deployment import SCRATCH

from nowcast_cli.config.registry import registry_of
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.action_mapping import ActionMapping, Component
from nowcast_cli.flows.definition import Action, Flow, Step
from nowcast_cli.flows.owners import Owners
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.action_desk import ActionDesk
from nowcast_cli.manager.action_directory import Directory
from nowcast_cli.manager.boot_clock import uptime
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.events import Events
from nowcast_cli.manager.flow_outside import Outside
from nowcast_cli.manager.flow_runs import FlowRuns
from nowcast_cli.manager.inbox import Aside
from nowcast_cli.manager.state import State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.performing import frames_of
from nowcast_cli.messages.performing_words import Done, Hello, Result
from nowcast_cli.store.database import Store

STEPS = 10  # of a chain
AT_ONCE = 300  # chains
A_TURN = 100  # results
KEY = ActionKey.parse("?Bench?step")
NOTE = "x" * 190
CHAIN = Flow(
    "chain",
    tuple(Step(f"s{n}", Action(KEY), (f"s{n - 1}",) if n else ()) for n in range(STEPS)),
)


class Turns:
    """The manager's parts for steps of flows, and a performer that does all at once."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder / "nowcast.db")
        directory = Directory(time.monotonic)
        directory.use(ActionMapping({KEY: Component("parts.step")}), Owners(), ())
        self._desk = ActionDesk(directory, now, time.monotonic)
        outside = Outside(
            now=now,
            today=date.today,
            uptime=uptime,
            new_id=new_id,
            module_of=str,
            flow_named=lambda _: CHAIN,
            flows=lambda: [CHAIN],
        )
        self._runs = FlowRuns(self._store, registry_of({}), outside, self._desk)
        maker = EventMaker(self._store.flow_run, [])
        self._events = Events(self._store.events, maker, lambda *_: None)
        self._state = State()
        self._given: list[str] = []
        self._say(Hello("action_workers", "ab", 1, 100_000, "mapping"))

    def _say(self, word: Hello | Done) -> None:
        self._desk.hear(Aside("performer", b"host", tuple(frames_of(word))))

    def _told(self, identity: bytes, *frames: bytes) -> None:
        if frames[0] == b"orders":
            self._given += [json.loads(text)["id"] for text in frames[1:]]

    def run(self, flow: Flow, runs: int) -> float:
        """Take runs to their ends; gives µs of CPU a step, those of the performer included."""
        began, steps, begun = time.process_time(), 0, 0
        while begun < runs or self._runs.open:
            turn = Turn(self._state)
            while begun < runs and len(self._runs.open) < AT_ONCE:
                step, _ = self._runs.begin(turn.state, flow, {}, "a benchmark")
                turn.add(step)
                begun += 1
            done, self._given = self._given[:A_TURN], self._given[A_TURN:]
            results = (Result(each, "done", {"note": NOTE, "n": steps}) for each in done)
            self._say(Done(tuple(results)))
            steps += len(done)
            self._runs.follow(turn)
            self._events.seal(turn)
            self._store.commit(turn.changes)
            self._state = turn.state
            self._desk.act(self._told)
        return 1e6 * (time.process_time() - began) / steps


def fan(items: int) -> Flow:
    """Give a flow of one step for each of many."""
    return Flow("fan", (Step("one", Action(KEY, {"n": "{item}"}), for_each=items),))


def main(profile: bool) -> None:
    """Measure and print everything."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    profiler = cProfile.Profile()
    try:
        turns = Turns(folder)
        turns.run(CHAIN, 100)
        if profile:
            profiler.enable()
        chain = min(turns.run(CHAIN, 1000) for _ in range(3))
        profiler.disable()
        fans = [min(turns.run(fan(items), 1) for _ in range(3)) for items in (1000, 10_000)]
    finally:
        shutil.rmtree(folder)
    print(f"CPU of the manager's part alone: {chain:.0f} µs a step of a chain, {AT_ONCE} at once")
    print(f"for each of 1,000: {fans[0]:.0f} µs a step; of 10,000: {fans[1]:.0f} µs")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main("--profile" in sys.argv)
