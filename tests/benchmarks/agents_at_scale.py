"""Placement on more hosts than any machine here could stand in for, with a clock that is made up.

``.venv/bin/python tests/benchmarks/agents_at_scale.py [AGENTS [JOBS [HOURS]]]``. The registry of
agents, the queues and the rounds of placing are the manager's own, and so is the reading of each
tenth report; sockets, commits and folders are left out (``agents.py`` measures those). Jobs of
four kinds arrive over the whole time, take minutes to half an hour, and some fail and are tried
again.
"""

from __future__ import annotations

import heapq
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent))

from nowcast_cli.config.requirements import Requirements
from nowcast_cli.manager.agent_floor import MOST_A_TICK
from nowcast_cli.manager.agent_placement import Wanted, place
from nowcast_cli.manager.agent_registry import AgentRegistry
from nowcast_cli.messages.agent_messages import Limits, Report, from_text, over_broker
from nowcast_cli.messages.message import Message
from simulated_agents import SimulatedHost

REPORT = 5.0  # s
TICK = 0.5
GB = 1_000_000_000
# What jobs ask for, how long they take (s) at the most, and how many of a hundred are so.
KINDS = (
    (Wanted(cpus=1, memory=2 * GB), 300.0, 60),
    (Wanted(cpus=4, memory=16 * GB), 900.0, 25),
    (Wanted(priority=5, cpus=16, memory=64 * GB), 1800.0, 10),
    (Wanted(cpus=8, memory=32 * GB, requirements=Requirements(frozenset({"gpu"}))), 900.0, 5),
)
FAILS = 0.02
READ = 10  # each report of so many is read from its text, and counted so many times


@dataclass(order=True, frozen=True)
class End:
    """When a job ends, and where it is."""

    at: float
    job: str
    agent: str


class Cluster:
    """Hosts and jobs on a clock of their own."""

    def __init__(self, agents: int, jobs: int, hours: float) -> None:
        self._random = random.Random(7)
        self.seconds = 3600.0 * hours
        self.registry = AgentRegistry(60.0, (), 0.0)
        self.hosts = [_host(number) for number in range(agents)]
        for host in self.hosts:
            self.registry.registered(host.register(), 0.0, 0.0, "")
        self.queues: dict[Wanted, dict[str, None]] = {}
        self.taken: dict[str, dict[str, Wanted]] = {}
        self.arrivals = sorted(self._random.uniform(0, 0.9 * self.seconds) for _ in range(jobs))
        self.ends: list[End] = []
        self.wanted: dict[str, Wanted] = {}
        self.lengths: dict[str, float] = {}
        self.came: dict[str, float] = {}
        self.waits: list[float] = []
        self.rounds: list[float] = []
        self.cpu = {"reports": 0.0, "placing": 0.0}
        self.done = self.failed = 0
        self._told = 0

    def run(self) -> None:
        reports = self._reports()
        now, arrived, dirty, due = 0.0, 0, True, next(reports)
        while now < self.seconds:
            now += TICK
            while arrived < len(self.arrivals) and self.arrivals[arrived] <= now:
                self._come(f"{arrived:08}", now)
                arrived, dirty = arrived + 1, True
            while self.ends and self.ends[0].at <= now:
                self._end(heapq.heappop(self.ends), now)
                dirty = True
            while due[0] <= now:
                dirty |= self._report(due[1], now)
                due = next(reports)
            if dirty and self.queues:
                dirty = self._place(now)

    def _reports(self) -> Iterator[tuple[float, SimulatedHost]]:
        beat = 0
        while True:
            for number, host in enumerate(self.hosts):
                yield REPORT * (beat + number / len(self.hosts)), host
            beat += 1

    def _come(self, job: str, now: float) -> None:
        wanted, longest, _ = self._random.choices(KINDS, [kind[2] for kind in KINDS])[0]
        self.came[job], self.lengths[job] = now, self._random.uniform(0.1, 1.0) * longest
        self._queue(job, wanted)

    def _queue(self, job: str, wanted: Wanted) -> None:
        self.wanted[job] = wanted
        self.queues.setdefault(wanted, {})[job] = None

    def _end(self, end: End, now: float) -> None:
        wanted = self.taken[end.agent].pop(end.job)
        if self._random.random() < FAILS:
            self.failed += 1
            self.came[end.job] = now
            self._queue(end.job, replace(wanted, avoid=wanted.avoid | {end.agent}))
        else:
            self.done += 1

    def _report(self, host: SimulatedHost, now: float) -> bool:
        there = self.taken.get(host.name, {})
        host.load = float(sum(wanted.cpus for wanted in there.values()))
        host.memory_free = host.memory - sum(wanted.memory for wanted in there.values())
        report = replace(host.report(), running=tuple(there))
        self._told += 1
        if self._told % READ:
            self.registry.reported(report, now, now)
            return bool(self.queues)
        body = over_broker(report).encode()
        began = time.process_time()
        said = from_text(Message.deserialize(body).payload)
        assert isinstance(said, Report)
        self.registry.reported(said, now, now)
        self.cpu["reports"] += READ * (time.process_time() - began)
        return bool(self.queues)

    def _place(self, now: float) -> bool:
        began = time.process_time()
        placed, _ = place(self.queues, self.registry.rooms(self.taken), MOST_A_TICK)
        took = time.process_time() - began
        self.rounds.append(took)
        self.cpu["placing"] += took
        for job, agent in placed:
            wanted = self.wanted[job]
            del self.queues[wanted][job]
            if not self.queues[wanted]:
                del self.queues[wanted]
            self.taken.setdefault(agent, {})[job] = wanted
            self.registry.agents[agent].since_report.add(job)
            heapq.heappush(self.ends, End(now + self.lengths[job], job, agent))
            self.waits.append(now - self.came[job])
        return len(placed) == MOST_A_TICK


def _host(number: int) -> SimulatedHost:
    host = SimulatedHost(f"agent{number:05}", cpus=64, memory=256 * GB)
    host.tags = ("linux", "gpu") if number % 10 == 0 else ("linux",)
    host.limits = Limits(slots=48)
    return host


def main(agents: int = 2000, jobs: int = 100_000, hours: float = 1.0) -> None:
    """Simulate and print."""
    cluster = Cluster(agents, jobs, hours)
    began = time.monotonic()
    cluster.run()
    took = time.monotonic() - began
    waits = quantiles(cluster.waits, n=100)
    rounds = quantiles(cluster.rounds, n=100)
    print(f"{agents:,} agents, {jobs:,} jobs, {hours:g} hours, simulated in {took:.0f} s")
    print(f"jobs placed {len(cluster.waits):,} times, done {cluster.done:,}, "
          f"failed {cluster.failed:,} times")  # fmt: skip
    print(f"wait for an agent: median {waits[49]:.2f} s, p99 {waits[98]:.1f} s, "
          f"longest {max(cluster.waits):.0f} s")  # fmt: skip
    print(f"a round of placing: mean {1e3 * mean(cluster.rounds):.1f} ms, "
          f"p99 {1e3 * rounds[98]:.1f} ms of CPU")  # fmt: skip
    for what, seconds in cluster.cpu.items():
        print(f"CPU of {what}: {100 * seconds / cluster.seconds:.1f} % of one")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]), *(float(word) for word in sys.argv[3:4]))
