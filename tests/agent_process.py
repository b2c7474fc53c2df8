"""A real agent, and a manager that stands in for the system's, at the port of its broker.

``StandIn`` keeps the folders of jobs as the manager does, and makes a new order whenever it has
taken something in; a test says what is wanted, kills the agent, or has the manager be silent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executor_helpers import lines_of
from helpers import wait_until
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import mirror
from nowcast_cli.executors.job_folder import Exit, JobRequest, folder_of, read_claim, read_exit
from nowcast_cli.executors.ssh import Followed, order_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.agent_messages import (
    TYPE,
    Acknowledge,
    Answer,
    Assignments,
    Pull,
    Register,
    Report,
    Talkback,
    from_text,
    to_text,
)
from nowcast_cli.messages.message import Message
from peer import Peer
from ports import free_port


class StandIn:
    """Says what a manager would; its methods are those of a test."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.talkback = Talkback(report_every=0.1, lease=60.0)
        self.said: list[Register | Report | Pull | Answer] = []
        self.silent = False
        self.trouble: list[str] = []
        self.host = RemoteHost("east", None, sys.executable, "/no/nowcast.yaml", str(state), ())
        self._followed: dict[str, Followed] = {}
        self._clear: dict[str, Followed] = {}
        self._known: set[str] = set()
        self._number = 0
        self._order = ""
        self._lock = threading.Lock()
        self.key: dict[str, str] | None = None

    def answer(self, message: Message) -> Message | None:
        """Answer an agent, as the peer asks it to."""
        if message.type != TYPE:  # what its jobs say
            return Message("manager", "ack", id=message.id)
        said = from_text(message.payload)
        assert isinstance(said, Register | Report | Pull | Answer)
        if self.silent:
            return None
        self.said.append(said)
        talkback = self.talkback
        if isinstance(said, Register):
            self._known.add(said.instance)
        elif said.instance not in self._known:
            talkback = replace(talkback, register=True)
        elif isinstance(said, Answer):
            self._take_in(said)
        order = self._newest()
        if isinstance(said, Pull) and said.order == order.id:
            time.sleep(0.02)  # which is a short wait for another one
        is_asked = isinstance(said, Pull | Answer) and said.order != order.id
        answer = Acknowledge(talkback, order if is_asked else None)
        return Message("manager", TYPE, to_text(answer), id=message.id)

    def submit(self, module: str, *arguments: str, root: Path | None = None) -> JobRequest:
        """Have a job begun: ``python -m MODULE CONFIG ARGUMENTS`` in ``root``."""
        job_id = new_id()
        root = root or self.folder
        job = JobRequest(
            id=job_id, attempt=1, worker=module, module=module,
            arguments=(str(root / "nowcast.yaml"), *arguments),
            folder=str(folder_of(self.folder / "jobs", job_id, module)),
            config_file=str(root / "nowcast.yaml"), working_directory=str(root),
            environment={},
        )  # fmt: skip
        self.host = replace(self.host, config_file=str(root / "nowcast.yaml"))
        self._followed[job_id] = Followed(job, begin=True)
        return job

    def cancel(self, job: JobRequest) -> None:
        """Have a job ended."""
        self._followed[job.id] = replace(self._followed[job.id], cancel=True)

    def withdraw(self, job: JobRequest) -> None:
        """Want nothing more of a job."""
        del self._followed[job.id]

    def clear(self, job: JobRequest) -> None:
        """Have a job that has ended cleared."""
        self._clear[job.id] = Followed(job, begin=False)

    def forget_all(self) -> None:
        """Know nobody any more, as a manager does that was started again."""
        self._known.clear()

    def of(self, kind: type[Any]) -> list[Any]:
        """Give what agents have said of a kind, the first first."""
        return [each for each in self.said if isinstance(each, kind)]

    def wait_for_exit(self, job: JobRequest, timeout: float = 30.0) -> Exit:
        found = wait_until(
            lambda: read_exit(Path(job.folder)), timeout=timeout, what="the end of a job"
        )
        assert found is not None
        return found

    def _take_in(self, said: Answer) -> None:
        self.trouble = list(said.exchange["trouble"])
        for job_id, news in said.exchange["jobs"].items():
            followed = self._followed.get(job_id) or self._clear.get(job_id)
            if followed is None:
                continue
            if not (followed.folder / "job.json").exists():
                mirror.prepare(followed.job)
            mirror.take_in(followed.folder, news)
            if job_id in self._followed and (news["exit"] is not None or news["gone"]):
                del self._followed[job_id]
        for job_id in said.exchange["cleared"]:
            self._clear.pop(job_id, None)

    def _newest(self) -> Assignments:
        order = order_of(
            self.host, list(self._followed.values()), list(self._clear.values()), self.key
        )
        with self._lock:
            text = json.dumps(order, sort_keys=True)
            if text != self._order:
                self._order, self._number = text, self._number + 1
        return Assignments(f"{id(self)}-{self._number}", order)


class AgentProcess:
    """An agent that is started, killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state = folder / "state"
        self.log_file = folder / "agent.log"
        self.arguments = ["--master", f"127.0.0.1:{port}", "--name", "east"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start it, with more arguments."""
        inherited = {key: value for key, value in os.environ.items() if "NOWCAST" not in key}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nowcast_cli.cli", "agent", "run", *self.arguments,
                 "--state-directory", str(self.state), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.log_file.parent,
                env={**inherited, **environment},
            )  # fmt: skip
        return self.process

    def send(self, number: int) -> None:
        """Send the agent itself a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it by kill -9."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(20)

    def log(self) -> list[str]:
        """Give what it has logged."""
        return lines_of(self.log_file)

    def end(self) -> None:
        """Kill it, and all its jobs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        for file in self.state.glob("jobs/*/*/pid"):
            claim = read_claim(file.parent)
            with contextlib.suppress(ProcessLookupError):
                if claim is not None:
                    os.killpg(claim.process.pid, signal.SIGKILL)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[tuple[StandIn, AgentProcess, Peer]]:
    """Give the stand-in for a manager, an agent that is not started, and the port."""
    folder, port = tmp_path / "manager", free_port()
    folder.mkdir()
    agent = AgentProcess(tmp_path, port)
    manager = StandIn(folder, agent.state)
    with Peer(port, manager.answer) as peer:
        yield manager, agent, peer
    agent.end()
    print("\n".join(agent.log()))
