"""A system under test: its files, its daemons, and who starts them again at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import wait_until
from lab import commands
from lab.deployment import DOING, WORKER, next_workers_of
from lab.environment import Namespaces, build_clock, mount_small_disk, unmount
from lab.plans import JobSettings, Plan
from nowcast_cli import crash_points
from nowcast_cli.daemon.lock import read_pid_file
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message
from nowcast_cli.process_identity import ProcessIdentity, identity_of, is_alive
from nowcast_cli.security.source import key_source
from nowcast_cli.store.reader import Reader
from systems import LOGGING, MODULES, MORE_MODULES, System

if TYPE_CHECKING:
    from lab.traffic import Traffic

_MANAGERS = {"manager", "standby"}
SMALL_DISK, FOR_LARGE_MESSAGES = 64, 600  # MB
_BACK_OFF = 0.2  # seconds before a daemon that refused to start is started again
_MODULES = MODULES | MORE_MODULES
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "PYTHONPATH")


class LabSystem(System):
    """A deployment by a plan, in a folder of its own.

    ``killed`` holds (process id, start) of all processes that the lab has ended, ``torn_jobs`` the
    ids of jobs whose files it has damaged. ``full`` says that floods and
    pulled cables last as long as the promise says.
    """

    def __init__(
        self, folder: Path, plan: Plan, *, namespaces: Namespaces | None, full: bool
    ) -> None:
        self.plan = plan
        self.namespaces = namespaces
        self.began = time.monotonic()
        super().__init__(
            folder,
            workers=(*plan.workers, "hand", "timed"),
            next_workers=next_workers_of(plan),
            settings=_settings(plan),
        )
        if namespaces is not None:
            self.settings["zmq"]["host"] = namespaces.address
        for worker, of_worker in plan.settings.items():
            self.registry[worker].update(_of_jobs(of_worker))
        for worker in plan.workers:
            if commands.is_command(plan, worker):
                self.registry[worker].update(commands.entry_of(worker))
        self.write_config()
        self.write("workers/doing.py", DOING)
        for name in self.workers:
            self.write(f"workers/{name}.py", WORKER.format(name=name))
        self.write("command.py", commands.SCRIPT)
        self.points = folder / "points"
        self.points.mkdir()
        self.clock = folder / "clock"
        self.set_clock(0)
        if "clock" in plan.features:
            self._clock_library = build_clock(folder)
        self.paths.state.mkdir(exist_ok=True)
        if "disk" in plan.features:
            size = FOR_LARGE_MESSAGES if plan.flavour == "large" else SMALL_DISK
            mount_small_disk(self.paths.state, size)
        if "curve" in plan.features:
            self.settings["security"] = "curve"
            self.write_config()
            self.keys.init()
        # Looked up now: the configuration may be torn when it is needed.
        self.key = key_source(self.config, "operator")
        self.killed: set[tuple[int, int]] = set()
        self.torn_jobs: set[str] = set()
        self.torn_checklists: set[bytes] = set()
        self.undoing: list[threading.Timer] = []
        # Held by who reads the store, and by who changes its files.
        self.reading_lock = threading.RLock()
        self.traffic: Traffic
        self.full = full
        self._hand_ids = itertools.count()
        self.unexpected_ends: Counter[str] = Counter()
        self.retired: set[str] = set()
        self._paused: set[str] = set()
        self._lock = threading.RLock()
        self._log = (folder / "lab.jsonl").open("a", buffering=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the daemons that are kept up."""
        more = ("scheduler", "log_aggregator") if "all daemons" in self.plan.features else ()
        second = ("standby",) if "standby" in self.plan.features else ()
        return ("message_broker", "manager", *second, *more)

    def note(self, event: str, **facts: Any) -> None:
        """Write down what the lab does, for who looks at a failed seed."""
        at = round(time.monotonic() - self.began, 3)
        with self._lock:
            self._log.write(json.dumps({"at": at, "event": event, **facts}, default=str) + "\n")

    # --- daemons

    def popen(self, name: str, prelude: str = "") -> subprocess.Popen[bytes]:
        """Start a daemon with the lab's environment, and do not wait."""
        environment = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        environment[crash_points.VARIABLE] = str(self.points)
        if "clock" in self.plan.features:
            environment |= {"LD_PRELOAD": str(self._clock_library), "LAB_CLOCK": str(self.clock)}
        command = [sys.executable, "-m", _MODULES[name], str(self.config_file)]
        if self.namespaces is not None and name == "message_broker":
            command = [*self.namespaces.at_the_broker, *command]
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        with self._output(name) as out:
            return subprocess.Popen(
                command,
                cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def _output(self, name: str) -> Any:
        # Outside of the state directory, which may be full or read-only.
        return (self.folder / f"{name}.out").open("ab")

    def send(self, message: Message, deadline: float = 60.0) -> Message:
        host = self.settings["zmq"]["host"]
        with Client(host, self.port, deadline=deadline, key=self.key) as client:
            return client.ask(message)

    def begin(self) -> None:
        """Start all daemons, wait for them, and keep them up from now on."""
        for name in self.names:
            self._processes[name] = self.popen(name)
        wait_until(self.is_whole, timeout=60, what="the system to be whole at its start")
        self._supervisor = threading.Thread(target=self._start_what_has_ended, daemon=True)
        self._supervisor.start()

    def _start_what_has_ended(self) -> None:
        not_before: dict[str, float] = {}
        while not self._over.wait(0.01):
            for name in self.names:
                with self._lock:
                    process = self._processes[name]
                    if name in self._paused | self.retired or process.poll() is None:
                        continue
                    if not_before.get(name, 0.0) > time.monotonic():
                        continue
                    self._note_end(name, process)
                    if process.returncode > 0:
                        not_before[name] = time.monotonic() + _BACK_OFF
                        process.returncode = -signal.SIGKILL  # noted, and not once more
                        continue
                    with contextlib.suppress(OSError):
                        self._processes[name] = self.popen(name)

    def _note_end(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.note("ended", daemon=name, pid=process.pid, code=process.returncode)
        if process.returncode > 0:
            self.unexpected_ends[f"{name} with code {process.returncode}"] += 1

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[None]:
        """Kill a daemon or the launcher, and keep it down meanwhile; the manager with its second.

        A launcher is started again by the manager, which nobody keeps from it.
        """
        kept = [each for each in self.names if each == name or {each, name} == _MANAGERS]
        with self._lock:
            self._paused |= set(kept)
        for each in kept:
            self._processes[each].kill()
            self._processes[each].wait()
        if name == "launcher" and (launcher := self._launcher()) is not None:
            self.signal(identity_of(launcher), signal.SIGKILL)
        try:
            yield
        finally:
            with self._lock:
                self._paused -= set(kept)

    def retire(self, name: str) -> None:
        """Keep a daemon down from now on."""
        if name in self.names:
            with self.down(name):
                self.retired.add(name)

    def daemon(self, name: str) -> ProcessIdentity | None:
        """Give the process that is a daemon now; managers change their places."""
        process = read_pid_file(self.paths.run / f"{name}.pid")
        return process if process is not None and is_alive(process) else None

    def signal(self, process: ProcessIdentity | None, number: int) -> bool:
        """Send a signal to that very process; False when it has gone."""
        if process is None or identity_of(process.pid) != process:
            return False
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.killed.add((process.pid, process.started))
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def take_in_reached_points(self) -> None:
        """Add those whom a crash point has killed to the killed."""
        for line in self.reached():
            _, pid, started, number = line.split()
            if int(number) == signal.SIGKILL:
                self.killed.add((int(pid), int(started)))

    def reached(self) -> list[str]:
        """Give the lines of the crash points that were reached, in order."""
        file = self.points / crash_points.LOG
        return file.read_text().splitlines() if file.exists() else []

    def is_whole(self) -> bool:
        """Say whether all daemons answer that they are ready."""
        names = [name for name in self.names if name not in self.retired]
        return all((self.health(name) or {}).get("state") == "ready" for name in names)

    def set_clock(self, seconds: int) -> None:
        """Set how far the clock of the system is ahead of the machine's."""
        self.clock.touch()
        with self.clock.open("r+b") as file:  # in its place: the processes have mapped it
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    # --- what has become of it

    def new_hand_id(self) -> str:
        """Give the id of another message of the worker ``hand``, whom the lab plays."""
        return f"hand-{next(self._hand_ids)}"

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        with self.reading_lock, super().reader() as reader:
            yield reader

    def undo_all(self) -> None:
        """Wait until nothing is stopped any more, and no peer hangs on."""
        for timer in self.undoing:
            timer.join()

    def begun(self) -> list[str]:
        """Give the ids of the jobs whose code has begun, once for each beginning."""
        file = self.folder / "begun"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def everything_written(self) -> str:
        own = [
            f"--- {name}\n{(self.folder / name).read_text(errors='replace')[-20_000:]}"
            for name in ("lab.jsonl", *(f"{each}.out" for each in self.names))
            if (self.folder / name).exists()
        ]
        return "\n".join([*own, super().everything_written()])

    def end(self) -> None:
        super().end()
        self._log.close()
        if "disk" in self.plan.features:
            unmount(self.paths.state)


def _settings(plan: Plan) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "messages": {"deadline": plan.deadline},
        # 20 MB take a decider some seconds to read, where all cores are busy.
        "next workers": {"deadline": 60 if plan.flavour == "large" else 6},
        "logging": {**LOGGING, "root": {"level": "INFO", "handlers": ["file"]}},
    }
    if plan.together is not None:
        settings["jobs"] = {"concurrency": plan.together}
    if "standby" in plan.features:
        settings["standby"] = True
    if "all daemons" in plan.features:
        settings["logs"] = {}
        settings["scheduled workers"] = [{"workers.timed": {"every": "2s"}}]
    return settings


def _of_jobs(settings: JobSettings) -> dict[str, Any]:
    """Give what a worker's entry in the registry says of its jobs."""
    entry: dict[str, Any] = {
        "concurrency": settings.concurrency,
        "timeout": settings.timeout,
        "priority": settings.priority,
    }
    if settings.tries is not None:
        entry["retry"] = {
            "tries": settings.tries,
            "delay": settings.delay,
            "on": list(settings.retried_on),
        }
    return {key: value for key, value in entry.items() if value is not None}
