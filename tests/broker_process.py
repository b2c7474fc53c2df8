"""What tests of the message broker share: the real process, and peers of its two ports."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zmq

from helpers import wait_until
from nowcast_cli.config.paths import run_folder
from nowcast_cli.daemon.health import ask_health
from ports import free_port

CONFIG = """\
checklist file: nowcast_checklist.yaml
state directory: {state}
zmq:
  host: {host}
  ports: {{workers: {workers}, manager: {manager}{events}}}
"""


@dataclass
class BrokerProcess:
    """A broker of its own system in ``folder``; start it with :meth:`start`."""

    folder: Path
    host: str = "localhost"
    workers: int = field(default_factory=free_port)
    manager: int = field(default_factory=free_port)
    events: int | None = None
    more: str = ""  # of the configuration
    process: subprocess.Popen[str] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "nowcast.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "v"

    @property
    def run(self) -> Path:
        return run_folder(self.state)

    @property
    def health_socket(self) -> Path:
        return self.run / "message_broker.sock"

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in (self.folder / "v" / "logs").glob("*.log"))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def popen(self) -> subprocess.Popen[str]:
        self.config.write_text(
            CONFIG.format(
                state="v",
                host=self.host,
                workers=self.workers,
                manager=self.manager,
                events="" if self.events is None else f", events: {self.events}",
            )
            + self.more
        )
        return subprocess.Popen(
            [sys.executable, "-m", "nowcast_cli.broker", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> BrokerProcess:
        self.process = self.popen()
        wait_until(lambda: (self.health() or {}).get("pid") == self.pid, what="the broker's health")
        return self

    def health(self) -> dict[str, Any] | None:
        return ask_health(self.health_socket, 5)

    def waiting(self) -> int:
        health = self.health()
        assert health is not None
        return int(health["waiting"])

    def has_manager(self) -> bool:
        health = self.health()
        assert health is not None
        return bool(health["manager takes messages"])

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running_broker(folder: Path, **settings: Any) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(folder, **settings)
    try:
        yield broker.start()
    finally:
        broker.kill()


def socket_to(context: zmq.Context[Any], kind: int, port: int) -> zmq.Socket[bytes]:
    """Connect a socket that never keeps the context from ending; receives wait 10 s at most."""
    peer = context.socket(kind)
    peer.linger = 0
    peer.rcvtimeo = 10_000
    peer.connect(f"tcp://127.0.0.1:{port}")
    return peer


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with running_broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


HELLO = [b"", b"hello", b""]


def take(manager: zmq.Socket[bytes], count: int) -> list[list[bytes]]:
    """Receive that many requests that differ.

    What reaches a manager before the broker has read its hello is offered to it once more, so a
    manager knows requests by their stamps.
    """
    taken: dict[bytes, list[bytes]] = {}
    while len(taken) < count:
        frames = manager.recv_multipart()
        taken.setdefault(frames[1], frames)
    return list(taken.values())


# A manager in a process of its own, for the tests that kill or stop it: says hello, then takes
# requests (printing a line for each that is new) and answers when told to.
MANAGER_PROGRAM = """
import sys, zmq
port, answers = sys.argv[1], sys.argv[2] == "answers"
manager = zmq.Context().socket(zmq.DEALER)
manager.connect(f"tcp://127.0.0.1:{port}")
manager.send_multipart([b"", b"hello", b""])
seen = set()
while True:
    client, stamp, empty, body = manager.recv_multipart()
    if stamp not in seen:
        print(body.decode(), flush=True)
    seen.add(stamp)
    if answers:
        manager.send_multipart([client, stamp, empty, b"answer to " + body])
"""


@contextlib.contextmanager
def manager_process(port: int, *, answers: bool) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MANAGER_PROGRAM, str(port), "answers" if answers else "keeps"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """Read that many lines of what a manager process prints."""
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]
