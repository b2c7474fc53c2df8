"""Manager, launcher and broker are killed while jobs wait for places and are tried again."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from helpers import wait_until
from systems import MakeSystem, System

# Its begin and its end stand in a file, so that an overlap is seen whatever the store says.
MARKS = """\
import os, signal, sys, time
from pathlib import Path

from nowcast_cli import NowcastWorker, WorkerError


def main():
    worker = NowcastWorker(Path(__file__).stem, description="It marks its begin and its end.")
    worker.init_cli()
    worker.cli.add_argument("how")
    worker.run(work, lambda arguments: "success", lambda arguments: "failure")


def work(arguments, config, tell_manager):
    mark(config, "begin")
    time.sleep(0.05)
    if os.environ["NOWCAST_ATTEMPT"] == "1" and arguments.how == "crash":
        mark(config, "end")
        os.kill(os.getpid(), signal.SIGKILL)
    mark(config, "end")
    if arguments.how == "fail":
        raise WorkerError


def mark(config, what):
    words = (what, Path(__file__).stem, os.environ["NOWCAST_JOB_ID"], str(time.monotonic()))
    path = Path(config.file).parent / "marks"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, (" ".join(words) + "\\n").encode())


if __name__ == "__main__":
    main()
"""
HOW = ("well", "crash", "fail")


def _marks(system: System) -> list[list[str]]:
    file = system.folder / "marks"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def _most_at_once(marks: list[list[str]], worker: str | None) -> int:
    """Give how many were between their begin and their end at the same time."""
    most, running = 0, 0
    for what, name, _, _ in sorted(marks, key=lambda mark: float(mark[3])):
        if worker in (None, name):
            running += 1 if what == "begin" else -1
            most = max(most, running)
    return most


@pytest.mark.parametrize("seed", [1, 2])
def test_limits_and_tries_hold_whoever_is_killed(make_system: MakeSystem, seed: int) -> None:
    chance = random.Random(seed)
    retry = {"tries": 2, "delay": "0.2 s", "on": ["crash", "failure"]}
    system = make_system(settings={"jobs": {"concurrency": 3}})
    for worker, most in (("first", 1), ("second", 2)):
        system.write(f"workers/{worker}.py", MARKS)
        system.registry[worker].update({"concurrency": most, "retry": retry})
    system.write_config()
    system.start().supervise()
    wanted = {
        system.launch(worker, how): how
        for how in HOW
        for worker in ("first", "second")
        for _ in range(3)
    }
    for _ in range(8):
        time.sleep(chance.uniform(0.1, 0.6))
        victim = chance.choice(["manager", "manager", "launcher", "message_broker"])
        if system.pid(victim):
            system.kill(victim)
    wait_until(lambda: _all_over(system, wanted), timeout=120, what="the end of all chains")

    marks = _marks(system)
    assert _most_at_once(marks, "first") == 1
    assert _most_at_once(marks, "second") <= 2
    assert _most_at_once(marks, None) <= 3
    begins = Counter(job for what, _, job, _ in marks if what == "begin")
    assert set(begins.values()) == {1}, "the code of each attempt begins once"
    for chain, how in wanted.items():
        jobs = [job for job in system.jobs() if job.chain == chain]
        ends = {"well": ["succeeded"], "crash": ["crashed", "succeeded"], "fail": ["failed"] * 2}
        assert [job.state for job in jobs] == ends[how]
        assert [job.tried for job in jobs] == list(range(1, len(jobs) + 1))
        assert all(job.id in begins for job in jobs)


def _all_over(system: System, chains: dict[str, str]) -> bool:
    with system.reader() as reader:
        return all(reader.chain_is_over(chain) for chain in chains)
