"""The time from worker to worker in a chain, and of a fan-out, beside the bare cost of processes.

``.venv/bin/python tests/benchmarks/launch_path.py [ROUNDS]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import yaml  # noqa: F401  both are part of what is measured in the warm fork
import zmq
from deployment import Deployment, deployment, running_system

from helpers import wait_until
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message

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
    with Client("localhost", made.workers_port) as client:
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


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
