"""A real action host with its action workers; the test is the subject and the manager."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
import zmq

from helpers import wait_until
from nowcast_cli.bus.performer_link import SOCKET_NAME
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.messages.performing import (
    ALIVE,
    ASK_HELLO,
    Acknowledged,
    Alive,
    Answer,
    Ask,
    Done,
    Hello,
    Order,
    Orders,
    Progress,
    Renewed,
    Result,
    Welcome,
    Withdraw,
    frames_of,
    from_performer,
)

T = TypeVar("T")


def write_deployment(
    folder: Path, components: str, mapping: Mapping[str, str], **config: Any
) -> Path:
    """Write a deployment whose module ``parts`` holds the components; gives ``nowcast.yaml``."""
    folder.mkdir(exist_ok=True)
    (folder / "parts.py").write_text(components)
    lines = [f"{key} = {component}" for key, component in mapping.items()]
    (folder / "actions.ini").write_text("\n".join(["[actionmapping]", *lines, ""]))
    file = folder / "nowcast.yaml"
    ports = {"zmq": {"host": "localhost", "ports": {"workers": 4343, "manager": 4344}}}
    file.write_text(yaml.safe_dump({**ports, "message registry": {"workers": {}}, **config}))
    return file


class ActionHostWorld:
    """The other end of an action host: gives orders, collects results, stays alive."""

    def __init__(self, config_file: Path) -> None:
        self.config_file = config_file
        config = Config()
        config.load(config_file)
        self.paths: SystemPaths = system_paths(config)
        self.paths.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.bind(f"ipc://{self.paths.run / SOCKET_NAME}")
        self.identity = b""
        self.hellos: list[Hello] = []
        self.results: dict[str, Result] = {}
        self.repeated = 0
        self.words: list[Progress | Renewed | Ask] = []
        self.answers_alive = self.acknowledges = self.welcomes = True
        self.keep: Callable[[Hello], tuple[str, ...]] = lambda hello: hello.has
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ActionHostWorld:
        """Start the host, and wait until it is welcome and its workers are ready."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nowcast_cli.actions", str(self.config_file)],
            cwd=self.config_file.parent,
            stdout=(self.config_file.parent / "host.out").open("ab"),
            stderr=subprocess.STDOUT,
        )
        number = len(self.hellos)
        self.until(lambda: len(self.hellos) > number, "hello")
        self.until(self.is_ready, "action workers")
        return self

    def is_ready(self) -> bool:
        health = self.health()
        return health is not None and health["ready"] == health["workers"] and health["connected"]

    def health(self) -> dict[str, Any] | None:
        return ask_health(self.paths.run / "action_workers.sock", timeout=2)

    def log(self) -> str:
        return "".join(file.read_text() for file in sorted(self.paths.logs.glob("*")))

    def turn(self) -> None:
        while self.router.poll(2):
            identity, *frames = self.router.recv_multipart()
            self._hear(identity, frames)

    def _hear(self, identity: bytes, frames: list[bytes]) -> None:
        word = from_performer(frames)
        match word:
            case Alive():
                if self.answers_alive:
                    self.router.send_multipart([identity, ALIVE])
            case Hello():
                self.identity = identity
                self.hellos.append(word)
                if self.welcomes:
                    self.say(Welcome(self.keep(word), word.number))
            case Done(results):
                for result in results:
                    self.repeated += result.id in self.results
                    self.results[result.id] = result
                if self.acknowledges:
                    self.say(Acknowledged(tuple(result.id for result in results)))
            case Progress() | Renewed() | Ask():
                self.words.append(word)

    def say(self, word: Welcome | Orders | Acknowledged | Withdraw | Answer) -> None:
        self.router.send_multipart([self.identity, *frames_of(word)])

    def say_hello(self) -> None:
        """Ask the host to say hello, as the broker does."""
        self.router.send_multipart([self.identity, ASK_HELLO])

    def until(self, condition: Callable[[], T], what: str = "", timeout: float = 60) -> T:
        def holds() -> T:
            self.turn()
            return condition()

        return wait_until(holds, timeout=timeout, what=what)

    def order(self, name: str, component: str, seconds: float = 60, **values: Any) -> str:
        """Give an order for ``parts.<component>``; gives its id."""
        self.orders([order(name, component, seconds, **values)])
        return name

    def orders(self, orders: list[Order]) -> None:
        self.say(Orders(tuple(orders)))

    def result(self, name: str) -> Result:
        return self.until(lambda: self.results.get(name), f"the result of {name}")

    def call(self, component: str, seconds: float = 60, **values: Any) -> Result:
        return self.result(
            self.order(f"{component}-{time.monotonic_ns()}", component, seconds, **values)
        )

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> int:
        """End the host as a supervisor does."""
        assert self.process is not None
        self.signal(signal.SIGTERM)
        return self.until(lambda: (code := self.process.poll()) is not None and (code + 1)) - 1

    def close(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait()
        self.router.close(0)
        self.context.destroy(0)


def order(name: str, component: str, seconds: float = 60, **values: Any) -> Order:
    """Give an order for ``parts.<component>``; ``implied`` and such go by ``replace``."""
    return Order(
        name, f"?Test?{component}", f"parts.{component}", values, False, seconds, "run-12345678",
        "flow", "step", 1, "run-12345678",
    )  # fmt: skip


def effects(folder: Path) -> list[str]:
    """Give the lines that components have appended to ``effects.txt``."""
    file = folder / "effects.txt"
    return file.read_text().splitlines() if file.exists() else []
