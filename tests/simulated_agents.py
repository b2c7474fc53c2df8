"""Agents of which no process runs: a test or a benchmark says what happens on their hosts."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.agent_messages import (
    Acknowledge,
    Answer,
    Assignments,
    Limits,
    OfAgent,
    Pull,
    Register,
    Report,
    acknowledge_in,
    over_broker,
)
from nowcast_cli.messages.client import Client
from nowcast_cli.security.source import KeySource

_PROCESS = {"pid": 4_000_000, "started": 1, "boot": "of-another-machine"}


def claim_text(at: str = "2026-11-22T03:00:00.000Z") -> str:
    """Give the claim of a process that is on no machine."""
    return json.dumps({"process": _PROCESS, "runner": _PROCESS, "claimed_at": at, "uptime": 1.0})


def exit_text(code: int = 0) -> str:
    """Give what a runner writes."""
    return json.dumps(
        {"code": code, "signal": None, "finished_at": "2026-11-22T03:01:00.000Z", "reason": None,
         "peak_memory": 1_000_000, "cpu_seconds": 0.5}
    )  # fmt: skip


@dataclass
class SimulatedJob:
    """A job on the host of a simulated agent."""

    claim: str | None = None
    exit: str | None = None
    gone: bool = False
    outbox: dict[str, str] = field(default_factory=dict)

    def news(self, look: dict[str, Any]) -> dict[str, Any]:
        """Give it in the form of ``remote_side.look``."""
        return {
            "stdout": None, "stderr": None, "records": None,
            "at": {name: look[name] for name in ("stdout", "stderr", "records")},
            "pid": self.claim, "exit": self.exit, "gone": self.gone, "more": False,
            "age": None if self.claim is None else 1.0, "left": None,
            "outbox": {k: v for k, v in self.outbox.items() if k not in look["outbox"]},
        }  # fmt: skip


class SimulatedHost:
    """What is on the host of an agent: all that an order asks for, at once or when told."""

    def __init__(self, name: str, *, cpus: int = 4, memory: int = 8_000_000_000) -> None:
        self.name = name
        self.cpus = cpus
        self.memory = memory
        self.tags: tuple[str, ...] = ()
        self.limits = Limits()
        self.instance = new_id()
        self.machine = f"machine-of-{name}"
        self.jobs: dict[str, SimulatedJob] = {}
        self.order: Assignments | None = None
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.load = 0.0
        self.memory_free = memory
        self._number = 0

    def register(self) -> Register:
        return Register(
            agent=self.name, instance=self.instance, boot="boot", machine=self.machine,
            hostname=f"{self.name}.sea", version="1", python="3.11", state_directory="/jobs",
            cpus=self.cpus, memory=self.memory, clock=time.time(), tags=self.tags,
            limits=self.limits, running=self.running(),
        )  # fmt: skip

    def report(self, *errors: str) -> Report:
        self._number += 1
        return Report(
            self.name, self.instance, self._number, time.time(), self.memory_free, self.load,
            running=self.running(), errors=errors,
            order=None if self.order is None else self.order.id,
        )  # fmt: skip

    def running(self) -> tuple[str, ...]:
        return tuple(
            job_id for job_id, job in self.jobs.items()
            if job.claim is not None and job.exit is None and not job.gone
        )  # fmt: skip

    def pull(self, wait: float = 0.0) -> Pull:
        return Pull(self.name, self.instance, None if self.order is None else self.order.id, wait)

    def take(self, order: Assignments) -> None:
        """Begin what an order asks for, as ``exchange`` does: each job once."""
        self.order = order
        for job in order.order["submit"]:
            if job["id"] not in self.jobs:
                self.jobs[job["id"]] = SimulatedJob(claim_text())
                self.begun.append(job["id"])
        for job_id in order.order["cancel"]:
            if job_id not in self.jobs:
                self.jobs[job_id] = SimulatedJob(claim_text(), gone=True)
            self.cancelled.append(job_id)

    def answer(self) -> Answer:
        assert self.order is not None
        look = self.order.order["look"]
        jobs = {
            job_id: self.jobs.get(job_id, SimulatedJob()).news(wanted)
            for job_id, wanted in look.items()
        }
        exchange = {"jobs": jobs, "cleared": self.order.order["clear"], "trouble": []}
        return Answer(self.name, self.instance, self.order.id, exchange)


class SimulatedAgent:
    """An agent that a test has say one thing after the other."""

    def __init__(self, host: SimulatedHost, port: int, key: Path | None = None) -> None:
        self.host = host
        source = None if key is None else KeySource(key)
        self.client = Client("localhost", port, deadline=20.0, repeat=False, key=source)

    def say(self, message: OfAgent) -> Acknowledge:
        return acknowledge_in(self.client.ask(over_broker(message)))

    def register(self) -> Acknowledge:
        said = self.say(self.host.register())
        self.say(self.host.report())
        return said

    def report(self, *errors: str) -> Acknowledge:
        return self.say(self.host.report(*errors))

    def pull(self, wait: float = 0.0) -> Acknowledge:
        said = self.say(self.host.pull(wait))
        if said.assignments is not None:
            self.host.take(said.assignments)
        return said

    def answer(self) -> Acknowledge:
        said = self.say(self.host.answer())
        if said.assignments is not None:
            self.host.take(said.assignments)
        return said

    def begin(self) -> str:
        """Pull until a job is to be begun; gives its id, of which nothing is told as yet."""
        before, give_up = len(self.host.begun), time.monotonic() + 20
        while len(self.host.begun) == before:
            assert time.monotonic() < give_up, f"{self.host.name} waited in vain for a job"
            self.pull(1.0)
        return self.host.begun[-1]

    def work(self) -> str:
        """Begin a job, and tell of it; gives its id."""
        job = self.begin()
        self.answer()
        return job

    def end(self, job_id: str, code: int = 0) -> None:
        """Have a job end, and tell of it."""
        self.host.jobs[job_id].exit = exit_text(code)
        self.answer()

    def close(self) -> None:
        self.client.close()
