"""Small systems with real daemons, for tests: ``system`` and ``make_system``.

A test takes the fixture ``system`` (workers ``first``, ``second`` and ``third``, nothing follows
from anything), or makes its own:

    def test_second_follows_first(make_system):
        system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
        job = system.launch("first", "--payload", "{tide: 3}")
        system.wait_for_chain(job)
        assert system.ran() == ["first", "second"]
        assert system.checklist() == {"first": {"tide": 3}}

Each worker appends ``<job id> <worker>`` to ``effects.txt`` before anything else, then does what
its arguments say (see ``DOING``). All processes are killed at the end; what the daemons wrote is
shown when the test failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
import zmq

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.executors.job_folder import folder_of
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message, Outcome
from nowcast_cli.process_identity import from_json, is_alive
from nowcast_cli.security.key_ring import KeyRing
from nowcast_cli.security.source import key_source
from nowcast_cli.store.checklist_file import read_checklist
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobRecord, MessageRecord
from ports import free_ports

MODULES = {"message_broker": "nowcast_cli.broker", "manager": "nowcast_cli.manager"}
# started by their names alone
MORE_MODULES = {
    "scheduler": "nowcast_cli.scheduler",
    "file_watcher": "nowcast_cli.file_watcher",
    "standby": "nowcast_cli.manager",
    "action_workers": "nowcast_cli.actions",
    "log_aggregator": "nowcast_cli.logs.aggregator",
}

DOING = '''\
"""What every worker of a test does: it leaves its mark, then does as it is told."""

import os, signal, sys, time
from pathlib import Path

import yaml
from nowcast_cli import NowcastWorker, WorkerError


def leave_mark(name, folder):
    line = f"{os.environ.get('NOWCAST_JOB_ID', 'by-hand')} {name}\\n"
    file = os.open(folder / "effects.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line.encode())
    os.close(file)


def main(name):
    worker = NowcastWorker(name, description=__doc__)
    worker.init_cli()
    add = worker.cli.add_argument
    add("--print", help="say this on stderr")
    add("--need", help="ask for this key of the checklist; the answer is the payload")
    add("--tell", nargs=2, help="send a message in between: its type, and its payload as YAML")
    add("--ignore-sigterm", action="store_true")
    add("--until", help="go on once this file of the deployment exists")
    add("--allocate", type=int, default=0, help="take and touch so many bytes")
    add("--sleep", type=float, default=0)
    add("--fail", action="store_true", help="raise WorkerError")
    add("--raise", dest="raises", action="store_true", help="raise another exception")
    add("--os-exit", type=int, help="end at once with this exit code")
    add("--signal", type=int, help="send this signal to itself")
    add("--payload", default="null", help="the payload of success, as YAML")
    add("--type", default="success", help="the type of the success message")

    def work(arguments, config, tell_manager):
        folder = Path(config.file).parent
        leave_mark(name, folder)
        if arguments.print:
            print(arguments.print, file=sys.stderr, flush=True)
        taken = bytearray(arguments.allocate)
        if arguments.ignore_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            (folder / "ignores-sigterm").touch()
        payload = yaml.safe_load(arguments.payload)
        if arguments.need:
            payload = {"needed": tell_manager("need", yaml.safe_load(arguments.need)).payload}
        if arguments.tell:
            tell_manager(arguments.tell[0], yaml.safe_load(arguments.tell[1]))
        while arguments.until and not (folder / arguments.until).exists():
            time.sleep(0.01)
        time.sleep(arguments.sleep)
        if arguments.fail:
            raise WorkerError("it was told to fail")
        if arguments.raises:
            raise ValueError("as it was told to")
        if arguments.os_exit is not None:
            os._exit(arguments.os_exit)
        if arguments.signal is not None:
            os.kill(os.getpid(), arguments.signal)
        return payload

    worker.run(work, lambda arguments: arguments.type, lambda arguments: "failure")
'''

WORKER = """\
from pathlib import Path

from workers import doing

if __name__ == "__main__":
    doing.main(Path(__file__).stem)
"""

MESSAGES = {
    "success": "has done it",
    "failure": "could not do it",
    "crash": "fell over",
    "progress": "is at it",
    "need": "wants to know",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"simple": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"}},
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "level": "DEBUG",
            "formatter": "simple",
            "filename": "var/logs/nowcast.log",
            "backupCount": 3,
        },
        "checklist": {
            "class": "logging.handlers.RotatingFileHandler",
            "level": "INFO",
            "formatter": "simple",
            "filename": "var/logs/checklist.log",
            "backupCount": 3,
        },
    },
    "loggers": {"checklist": {"handlers": ["checklist"], "propagate": False}},
    "root": {"level": "DEBUG", "handlers": ["file"]},
}


def next_workers_text(after: Mapping[str, str], workers: Collection[str]) -> str:
    """Give a next_workers module in which ``after[worker]`` follows the worker's success."""
    functions = "".join(
        f"\n\ndef after_{worker}(msg, config, checklist):\n"
        f"    return ({after.get(worker, '[]')}) if msg.type == 'success' else []\n"
        for worker in workers
    )
    return "import os, sys, time\nfrom nowcast_cli import NextWorker\n" + functions


class System:
    """A deployment in a folder of its own, and its daemons.

    Parameters
    ----------
    workers
        Names of the workers; each is registered with ``MESSAGES`` and its name as checklist key.
    after
        By worker: what follows from its success, as an expression of next_workers.
    next_workers
        The whole text of next_workers.py instead.
    settings
        More keys of nowcast.yaml.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: Sequence[str] = ("first", "second", "third"),
        after: Mapping[str, str] | None = None,
        next_workers: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.workers = tuple(workers)
        (folder / "workers").mkdir(parents=True)
        self.port, manager_port = free_ports(2)
        self.settings: dict[str, Any] = {
            "checklist file": "var/nowcast_checklist.yaml",
            "python": sys.executable,
            "logging": LOGGING,
            "zmq": {
                "host": "localhost",
                "ports": {"workers": self.port, "manager": manager_port},
            },
            "message registry": {
                "manager": {"ack": "message acknowledged"},
                "next workers module": "next_workers",
                "workers": {
                    **{name: {"checklist key": name, **MESSAGES} for name in workers},
                    "clear_checklist": {"clear checklist": "wants it empty", **MESSAGES},
                },
            },
            **(settings or {}),
        }
        self.write_config()
        self.write("workers/__init__.py", "")
        self.write("workers/doing.py", DOING)
        for name in workers:
            self.write(f"workers/{name}.py", WORKER)
        names = (*workers, "clear_checklist")
        self.write("next_workers.py", next_workers or next_workers_text(after or {}, names))
        self._begin()
        if self.settings.get("security") == "curve":
            self.keys.init()

    @property
    def keys(self) -> KeyRing:
        return KeyRing(self.paths.keys)

    def _begin(self) -> None:
        self.paths: SystemPaths = system_paths(self.config)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._supervisor: threading.Thread | None = None

    # --- files

    @property
    def config_file(self) -> Path:
        return self.folder / "nowcast.yaml"

    @property
    def config(self) -> Config:
        config = Config()
        config.load(self.config_file)
        return config

    @property
    def registry(self) -> dict[str, Any]:
        """The registered workers in ``settings``; change them, then :meth:`write_config`."""
        return self.settings["message registry"]["workers"]

    def write(self, name: str, text: str) -> Path:
        """Write a file of the deployment, whole at every instant."""
        path = self.folder / name
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.replace(path)
        return path

    def write_config(self) -> None:
        self.write("nowcast.yaml", yaml.safe_dump(self.settings, sort_keys=False))

    def write_after(self, after: Mapping[str, str]) -> None:
        """Write another next_workers module."""
        self.write("next_workers.py", next_workers_text(after, (*self.workers, "clear_checklist")))

    def touch(self, name: str) -> None:
        """Let workers that wait ``--until`` this file go on."""
        (self.folder / name).touch()

    def log(self, name: str = "nowcast.log") -> str:
        file = self.paths.logs / name
        return file.read_text() if file.exists() else ""

    def everything_written(self) -> str:
        """Give all that the daemons and jobs have said, for who looks at a failed test."""
        said = []
        for file in (*sorted(self.paths.logs.glob("*")), *sorted(self.paths.jobs.glob("*/*/std*"))):
            text = file.read_text(errors="replace")[-12_000:]
            if text:
                said.append(f"--- {file.relative_to(self.paths.state)}\n{text}")
        return "\n".join(said)

    # --- daemons

    def popen(self, name: str, prelude: str = "") -> subprocess.Popen[bytes]:
        """Start a daemon and do not wait; ``prelude`` is Python that runs in it before."""
        of_daemon = (MODULES | MORE_MODULES)[name]
        module = ["-m", of_daemon]
        if prelude:
            code = f"import runpy, sys\n{prelude}\nsys.argv[0] = {name!r}\n"
            module = ["-c", f"{code}runpy.run_module({of_daemon!r}, run_name='__main__')"]
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        inherited = {key: value for key, value in os.environ.items() if "NOWCAST" not in key}
        with (self.paths.logs / f"{name}.out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *module, str(self.config_file)],
                cwd=self.folder, env=inherited, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def start(self, *names: str, prelude: str = "") -> System:
        """Start daemons, by default all, and wait until they are ready."""
        for name in names or MODULES:
            self._processes[name] = self.popen(name, prelude if name == "manager" else "")
        for name in names or MODULES:
            self.wait_until_ready(name)
        return self

    def wait_until_ready(self, name: str, timeout: float = 30.0) -> None:
        def is_ready() -> bool:
            health = self.health(name) or {}
            return health.get("state") == "ready" and health.get("pid") == self.pid(name)

        wait_until(is_ready, timeout=timeout, what=f"the {name} to be ready")

    def health(self, name: str = "manager") -> dict[str, Any] | None:
        return ask_health(self.paths.run / f"{name}.sock", 5)

    def pid(self, name: str) -> int:
        """Give the process id of a daemon, or of the ``launcher``, once there is one."""
        if name == "launcher":
            return wait_until(self._launcher, what="the launcher")
        return self._processes[name].pid

    def _launcher(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            identity = json.loads((self.paths.run / "launcher.pid").read_bytes())
            return int(identity["pid"]) if lives(identity) else None
        return None

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a daemon or the launcher; see it end, unless it is supervised.

        One that is supervised may be between two lives just then: it is as good as killed.
        """
        with contextlib.suppress(*(() if self._supervisor is None else (ProcessLookupError,))):
            os.kill(self.pid(name), number)
        if name in self._processes and self._supervisor is None:
            self._processes[name].wait(20)

    def stop(self, name: str = "manager") -> int:
        """End a daemon with SIGTERM and give its exit code."""
        self._processes[name].terminate()
        return self._processes[name].wait(20)

    def cpu_seconds(self, name: str) -> float:
        fields = Path(f"/proc/{self.pid(name)}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def restart(self, name: str = "manager") -> None:
        """Kill a daemon and start it again, as a supervisor would."""
        self.kill(name)
        self.start(name)

    def supervise(self) -> System:
        """Start daemons again whenever they end, from now to the end of the test."""
        self._supervisor = threading.Thread(target=self._start_what_has_ended, daemon=True)
        self._supervisor.start()
        return self

    def _start_what_has_ended(self) -> None:
        while not self._over.wait(0.02):
            for name, process in list(self._processes.items()):
                if process.poll() is not None:
                    self._processes[name] = self.popen(name)

    # --- messages and requests

    def send(self, message: Message, deadline: float = 8.0) -> Message:
        with self.client(deadline) as client:
            return client.ask(message)

    def client(self, deadline: float = 8.0) -> Client:
        """Give a client with the key of an operator, where the system has keys."""
        key = key_source(self.config, "operator")
        return Client(self.settings["zmq"]["host"], self.port, deadline=deadline, key=key)

    def tell(
        self,
        source: str,
        kind: str,
        payload: Any = None,
        *,
        id: str | None = None,  # noqa: A002
        job: str | None = None,
        outcome: Outcome | None = None,
    ) -> Message:
        """Send a message as a worker would, and give the reply."""
        return self.send(Message(source, kind, payload, id=id, job=job, outcome=outcome))

    def finish(self, worker: str, payload: Any = None) -> Message:
        """Send the ``success`` of a worker that was run by hand."""
        return self.tell(worker, "success", payload, outcome="success")

    def request(self, kind: str, payload: Any = None) -> Message:
        """Send a request as the command line does, and give the reply."""
        return self.send(Message("nowcast", kind, payload))

    def send_raw(self, *frames: bytes, timeout: float = 10.0) -> bytes | None:
        """Send a request of these frames from a plain REQ socket; None without an answer."""
        with zmq.Context() as context, context.socket(zmq.REQ) as client:
            client.linger = 0
            client.connect(f"tcp://localhost:{self.port}")
            client.send_multipart(frames)
            return client.recv() if client.poll(round(timeout * 1000)) else None

    def launch(self, worker: str, *arguments: str, host: str = "localhost") -> str:
        """Launch a worker of the package ``workers``, or a dotted module; gives the job's id."""
        module = worker if "." in worker else f"workers.{worker}"
        reply = self.request(
            "launch", {"module": module, "arguments": list(arguments), "host": host}
        )
        assert reply.type == "ack", reply
        return str(reply.payload["job"])

    # --- what has become of it

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        with Reader(self.paths.database) as reader:
            yield reader

    def job(self, job_id: str) -> JobRecord:
        with self.reader() as reader:
            return reader.job(job_id)

    def jobs(self, worker: str | None = None) -> list[JobRecord]:
        """Give the jobs, the oldest first."""
        with self.reader() as reader:
            return reader.jobs(worker=worker, limit=None)[::-1]

    def messages(self, source: str | None = None) -> list[MessageRecord]:
        """Give the messages, the oldest first."""
        with self.reader() as reader:
            return reader.messages(source=source, limit=None)[::-1]

    def job_folder(self, job_id: str) -> Path:
        return folder_of(self.paths.jobs, job_id, self.job(job_id).worker)

    def wait_for_job(self, job_id: str, *states: str, timeout: float = 30.0) -> JobRecord:
        def reached() -> JobRecord | None:
            job = self.job(job_id)
            return job if job.state in states else None

        return wait_until(reached, timeout=timeout, what=f"job {job_id} to be {states}")

    def wait_for_process_end(self, job_id: str, timeout: float = 30.0) -> JobRecord:
        """Wait until the job is closed: how its process ended is on record."""

        def closed() -> JobRecord | None:
            job = self.job(job_id)
            return job if job.exit is not None and not job.unfinished else None

        return wait_until(closed, timeout=timeout, what=f"the process of job {job_id} to end")

    def wait_for_chain(self, chain: str, timeout: float = 30.0) -> None:
        def is_over() -> bool:
            with self.reader() as reader:
                return reader.chain_is_over(chain)

        wait_until(is_over, timeout=timeout, what=f"the end of chain {chain}")

    def wait_for_message(self, number: int, *states: str, timeout: float = 30.0) -> MessageRecord:
        def reached() -> MessageRecord | None:
            with self.reader() as reader:
                message = reader.message(str(number))
            return message if message.state in states else None

        return wait_until(reached, timeout=timeout, what=f"message {number} to be {states}")

    def effects(self) -> list[tuple[str, str]]:
        """Give job and worker of each run whose user code has begun, in order."""
        file = self.folder / "effects.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(job, worker) for job, _, worker in (line.partition(" ") for line in lines)]

    def ran(self) -> list[str]:
        return [worker for _, worker in self.effects()]

    def checklist(self) -> dict[Any, Any]:
        """Give what the checklist file holds once it holds the whole journal."""
        wait_until(self.checklist_file_is_current, what="the checklist file to be current")
        return read_checklist(self.paths.checklist_file)

    def checklist_file_is_current(self) -> bool:
        from nowcast_cli.store.checklist_file import read_header

        written = read_header(self.paths.checklist_file)
        with self.reader() as reader:
            newest = reader.messages(limit=1)
        return written is not None and written >= (newest[0].number if newest else 0)

    # --- the end

    def processes(self) -> list[int]:
        """Give all processes that belong to this system, whatever they are."""
        mark = os.fsencode(self.config_file)
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if any(mark in (process / name).read_bytes() for name in ("cmdline", "environ")):
                    found.append(int(process.name))
        return [pid for pid in found if pid != os.getpid()]

    def end(self) -> None:
        """Kill everything."""
        self._over.set()
        if self._supervisor is not None:
            self._supervisor.join()

        def nobody_left() -> bool:
            left = [pid for pid in self.processes() if _lives(pid)]
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._processes.values():
                process.poll()
            return not left

        wait_until(nobody_left, what="the processes of the system to end")
        for process in self._processes.values():
            process.wait(20)
        if not self.paths.run.is_relative_to(self.folder):
            shutil.rmtree(self.paths.run, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def lives(identity: Mapping[str, Any]) -> bool:
    """Say whether the process of a ``pid`` file lives."""
    return is_alive(from_json(identity))


class Sampler:
    """Calls ``look`` again and again in a thread; ``problems`` holds what it raised."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.problems: list[str] = []
        self.samples = 0
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._look()
                self.samples += 1
            except Exception as error:
                self.problems.append(repr(error))
            time.sleep(0.002)


MakeSystem = Callable[..., System]
_SYSTEMS: pytest.StashKey[list[System]] = pytest.StashKey()


@pytest.fixture
def make_system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeSystem]:
    """Give a function that makes systems (see ``System``), each in a folder of its own."""
    systems = request.node.stash.setdefault(_SYSTEMS, [])

    def make(folder: Path | None = None, **options: Any) -> System:
        systems.append(System(folder or tmp_path / f"system{len(systems)}", **options))
        return systems[-1]

    yield make
    for each in systems:
        each.end()


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    """Give a running system with three workers, from which nothing follows."""
    return make_system().start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Show what the daemons of a failed test wrote."""
    report = yield
    if report.when == "call" and report.failed:
        given = getattr(item, "funcargs", {}).values()  # systems that several tests share
        shared = [value for value in given if isinstance(value, System)]
        for system in dict.fromkeys([*item.stash.get(_SYSTEMS, []), *shared]):
            with contextlib.suppress(Exception):
                report.sections.append((str(system.folder), system.everything_written()))
    return report
