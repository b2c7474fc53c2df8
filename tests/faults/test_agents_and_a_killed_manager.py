"""The manager is killed again and again while it places jobs on agents."""

from __future__ import annotations

import random
import threading
import time

from nowcast_cli.messages.agent_messages import AgentMessageError
from nowcast_cli.messages.client import NoAnswer
from simulated_agents import SimulatedAgent, SimulatedHost, exit_text

JOBS = 16


class Working(threading.Thread):
    """An agent that begins and ends whatever it is given, and reports."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(daemon=True)
        self.host = SimulatedHost(name, cpus=3)
        self._agent = SimulatedAgent(self.host, port)
        self._agent.client.deadline = 2.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                if self._agent.report().talkback.register:
                    self._agent.register()
                self._agent.pull(0.2)
                if self.host.order is not None:
                    self._agent.answer()
                for job in self.host.jobs.values():
                    job.exit = job.exit or exit_text()
                if self.host.order is not None:
                    self._agent.answer()
            except (NoAnswer, AgentMessageError):
                time.sleep(0.05)
        self._agent.close()


def test_each_job_is_begun_once_whenever_the_manager_is_killed(make_system):
    system = make_system(settings={"executors": {"default": "agents"}}).start()
    agents = [Working(name, system.port) for name in ("east", "west", "north")]
    system.supervise()
    chance = random.Random(5)
    try:
        for agent in agents:
            agent.start()
        jobs = []
        while len(jobs) < JOBS:
            jobs += [system.launch("first") for _ in range(4)]
            time.sleep(chance.uniform(0.0, 0.6))
            system.kill("manager")
            system.wait_until_ready("manager", 30)
        for job in jobs:
            system.wait_for_process_end(job, 60)
    finally:
        for agent in agents:
            agent.over.set()
        for agent in agents:
            agent.join(30)
    begun = [job for agent in agents for job in agent.host.begun]
    assert sorted(begun) == sorted(jobs)
    assert {system.job(job).exit["code"] for job in jobs} == {0}
    with system.reader() as reader:
        where = {job: reader.assignment(job).agent for job in jobs}
    assert where == {job: agent.host.name for agent in agents for job in agent.host.begun}
