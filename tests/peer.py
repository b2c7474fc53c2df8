"""Stands in for broker and manager at the workers' port, and a worker to run against it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import zmq

from nowcast_cli.messages.message import Message
from ports import free_port

Answer = Callable[[Message], Message | bytes | None]


def acknowledge(message: Message) -> Message:
    return Message("manager", "ack", id=message.id)


def silent(message: Message) -> None:
    """Never answer."""


class Peer:
    """Answers at ``port`` as ``answer`` says, in a thread; keeps what has arrived."""

    def __init__(self, port: int, answer: Answer = acknowledge) -> None:
        self.port = port
        self.messages: list[Message] = []
        self.bodies: list[bytes] = []
        self._answer = answer
        self._over = threading.Event()
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._bound.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def types(self) -> list[str]:
        return [message.type for message in self.messages]

    def _serve(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.linger = 0
            router.bind(f"tcp://127.0.0.1:{self.port}")
            self._bound.set()
            while not self._over.is_set():
                if router.poll(20):
                    client, empty, body = router.recv_multipart()
                    self.bodies.append(body)
                    self.messages.append(Message.deserialize(body))
                    reply = self._answer(self.messages[-1])
                    if isinstance(reply, Message):
                        reply = reply.serialize().encode()
                    if reply is not None:
                        router.send_multipart([client, empty, reply])


CONFIG = """\
checklist file: var/nowcast_checklist.yaml
zmq: {{host: localhost, ports: {{workers: {port}, manager: 1}}}}
messages: {{deadline: {deadline}, repeat: {repeat}}}
message registry:
  manager: {{ack: message acknowledged}}
  workers:
    toy:
      checklist key: toy
      success: toy has played
      failure: toy is broken
      crash: toy has exploded
      progress: toy is being played with
      need: toy wants to know
logging:
  version: 1
  disable_existing_loggers: false
  formatters: {{simple: {{format: "%(levelname)s %(name)s %(message)s"}}}}
  handlers:
    console: {{class: logging.StreamHandler, level: WARNING, formatter: simple}}
    file:
      class: logging.handlers.RotatingFileHandler
      level: DEBUG
      formatter: simple
      filename: var/logs/nowcast.log
      backupCount: 3
  root: {{level: DEBUG, handlers: [console, file]}}
"""

WORKER = """\
import os, signal, sys, time
from pathlib import Path
from nowcast_cli import NowcastWorker, WorkerError, publish

def main():
    worker = NowcastWorker("toy", description="A worker under test")
    worker.init_cli()
    worker.run(work, success, failure)
    return worker

def success(parsed_args):
    return "success"

def failure(parsed_args):
    return "failure"

def work(parsed_args, config, tell_manager):
{body}

main()
print("run returned")
"""


class Toy:
    """A deployment with one worker, whose function has the lines that a test gives."""

    def __init__(self, folder: Path, *, deadline: float = 10, repeat: str = "always") -> None:
        self.folder = folder
        self.port = free_port()
        self.config_file = folder / "nowcast.yaml"
        self.config_file.write_text(CONFIG.format(port=self.port, deadline=deadline, repeat=repeat))

    @property
    def outbox(self) -> Path:
        return self.folder / "var" / "outbox"

    def log(self) -> str:
        file = self.folder / "var" / "logs" / "nowcast.log"
        return file.read_text() if file.exists() else ""

    def start(
        self, body: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        script = self.folder / "toy.py"
        indented = "".join(f"    {line}\n" for line in body.splitlines())
        script.write_text(WORKER.format(body=indented))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("NOWCAST")}
        return subprocess.Popen(
            [sys.executable, str(script), str(self.config_file), *arguments],
            cwd=self.folder,
            env=inherited | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, body: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(body, *arguments, environment=environment)
        try:
            out, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
