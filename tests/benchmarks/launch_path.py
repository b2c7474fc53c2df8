"""The time from worker to worker in a chain, and of a fan-out, beside the bare cost of processes.

``.venv/bin/python tests/benchmarks/launch_path.py [ROUNDS]``.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import yaml  # noqa: F401  both are part of what is measured in the warm fork
import zmq
from at_rest import NOWCAST
from deployment import SCRATCH, Deployment, deployment, running_system

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.daemon.lock import read_pid_file
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import JobRecord

SLEEP = "nowcast_cli.workers.sleep"
CHAIN = [f"link{number:02}" for number in range(20)]
FAN = [f"fan{number:02}" for number in range(30)]


def follows(worker: str, modules: list[str]) -> str:
    """Give the after_ function by which ``modules`` follow ``worker``."""
    launches = ", ".join(f"NextWorker('workers.{module}')" for module in modules)
    return (
        f"def after_{worker}(msg, config, checklist):\n"
        f"    return {{'success': [{launches}], 'failure': [], 'crash': []}}[msg.type]\n"
    )


CHAIN_MODULE = "from nowcast_cli import NextWorker\n" + "\n".join(
    follows(worker, CHAIN[number + 1 : number + 2]) for number, worker in enumerate(CHAIN)
)
MANY_MODULE = "from nowcast_cli import NextWorker\n" + "\n".join(
    [
        follows("many", []),
        "def after_root(msg, config, checklist):",
        "    return [NextWorker('workers.many')] * config['many']",
    ]
)
FAN_MODULE = "from nowcast_cli import NextWorker\n" + "\n".join(
    [follows("root", FAN), *(follows(worker, []) for worker in FAN)]
)


def began(made: Deployment) -> dict[str, float]:
    """Give when the user code of each worker began, by the workers' own clock."""
    file = made.folder / "began.txt"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return {name: float(at) for name, at in (line.split() for line in lines)}


def run_once(made: Deployment, first: str, expected: int) -> dict[str, float]:
    """Launch the first worker and wait until the last has begun."""
    (made.folder / "began.txt").unlink(missing_ok=True)
    config = Config()
    config.load(made.config_file)
    with Client.of(config, "operator") as client:
        client.ask(Message("nowcast", "launch", {"module": f"workers.{first}", "arguments": []}))
    wait_until(lambda: len(began(made)) == expected, timeout=60, what=f"{expected} workers")
    return began(made)


def in_ms(taken: list[float]) -> str:
    """Give median and extremes in milliseconds."""
    return f"median {1e3 * median(taken):.2f} ms ({1e3 * min(taken):.2f} to {1e3 * max(taken):.2f})"


def measure_chain(rounds: int) -> None:
    """Print the time of a hop: from the beginning of a worker's code to that of the next."""
    hops = []
    with deployment(CHAIN, CHAIN_MODULE) as made, running_system(made):
        for _ in range(rounds):
            times = sorted(run_once(made, CHAIN[0], len(CHAIN)).values())
            hops += [later - earlier for earlier, later in pairwise(times)]
    print(f"  a hop in a chain of {len(CHAIN)}:         {in_ms(hops)}")


def measure_fan(rounds: int) -> None:
    """Print the time from the root's code to the beginning of the last of those that follow."""
    last, first = [], []
    with deployment(["root", *FAN], FAN_MODULE) as made, running_system(made):
        run_once(made, "root", len(FAN) + 1)
        for _ in range(rounds):
            times = run_once(made, "root", len(FAN) + 1)
            root = times.pop("root")
            first.append(min(times.values()) - root)
            last.append(max(times.values()) - root)
    print(f"  fan-out of {len(FAN)}, the first begins: {in_ms(first)}")
    print(f"  fan-out of {len(FAN)}, the last begins:  {in_ms(last)}")


def measure_many(number: int, at_once: int | None, rounds: int = 3) -> None:
    """Print the time from the first launch of many workers to the end of the last's process."""
    lasted, most = [], f", at most {at_once} at once" if at_once else ""
    sections: dict[str, object] = {"many": number}
    if at_once:
        sections["jobs"] = {"concurrency": at_once}
    with deployment(["root", "many"], MANY_MODULE, **sections) as made, running_system(made):
        for _ in range(rounds):
            before = len(ended(made))
            with Client("localhost", made.workers_port) as client:
                client.ask(Message("nowcast", "launch", {"module": "workers.root"}))
            wait_until(
                lambda least=before + 1 + number: len(ended(made)) >= least,
                timeout=300,
                what=f"the ends of {number} workers",
            )
            jobs = sorted(ended(made), key=lambda job: job[0])[before + 1 :]
            lasted.append(max(job[2] for job in jobs) - min(job[1] for job in jobs))
    words = f"{number:,} workers{most}, from the first launch to the last end:"
    print(f"  {words} {', '.join(f'{each:.2f}' for each in lasted)} s")


def ended(made: Deployment) -> list[tuple[str, float, float]]:
    """Give the jobs whose process has ended: id, when it was made, and when that was."""
    with sqlite3.connect(f"file:{made.paths.database}?mode=ro", uri=True, timeout=30) as store:
        rows = store.execute("SELECT id, created, exit FROM job WHERE exit IS NOT NULL").fetchall()
    return [
        (job, seconds(created), seconds(json.loads(exit_)["finished_at"]))
        for job, created, exit_ in rows
    ]


def seconds(text: str) -> float:
    """Give a time of the store in seconds."""
    return datetime.fromisoformat(text).timestamp()


def begun(database: Path, job_id: str) -> JobRecord | None:
    """Give the job once its process has begun."""
    with Reader(database) as reader:
        job = reader.job(job_id)
    return job if job.started is not None else None


def age_of_manager(paths: SystemPaths) -> float:
    """Give the seconds since the start of the manager; 0 while none answers."""
    health = ask_health(paths.run / "manager.sock")
    return 0.0 if health is None else time.time() - seconds(health["since"])


def measure_killed(rounds: int = 5) -> None:
    """Print the time from the death of a manager to the next worker's own code."""
    taken = []
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as parent:
        folder = Path(parent) / "toy"
        subprocess.run([NOWCAST, "init", folder], check=True, capture_output=True)
        subprocess.run([NOWCAST, "start"], cwd=folder, check=True, capture_output=True)
        config = Config()
        config.load(folder / "nowcast.yaml")
        paths = system_paths(config)
        try:
            for _ in range(rounds):
                # One that ended sooner after its start would be kept from starting for a while.
                wait_until(lambda: age_of_manager(paths) > 3.0)
                manager = read_pid_file(paths.run / "manager.pid")
                assert manager is not None
                killed = time.time()
                os.kill(manager.pid, signal.SIGKILL)
                with Client.of(config) as client:
                    reply = client.ask(Message("nowcast", "launch", {"module": SLEEP}))
                job = wait_until(lambda i=reply.payload["job"]: begun(paths.database, i))
                assert job.started is not None
                taken.append(seconds(job.started) - killed)
        finally:
            subprocess.run([NOWCAST, "stop"], cwd=folder, check=True, capture_output=True)
    print(f"  kill -9 of the manager to the next launch: {in_ms(taken)}")


def warm_double_fork(work: Callable[[], None], times: int = 100) -> list[float]:
    """Give the times from a fork of a fork of this process to the end of ``work`` in it."""
    taken = []
    for _ in range(times):
        readable, writable = os.pipe()
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            if grandchild == 0:
                os.setsid()
                work()
                os.write(writable, b"x")
                os._exit(0)
            os.waitpid(grandchild, 0)
            os._exit(0)
        os.read(readable, 1)
        taken.append(time.perf_counter() - start)
        os.waitpid(child, 0)
        os.close(readable)
        os.close(writable)
    return taken


def first_message() -> None:
    """Do what a process needs for its first ZeroMQ message."""
    request = zmq.Context().socket(zmq.REQ)
    request.linger = 0
    request.connect("tcp://127.0.0.1:9")
    request.send(b"x")


def cold(command: list[str], times: int = 20) -> list[float]:
    """Give the times of a whole process."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        taken.append(time.perf_counter() - start)
    return taken


def main(rounds: int) -> None:
    """Measure and print everything."""
    print("\nFrom worker to worker")
    print(f"  a warm double fork:             {in_ms(warm_double_fork(lambda: None))}")
    print(f"  ... with its first message:     {in_ms(warm_double_fork(first_message))}")
    print(f"  fork and exec of Python:        {in_ms(cold([sys.executable, '-c', 'pass']))}")
    imports = in_ms(cold([sys.executable, "-c", "import zmq, yaml"]))
    print(f"  ... with zmq and yaml imported: {imports}")
    measure_chain(rounds)
    measure_fan(rounds)
    measure_many(200, None)
    measure_many(1000, 20, rounds=1)
    measure_killed()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
