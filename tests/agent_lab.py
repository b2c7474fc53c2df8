"""A system with agents on hosts of their own: real daemons here, a real agent on each host.

def test_it(lab):
    east = lab.add("east")
    job = lab.system.launch("first", host="agents")
    lab.system.wait_for_job(job, "succeeded")
    assert east.ran() == ["first"]
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_hosts import MASTER, Host, Hosts
from executor_helpers import children_of, lines_of
from helpers import wait_until
from nowcast_cli.messages.agent_messages import Look, Picture, from_text, over_broker
from nowcast_cli.security.key import key_file
from systems import MakeSystem, System

LEASE, REPORT_EVERY = 3.0, 0.5  # seconds
_HOME = Path("/tmp/home")
_DEPLOYMENT = _HOME / "tides"
_STATE = _HOME / "state"


class AgentHost:
    """An agent, and the host that it is on, with a deployment of its own."""

    def __init__(self, host: Host, name: str, system: System, log: Path) -> None:
        self.host = host
        self.name = name
        self.log_file = log
        self.deployment = host.at(_DEPLOYMENT)
        self.state = host.at(_STATE)
        ignored = shutil.ignore_patterns("var", "__pycache__")
        shutil.copytree(system.folder, self.deployment, ignore=ignored)
        key = host.at(_HOME / "agent.key")
        shutil.copy(key_file(system.paths.keys, name), key)
        self._entered: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **environment: str) -> None:
        """Start the agent."""
        self._entered = self.host.popen(
            sys.executable, "-m", "nowcast_cli.cli", "-C", str(_DEPLOYMENT), "agent", "run",
            "--key", str(_HOME / "agent.key"), "--state-directory", str(_STATE), *arguments,
            log=self.log_file, **environment,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The agent's process, by its number here."""
        assert self._entered is not None
        (agent,) = children_of(self._entered.pid)
        return agent

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End the agent, and give its exit code."""
        assert self._entered is not None
        os.kill(self.pid, number)
        return self._entered.wait(20)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait until the agent has ended, and give its exit code."""
        assert self._entered is not None
        return self._entered.wait(timeout)

    def end(self) -> None:
        """Have nothing of it left here, even where it is stopped."""
        if self._entered is not None:
            self._entered.kill()
            self._entered.wait(20)

    def is_known(self) -> bool:
        """Say whether it works: it has what it begins jobs with."""
        return (self.state / "code").exists()

    def is_registered(self) -> bool:
        """Say whether the agent that was started last has registered."""
        return self.log().rpartition(" works in ")[2].count("registered with the manager") > 0

    def limit_disk(self, megabytes: int) -> None:
        """Put its state directory on a disk of that size."""
        self.state.mkdir()
        self.host.run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(_STATE))

    def freeze(self) -> None:
        """Stop the agent."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, and nsenter, which stops with it."""
        assert self._entered is not None
        for pid in (self.pid, self._entered.pid):
            os.kill(pid, signal.SIGCONT)

    def effects(self) -> list[str]:
        """Give ``<job id> <worker>`` of each job whose code has begun on the host."""
        return lines_of(self.deployment / "effects.txt")

    def jobs(self) -> list[str]:
        """Give the ids of jobs whose code has begun there."""
        return [line.split()[0] for line in self.effects()]

    def touch(self, name: str) -> None:
        """Let workers there go on that wait ``--until`` this file."""
        (self.deployment / name).touch()

    def folder(self, job_id: str) -> Path:
        """Give the folder of a job there."""
        (folder,) = self.state.glob(f"jobs/*/{job_id}-*")
        return folder

    def log(self) -> str:
        """Give what the agent has logged."""
        return self.log_file.read_text() if self.log_file.exists() else ""


class Lab:
    """The system, and its hosts."""

    def __init__(self, system: System, hosts: Hosts, folder: Path) -> None:
        self.system = system
        self.agents: dict[str, AgentHost] = {}
        self._hosts = hosts
        self._folder = folder

    def add(self, name: str, *, start: bool = True) -> AgentHost:
        """Turn on a host, and start the agent there."""
        self.system.keys.add(name, "agent")
        self.system.keys.add(f"{name}.jobs", "worker", name)
        return self.put(name, self._hosts.add(name), start=start)

    def put(self, name: str, host: Host, *, start: bool = True) -> AgentHost:
        """Put an agent, with the key that there is for it, on a host."""
        log = self._folder / f"{host.name}.log"
        agent = AgentHost(host, name, self.system, log)
        self.agents[host.name] = agent
        if start:
            agent.start()
        return agent

    def another_host(self, name: str) -> Host:
        """Turn on a host without an agent."""
        return self._hosts.add(name)

    def launch(self, *arguments: str, worker: str = "first") -> str:
        """Launch a worker on whichever agent."""
        return self.system.launch(worker, *arguments, host="agents")

    def begin(self, *arguments: str) -> tuple[str, AgentHost]:
        """Launch ``first``, and give the agent on which it has begun."""
        job = self.launch(*arguments)
        agent = wait_until(lambda: self.where(job), timeout=30, what="the job to begin")
        self.system.wait_for_job(job, "running", timeout=30)
        return job, agent

    def where(self, job_id: str) -> AgentHost | None:
        """Give the agent on whose host a job has begun."""
        return next((each for each in self.agents.values() if job_id in each.jobs()), None)

    def times_begun(self, job_id: str) -> int:
        """Say how often the code of a job has begun, on all hosts together."""
        return sum(each.jobs().count(job_id) for each in self.agents.values())

    def wait_for_log(self, words: str, timeout: float = 30.0) -> None:
        """Wait until the system's log has these words."""
        wait_until(lambda: words in self.system.log(), timeout=timeout, what=f"the log: {words}")

    def picture(self) -> Picture:
        """Give what the manager knows of all agents."""
        picture = from_text(self.system.send(over_broker(Look())).payload)
        assert isinstance(picture, Picture)
        return picture

    def show(self) -> None:
        """Print what the agents have logged, for who looks at a failed test."""
        for name, agent in self.agents.items():
            print(f"--- agent on {name}\n{agent.log()}")


def settings(**more: Any) -> dict[str, Any]:
    """Give the settings of a system with agents that can be reached from other hosts."""
    return {
        "security": "curve",
        "agents": {"lease": LEASE, "report every": REPORT_EVERY},
        **more,
    }


@pytest.fixture
def lab(hosts: Hosts, make_system: MakeSystem, tmp_path: Path) -> Iterator[Lab]:
    """Give a running system in a network to which :meth:`Lab.add` joins hosts with agents."""
    system = make_system(settings=settings())
    system.settings["zmq"]["host"] = MASTER
    system.write_config()
    system.start()
    made = Lab(system, hosts, tmp_path)
    yield made
    made.show()
    for agent in made.agents.values():
        agent.end()
