"""200 commands that do nothing, from the first launch to the last `exit` taken in.

``.venv/bin/python tests/benchmarks/command_steps.py [NUMBER [ROUNDS]]``, beside as many bare forks
of this machine: a process that forks one that forks ``true`` and waits for it, one by one.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import median

from deployment import TICKS, Deployment, cpu_seconds, deployment, median_fsync_ms, running_system

from executor_helpers import children_of
from helpers import wait_until
from nowcast_cli.daemon.lock import read_pid_file
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message

NEXT_WORKERS = """\
from nowcast_cli import NextWorker


def after_root(msg, config, checklist):
    return [NextWorker("nothing")] * config["many"]


def after_nothing(msg, config, checklist):
    return []
"""
MESSAGES = {"success": "good", "failure": "bad", "crash": "crashed"}
BARE = """\
import os, sys, time
began = time.perf_counter()
for _ in range(int(sys.argv[1])):
    first = os.fork()
    if first == 0:
        second = os.fork()
        if second == 0:
            os.execv("/bin/true", ["true"])
        os.waitpid(second, 0)
        os._exit(0)
    os.waitpid(first, 0)
print(time.perf_counter() - began)
"""


def bare_forks(number: int) -> float:
    """Give the seconds for so many runs of ``true``, each the child of a child, one by one."""
    command = [sys.executable, "-S", "-c", BARE, str(number)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def command_steps(number: int, rounds: int) -> tuple[list[float], dict[str, float]]:
    """Give the seconds of each round, and the CPU time a job of the daemons."""
    taken = []
    with deployment(["root"], NEXT_WORKERS, many=number) as made:
        _register_command(made)
        with running_system(made) as (_, manager):
            _run(made, number)
            launcher = read_pid_file(made.paths.run / "launcher.pid")
            assert launcher is not None
            helper = next(pid for pid in children_of(launcher.pid) if _is_helper(pid))
            watched = {"manager": manager.pid, "launcher": launcher.pid, "its helper": helper}

            def look() -> dict[str, float]:
                found = {name: cpu_seconds(pid) for name, pid in watched.items()}
                runners = children_of(helper)
                found["runners"] = sum(cpu_seconds(pid) for pid in runners)
                return {**found, "commands": sum(_of_children(pid) for pid in runners)}

            before = look()
            taken = [_run(made, number) for _ in range(rounds)]
            used = {
                name: 1e3 * (after - before[name]) / number / rounds
                for name, after in look().items()
            }
    return taken, used


def _is_helper(pid: int) -> bool:
    return b"command_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _of_children(pid: int) -> float:
    """Give the CPU time of the children that a process has waited for, and of theirs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def _register_command(made: Deployment) -> None:
    import yaml

    settings = yaml.safe_load(made.config_file.read_text())
    workers = settings["message registry"]["workers"]
    workers["root"] = {"command": "true", **MESSAGES}
    workers["nothing"] = {"command": "true", **MESSAGES}
    made.config_file.write_text(yaml.safe_dump(settings))


def _run(made: Deployment, number: int) -> float:
    before = _ended(made)[0]
    with Client("localhost", made.workers_port) as client:
        client.ask(Message("nowcast", "launch", {"module": "root"}))
    wait_until(
        lambda: _ended(made)[0] >= before + number + 1, timeout=120, what=f"{number} commands"
    )
    return _ended(made)[1]


def _ended(made: Deployment) -> tuple[int, float]:
    """Give how many jobs are closed, and how long those of the last chain have taken."""
    with sqlite3.connect(f"file:{made.paths.database}?mode=ro", uri=True, timeout=30) as store:
        (count,) = store.execute(
            "SELECT count(*) FROM job WHERE exit IS NOT NULL AND ended IS NOT NULL"
        ).fetchone()
        row = store.execute(
            "SELECT min(created), max(ended) FROM job WHERE worker = 'nothing'"
            " AND chain = (SELECT chain FROM job ORDER BY id DESC LIMIT 1)"
        ).fetchone()
    from datetime import datetime

    if None in row:
        return count, 0.0
    first, last = (datetime.fromisoformat(each) for each in row)
    return count, (last - first).total_seconds()


def main(number: int = 200, rounds: int = 5) -> None:
    """Measure and print."""
    print(f"\n{number} commands (`true`)")
    bare = median(bare_forks(number) for _ in range(3))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    of_bare = 1e3 * (spent.ru_utime + spent.ru_stime) / 3 / number
    taken, used = command_steps(number, rounds)
    with deployment(["x"], "") as made:
        fsync = median_fsync_ms(made.folder)
    print(f"  bare double forks with exec, one by one:   {bare:.2f} s, CPU {of_bare:.1f} ms each")
    print(
        f"  from the first launch to the last end:     median {median(taken):.2f} s "
        f"({min(taken):.2f} to {max(taken):.2f}), {median(taken) / bare:.1f} times that"
    )
    words = ", ".join(f"{name} {ms:.1f}" for name, ms in used.items())
    print(f"  CPU time a job, in ms:                     {words}")
    print(f"  an fsync of 4 KiB:                         {fsync:.2f} ms")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*(int(each) for each in sys.argv[1:3]))
