"""What agents cost the manager: their reports, and 10,000 queued jobs placed on 200 of them.

``.venv/bin/python tests/benchmarks/agents.py [AGENTS [JOBS [SECONDS]]]``. Broker and manager are
the real ones, with CURVE; the agents are simulated in this process: each reports every 5 s, has a
pull waiting, and says of each job that it has begun and ended. No job is run.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
import zmq

sys.path.insert(0, str(Path(__file__).parent.parent))

from deployment import Deployment, cpu_seconds, deployment, running_system

from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.job_transitions import new_job
from nowcast_cli.messages.agent_messages import OfAgent, acknowledge_in, over_broker
from nowcast_cli.messages.message import Message
from nowcast_cli.security.curve import present
from nowcast_cli.security.key import Key, read_key
from nowcast_cli.security.key_ring import KeyRing
from nowcast_cli.store.database import Store
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobPut, JobRecord
from simulated_agents import SimulatedHost, exit_text

REPORT = 5.0  # s
PULL_WAIT = 30.0
CPUS = 64  # of each host: room for all of its jobs


@dataclass
class Lane:
    """A connection on which one thing is asked at a time."""

    socket: zmq.Socket[bytes]
    host: SimulatedHost
    waiting: deque[OfAgent] = field(default_factory=deque)
    is_busy: bool = False

    def say(self, message: OfAgent) -> None:
        self.waiting.append(message)
        self.next()

    def next(self) -> None:
        if self.waiting and not self.is_busy:
            self.is_busy = True
            message = over_broker(self.waiting.popleft())
            message.id = new_id()
            self.socket.send_multipart([b"", message.encode()])


class Crowd:
    """Simulated agents at one broker."""

    def __init__(self, made: Deployment, count: int, key: Key | None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._lanes: dict[zmq.Socket[bytes], Lane] = {}
        self._made = made
        self._key = key
        self.hosts = [SimulatedHost(f"agent{number:04}", cpus=CPUS) for number in range(count)]
        self._talks = [self._lane(host) for host in self.hosts]
        self._pulls = [self._lane(host) for host in self.hosts]
        self._answers = {host.name: self._lane(host) for host in self.hosts}
        began = time.monotonic()
        self._reports = deque(
            (began + 1.0 + REPORT * number / count, number) for number in range(count)
        )
        self.tells = False
        self.largest_order = 0
        self.known = 0

    def _lane(self, host: SimulatedHost) -> Lane:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        if self._key is not None:
            present(socket, self._key)
        socket.connect(f"tcp://localhost:{self._made.workers_port}")
        self._poller.register(socket, zmq.POLLIN)
        self._lanes[socket] = Lane(socket, host)
        return self._lanes[socket]

    def begin(self) -> None:
        for talk, pull in zip(self._talks, self._pulls, strict=True):
            talk.say(talk.host.register())
            talk.say(talk.host.report())
            pull.say(pull.host.pull(PULL_WAIT))

    def open(self) -> None:
        """Say of all hosts that they have what jobs require."""
        for talk in self._talks:
            talk.host.tags = ("ready",)
            talk.say(talk.host.register())

    def begun(self) -> int:
        return sum(len(host.begun) for host in self.hosts)

    def run(self, seconds: float, until: Any = lambda: False) -> float:
        """Let them live for some time, or until something is so; gives how long that was."""
        began = time.monotonic()
        while (at := time.monotonic()) - began < seconds and not until():
            while self._reports and self._reports[0][0] <= at:
                due, number = self._reports.popleft()
                self._talks[number].say(self.hosts[number].report())
                self._reports.append((due + REPORT, number))
            for socket, _ in self._poller.poll(20):
                self._hear(self._lanes[socket])
        return time.monotonic() - began

    def _hear(self, lane: Lane) -> None:
        reply = lane.socket.recv_multipart()[-1]
        lane.is_busy = False
        said = acknowledge_in(Message.deserialize(reply))
        host = lane.host
        if said.assignments is not None:
            self.largest_order = max(self.largest_order, len(reply))
            host.take(said.assignments)
            if self.tells:
                self._answers[host.name].say(host.answer())
        self.known += lane in self._pulls
        if lane in self._pulls or said.talkback.register:
            if said.talkback.register:
                self._talks[self.hosts.index(host)].say(host.register())
            lane.say(host.pull(PULL_WAIT))
        lane.next()

    def tell(self, host: SimulatedHost) -> None:
        if host.order is not None:
            self._answers[host.name].say(host.answer())

    def close(self) -> None:
        self._context.destroy(linger=0)


def queued(made: Deployment, count: int) -> None:
    """Write jobs into the store that wait for an agent."""
    store = Store(made.paths.database)
    at = now()
    for _ in range(0, count, 1000):
        store.commit([JobPut(_job(at)) for _ in range(min(count, 1000))])
    store.close()


def _job(at: str) -> JobRecord:
    from dataclasses import replace

    from nowcast_cli.config.executors import Place

    job_id = new_id()
    job = new_job(
        job_id, "workers.first", (), Place("agents"), cause=None, chain=job_id, now=at
    )  # fmt: skip
    return replace(job, state="submitting")


def placed(made: Deployment) -> int:
    with Reader(made.paths.database) as reader:
        return sum(each.placed is not None for each in reader.open_assignments())


def main(agents: int = 200, jobs: int = 10_000, seconds: float = 30.0) -> None:
    """Measure and print."""
    sections = {"executors": {"default": "agents"}, "security": "curve"}
    with deployment(["first"], "def after_first(*_):\n    return []\n", **sections) as made:
        made.paths.database.parent.mkdir(parents=True, exist_ok=True)
        ring = KeyRing(made.paths.keys)
        ring.init()
        # A key for each agent is what a system has; here one that may speak for all.
        key = read_key(made.paths.keys / "operator.key")
        settings = yaml.safe_load(made.config_file.read_text())
        settings["message registry"]["workers"]["first"]["requires"] = {"tags": ["ready"]}
        made.config_file.write_text(yaml.safe_dump(settings))
        queued(made, jobs)
        with running_system(made) as (broker, manager):
            crowd = Crowd(made, agents, key)
            try:
                _measure(made, crowd, jobs, seconds, (manager.pid, broker.pid))
            finally:
                crowd.close()


def _measure(
    made: Deployment, crowd: Crowd, jobs: int, seconds: float, pids: tuple[int, int]
) -> None:
    def report(what: str, took: float, before: list[float], count: int = 0) -> None:
        after = [cpu_seconds(pid) for pid in pids]
        used = [100 * (now_ - then) / took for now_, then in zip(after, before, strict=True)]
        cost = 1e3 * (after[0] - before[0]) / count if count else 0.0
        each = f"  {count / took:6.0f}/s, {cost:.2f} ms of the manager's CPU each" if count else ""
        print(f"{what:38} {took:6.1f} s  manager {used[0]:5.1f} %, broker {used[1]:5.1f} %{each}")

    crowd.begin()
    crowd.run(60, lambda: crowd.known >= len(crowd.hosts))
    crowd.run(2 * REPORT)
    cpu = [cpu_seconds(pid) for pid in pids]
    took = crowd.run(seconds)
    report(f"{len(crowd.hosts)} agents report every {REPORT:.0f} s", took, cpu)
    cpu = [cpu_seconds(pid) for pid in pids]
    crowd.open()
    took = crowd.run(120, lambda: crowd.begun() >= jobs)
    report(f"{crowd.begun():,} jobs placed and handed out", took, cpu, crowd.begun())
    print(f"{'':38} largest order {crowd.largest_order / 1e3:.0f} kB; placed {placed(made):,}")
    crowd.tells = True
    cpu = [cpu_seconds(pid) for pid in pids]
    for host in crowd.hosts:
        crowd.tell(host)
    took = crowd.run(300, lambda: _running(made) >= jobs)
    report("all say that their jobs have begun", took, cpu, jobs)
    cpu = [cpu_seconds(pid) for pid in pids]
    for host in crowd.hosts:
        for job in host.jobs.values():
            job.exit = exit_text()
        crowd.tell(host)
    took = crowd.run(300, lambda: _open(made) == 0)
    report("all say that their jobs have ended", took, cpu, jobs)


def _running(made: Deployment) -> int:
    with Reader(made.paths.database) as reader:
        return reader.counts().get("running", 0)


def _open(made: Deployment) -> int:
    with Reader(made.paths.database) as reader:
        counts = reader.counts()
        return counts["running"] + counts["submitting"] + counts["undecided"]


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]), *(float(word) for word in sys.argv[3:4]))
