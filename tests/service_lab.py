"""A system with users' services as real processes, started by hand or by ``nowcast start``.

Each action appends ``<service> <pid> <attempt> <value>`` to ``effects.txt`` before anything else,
then does as its values say.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from helpers import wait_until
from nowcast_cli.store.flow_records import FlowRunRecord
from systems import System

SERVICE = """\
import os
import sys
import time
from pathlib import Path

from nowcast_cli import Service

name, takes = sys.argv[1], int((sys.argv[2:] or ["1"])[0])
service = Service(name, takes=takes)


@service.action(f"?{name}?do")
def do(context, value=None, until="", fail="", ask="", seconds=0):
    with open("effects.txt", "a") as file:
        file.write(f"{name} {os.getpid()} {context.attempt} {value}\\n")
    while until and not Path(until).exists():
        time.sleep(0.01)
    if seconds:
        context.renew(seconds)
    if fail:
        raise ValueError(fail)
    context.logger.info("ingest gives %s", value)
    if ask:
        return {"asked": context.request(ask, {"value": value})}
    return {"value": value, "by": name, "pid": os.getpid()}


@service.action(f"?{name}?later")
def later(value, context):
    service.complete(context.token, {"later": value})


print("it begins", flush=True)
service.run()
print("it ends", flush=True)
"""
SETTINGS: dict[str, Any] = {
    "services": {
        "ingest": {
            "command": "python3 program.py ingest",
            "actions": ["?ingest?do", "?ingest?later"],
        },
        "post": {"command": "python3 program.py post", "autostart": False},
    },
    "flows": {
        "one": {
            "parameters": {"value": "x", "until": "", "fail": ""},
            "steps": {
                "do": {
                    "action": "?ingest?do",
                    "values": {"value": "{value}", "until": "{until}", "fail": "{fail}"},
                }
            },
        },
        "told": {"steps": {"do": {"action": "?ingest@PUBLISH?do", "values": {"value": 1}}}},
        "absent": {"steps": {"do": {"action": "?ingest@PUBLISH?do", "timeout": "1s"}}},
        "short": {
            "steps": {
                "do": {
                    "action": "?ingest?do",
                    "values": {"value": 1, "until": "go"},
                    "timeout": "1s",
                }
            }
        },
        "later": {"steps": {"do": {"action": "?ingest@ASYNC?later", "values": {"value": 7}}}},
    },
}


class ServiceLab:
    """Services of one system, and what has become of what they were asked."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.write("program.py", SERVICE)

    def start(self, name: str = "ingest", takes: int = 1) -> subprocess.Popen[bytes]:
        """Start a service by hand, and wait until it has said hello."""
        process = self.begin([sys.executable, "program.py", name, str(takes)], name)
        self.wait_for(name, process.pid)
        return process

    def begin(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        """Start a program that is to be a service, as nowcast does, and do not wait."""
        system = self.system
        environment = {
            **{key: value for key, value in os.environ.items() if "NOWCAST" not in key},
            "NOWCAST_YAML": str(system.config_file),
            "NOWCAST_SERVICE": name,
            "NOWCAST_ACTIONS": f"ipc://{system.paths.actions_socket}",
        }
        with (system.paths.logs / f"{name}.out").open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=system.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out,
            )  # fmt: skip

    def performer(self, name: str = "ingest") -> Mapping[str, Any]:
        """Give what the manager knows of a service."""
        health = self.system.health() or {}
        return dict(health.get("performers", {}).get(name, {}))

    def wait_for(self, name: str, pid: int, state: str = "ready") -> None:
        """Wait until the manager knows the process of a service in a state."""

        def is_so() -> bool:
            seen = self.performer(name)
            return seen.get("pid") == pid and seen.get("state") == state

        wait_until(is_so, what=f"service {name} (process {pid}) to be {state}")

    def run(self, flow: str, **parameters: Any) -> str:
        """Begin a run of a flow; gives its id."""
        reply = self.system.request("run flow", {"flow": flow, "parameters": parameters})
        assert reply.type == "ack", reply
        return str(reply.payload["run"])

    def record(self, run: str) -> FlowRunRecord:
        with self.system.reader() as reader:
            return reader.flow_run(run)

    def wait_for_end(self, run: str) -> FlowRunRecord:
        def ended() -> FlowRunRecord | None:
            found = self.record(run)
            return found if found.state != "running" else None

        return wait_until(ended, timeout=60, what=f"the end of run {run}")

    def step(self, run: str) -> Any:
        """Give the record of the one step of a run."""
        ((_, step),) = self.record(run).steps.items()
        return step

    def effects(self) -> list[tuple[str, int, int, str]]:
        """Give service, process, attempt and value of each call that has begun."""
        file = self.system.folder / "effects.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [line.split(" ", 3) for line in lines]
        return [(name, int(pid), int(attempt), value) for name, pid, attempt, value in found]

    def wait_for_effects(self, count: int) -> list[tuple[str, int, int, str]]:
        wait_until(lambda: len(self.effects()) >= count, what=f"{count} calls to begin")
        return self.effects()

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """Send a signal to a service, see it end, and give its exit code."""
        process.send_signal(number)
        return process.wait(30)
