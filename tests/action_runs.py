"""Systems in which each attempt of an action leaves a line outside, and what must hold of runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helpers import wait_until
from nowcast_cli import crash_points
from nowcast_cli.bus.subscribing import subscribe
from nowcast_cli.crash_points import LOG
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.event import Event
from nowcast_cli.messages.message import Message
from nowcast_cli.store.events import replay
from nowcast_cli.store.flow_records import FlowRunRecord
from systems import System

DAEMONS = ("message_broker", "manager", "action_workers")

# What is said of each call is said by one append: what has begun twice has two lines.
PARTS = """\
import os, signal, sys, time
from pathlib import Path

HERE = Path(__file__).parent


def leave_line(context):
    file = os.open(HERE / "lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{context.run} {context.step} {context.attempt} {os.getpid()}\\n".encode())
    os.close(file)


def work(context, takes=0.0):
    leave_line(context)
    time.sleep(takes)
    return {"step": context.step, "attempt": context.attempt}


def gate(context):
    leave_line(context)
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return {"step": context.step, "attempt": context.attempt}
"""


SERVICE = """\
import parts
from nowcast_cli import Service

service = Service("lab", takes=2)


@service.action("?Serve?work")
def work(context, takes=0.0):
    return parts.work(context, takes)


service.run()
"""


class ActionSystem(System):
    """A system with two action workers, whose processes may be killed where a point is armed.

    ``flows`` are as in ``nowcast.yaml``; ``parts`` is more of the module with the components, each
    of which ``mapping`` maps by its key. There is a service, too, begun as the daemon ``service``.
    """

    def __init__(
        self,
        folder: Path,
        flows: Mapping[str, Any],
        *,
        parts: str = "",
        mapping: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, workers=("first",), settings={"flows": flows, **(settings or {})})
        self.points = folder / "points"
        self.points.mkdir()
        self.write("parts.py", PARTS + parts)
        self.write("serve.py", SERVICE)
        self.map({"?Lab?work": "parts.work", "?Lab?gate": "parts.gate", **(mapping or {})})

    def map(self, mapping: Mapping[str, str]) -> None:
        """Write another ``actions.ini``."""
        lines = [f"{key} = {component}" for key, component in mapping.items()]
        self.write("actions.ini", "\n".join(["[actionmapping]", *lines, ""]))

    def popen(self, name: str, prelude: str = "") -> Any:
        armed = f"import os; os.environ[{crash_points.VARIABLE!r}] = {str(self.points)!r}\n"
        if name != "service":
            return super().popen(name, armed + prelude)
        code = f"import runpy\n{armed}runpy.run_path('serve.py', run_name='__main__')"
        with (self.paths.logs / "service.out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-c", code, str(self.config_file)],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def wait_until_ready(self, name: str, timeout: float = 30.0) -> None:
        if name != "service":
            super().wait_until_ready(name, timeout)

    def begin(self, *names: str) -> ActionSystem:
        """Start the daemons of actions, too."""
        self.start(*(names or DAEMONS))
        return self

    def is_whole(self) -> bool:
        """Say whether all daemons are ready, and action workers are there for orders."""
        daemons = [name for name in self._processes if name != "service"]
        found = {name: self.health(name) or {} for name in daemons}
        hosts = [health for name, health in found.items() if name == "action_workers"]
        return all(health.get("state") == "ready" for health in found.values()) and all(
            health["connected"] and health["ready"] == health["workers"] for health in hosts
        )

    def wait_until_whole(self) -> None:
        try:
            wait_until(self.is_whole, timeout=60)
        except AssertionError:
            told = {name: self.health(name) for name in self._processes}
            raise AssertionError(f"the system did not get whole: {told}") from None

    # --- faults

    def action_worker_pids(self) -> list[int]:
        """Give the processes in which actions are called."""
        with contextlib.suppress(OSError, KeyError):
            host = self.pid("action_workers")
            children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
            return [int(each) for each in children]
        return []

    def strike(self, name: str, number: int = signal.SIGKILL) -> bool:
        """Send a signal to a daemon, or to one of the action workers; False where it is away."""
        pids = self.action_worker_pids() if name == "action worker" else [self.pid(name)]
        with contextlib.suppress(ProcessLookupError):
            for pid in pids[:1]:
                os.kill(pid, number)
                return True
        return False

    def arm(self, point: str, number: int = signal.SIGKILL) -> None:
        """Have the next process that comes to a point struck there."""
        new = self.points / ".new"
        new.write_text(str(int(number)))
        new.replace(self.points / point)

    def is_armed(self, point: str) -> bool:
        return (self.points / point).exists()

    def disarm(self, point: str) -> None:
        (self.points / point).unlink(missing_ok=True)

    def _struck(self) -> list[list[str]]:
        file = self.points / LOG
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def reached(self) -> list[str]:
        """Give the points at which somebody was struck."""
        return [words[0] for words in self._struck()]

    def go_on(self) -> None:
        """Continue who was stopped at a point last."""
        with contextlib.suppress(ProcessLookupError):  # it was killed for being frozen
            os.kill(int(self._struck()[-1][1]), signal.SIGCONT)

    # --- runs

    def run_flow(self, flow: str, client: Client | None = None, **parameters: Any) -> str:
        """Begin a run, and give its id."""
        asked = Message("nowcast", "run flow", {"flow": flow, "parameters": parameters})
        reply = self.send(asked, 60) if client is None else client.ask(asked)
        assert reply.type == "ack", reply
        return str(reply.payload["run"])

    def run_many(self, flows: list[str]) -> list[str]:
        """Begin a run of each, over one connection; gives their ids."""
        with self.client(120) as client:
            return [self.run_flow(flow, client) for flow in flows]

    def runs(self) -> dict[str, FlowRunRecord]:
        """Give all runs by their ids."""
        with self.reader() as reader:
            return {run.id: run for run in reader.flow_runs(limit=100_000)}

    def open_runs(self) -> int:
        with self.reader() as reader:
            return len(reader.open_flow_runs())

    def run(self, run: str) -> FlowRunRecord:
        with self.reader() as reader:
            return reader.flow_run(run)

    def wait_for_run(self, run: str, timeout: float = 60.0) -> FlowRunRecord:
        wait_until(
            lambda: self.run(run).state != "running", timeout=timeout, what=f"the end of {run}"
        )
        return self.run(run)

    def wait_for_runs(self, timeout: float = 90.0) -> None:
        wait_until(lambda: not self.open_runs(), timeout=timeout, what="the end of all runs")

    def lines(self) -> Counter[tuple[str, str, int]]:
        """Give how often each run, step and attempt was begun, as the actions have left it."""
        file = self.folder / "lines"
        told = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return Counter((run, step, int(attempt)) for run, step, attempt, _ in told)

    def ends(self) -> Counter[str]:
        """Give how many events tell of the end of each run."""
        ended: Counter[str] = Counter()
        with self.reader() as reader:
            after: Mapping[str, int] = {"flows": 0}
            more = True
            while more:
                found = replay(reader._connection, after, (), 1000)
                for event in filter(is_end_of_a_run, found.events):
                    ended[event.payload["run"]] += 1
                after, more = {**after, **found.upto}, found.more
        return ended


def is_end_of_a_run(event: Event) -> bool:
    """Say whether an event of the stream ``flows`` tells that a run has ended."""
    return event.fields[2] == "run" and event.fields[3] != "running"


def violations(system: ActionSystem, asked: list[str]) -> Iterator[str]:
    """Give all that does not hold of runs that were asked for and whose actions all work."""
    runs, lines, ends = system.runs(), system.lines(), system.ends()
    if sorted(runs) != sorted(asked):
        yield f"{len(asked)} runs were asked for, and there are {len(runs)}"
    for run in runs.values():
        said = f"run {run.id} of {run.flow}"
        if run.state != "done":
            yield f"{said} is {run.state}: {run.reason}"
        if ends[run.id] != 1:
            yield f"{said} has ended {ends[run.id]} times, as events tell"
        for record in run.steps.values():
            of_step = f"{said}, step {record.step} ({record.state}, attempt {record.attempt})"
            if record.state == "done" and record.gave != {
                "step": record.step, "attempt": record.attempt,
            }:  # fmt: skip
                yield f"{of_step} gave {record.gave}"
            if not lines[run.id, record.step, record.attempt]:
                yield f"{of_step} has never begun"
    steps = {
        run.id: {each.step: each.attempt for each in run.steps.values()} for run in runs.values()
    }
    for (run_id, step, attempt), count in lines.items():
        if count > 1:
            yield f"attempt {attempt} of step {step} of run {run_id} has begun {count} times"
        if attempt > steps.get(run_id, {}).get(step, 0):
            yield f"attempt {attempt} of step {step} of run {run_id} is in no store"


class Asker:
    """Begins runs one after the other in a thread, until it is told to stop; ``ids`` are theirs."""

    def __init__(self, system: ActionSystem, flows: list[str], every: float) -> None:
        self.ids: list[str] = []
        self._system, self._flows, self._every = system, flows, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with self._system.client(120) as client:
            while not self._over.wait(self._every):
                flow = self._flows[len(self.ids) % len(self._flows)]
                self.ids.append(self._system.run_flow(flow, client))


class Follower:
    """Follows the events of flows in a thread, as a user's program does."""

    def __init__(self, system: ActionSystem, since: Mapping[str, int] | None = None) -> None:
        self.ended: Counter[str] = Counter()
        self.problems: list[str] = []
        self._subscription = subscribe("flows", since=since, config=system.config_file)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        pass  # it goes on until all has come: see ends_of

    def ends_of(self, count: int) -> Counter[str]:
        """Wait for the ends of so many runs; gives how often each was told."""
        wait_until(lambda: self.problems or len(self.ended) >= count, timeout=60, what="the events")
        self._over.set()
        self._thread.join()
        self._subscription.close()
        assert not self.problems, self.problems[:5]
        return self.ended

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            event = self._subscription.next(0.1)
            if event is None:
                continue
            if number and event.number != number + 1:
                self.problems.append(f"after event {number} came {event.number}")
            number = event.number
            if is_end_of_a_run(event):
                self.ended[event.payload["run"]] += 1
