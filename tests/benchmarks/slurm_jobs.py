"""What jobs in Slurm cost us: the submission of each, and a thousand that wait, in a real Slurm.

``.venv/bin/python tests/benchmarks/slurm_jobs.py [JOBS [SECONDS]]``: how many jobs, and for how
long the manager of those that wait is watched. No job begins: all nodes are drained.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from deployment import SCRATCH

from executor_helpers import JobSystem
from helpers import wait_until
from nowcast_cli.config.executors import ExecutorSettings
from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.executors import batch_folder
from nowcast_cli.executors.batch import BatchExecutor
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.remote_executor import Surroundings, Target
from nowcast_cli.executors.slurm import Slurm as SlurmAdapter
from slurm_system import NODES, Slurm
from systems import System

POLL = 10.0  # s, as where nothing is configured
ROUNDS = 15


def bare(jobs: list[JobRequest], paths: SystemPaths) -> float:
    """Give the seconds that sbatch takes for each job, with the same script and options."""
    system, code = SlurmAdapter(), batch_folder.install(paths.state / "code")
    commands = []
    for job in jobs:
        script = batch_folder.script_of(system, job, sys.executable, code)
        file = batch_folder.prepare(job, script)
        commands.append(system.submit(str(file), batch_folder.token_of(job), job))
    began = time.monotonic()
    for command in commands:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return (time.monotonic() - began) / len(jobs)


def by_executor(jobs: list[JobRequest], executor: BatchExecutor) -> tuple[float, float]:
    """Give the seconds, and those of our CPU, that the executor takes for each job."""
    began, cpu = time.monotonic(), time.process_time()
    for job in jobs:
        executor.submit(job)
    while not all(executor.native(job.id) for job in jobs):
        time.sleep(0.005)
    taken = time.monotonic() - began, time.process_time() - cpu
    for job in jobs:
        executor.forget(job.id)
    return taken[0] / len(jobs), taken[1] / len(jobs)


def submissions(folder: Path) -> None:
    """Measure both in turn: on a busy machine one minute is not like the other."""
    jobs = JobSystem(folder)
    target = Target(ExecutorSettings("cluster", "slurm", poll=POLL))
    around = Surroundings(jobs.paths, sys.executable)
    executor = BatchExecutor(target, around, lambda _: SlurmAdapter())
    alone, ours = [], []
    with contextlib.closing(jobs.executor), contextlib.closing(executor):
        by_executor([jobs.job("first")], executor)  # which packs the archive
        for _ in range(ROUNDS):
            alone.append(bare([jobs.job("first") for _ in range(20)], jobs.paths))
            ours.append(by_executor([jobs.job("first") for _ in range(20)], executor))
    sbatch, whole = 1e3 * median(alone), 1e3 * median(seconds for seconds, _ in ours)
    print(
        f"a submission, the median of {ROUNDS} times 20: sbatch alone {sbatch:.1f} ms, by the "
        f"executor {whole:.1f} ms: {whole - sbatch:.1f} ms more "
        f"({1e3 * median(cpu for _, cpu in ours):.1f} ms CPU)"
    )


def waiting(folder: Path, slurm: Slurm, count: int, seconds: float) -> None:
    cluster = {"kind": "slurm", "poll": POLL}
    settings = {"executors": {"default": "cluster", "cluster": cluster}}
    system = System(folder, settings=settings)
    try:
        system.start()
        began = time.monotonic()
        for _ in range(count):
            system.launch("first")

        def all_wait() -> bool:
            natives = [job.native for job in system.jobs() if job.native is not None]
            return [native["state"] for native in natives] == ["PENDING"] * count

        wait_until(all_wait, timeout=600, what="all jobs to wait in Slurm")
        print(
            f"{count} jobs launched, submitted and seen to wait: {time.monotonic() - began:.1f} s"
        )
        time.sleep(POLL)
        slurm.forget_calls()
        began, cpu = time.monotonic(), system.cpu_seconds("manager")
        time.sleep(seconds)
        taken = time.monotonic() - began
        share = (system.cpu_seconds("manager") - cpu) / taken
        print(
            f"{count} jobs wait: {slurm.calls('squeue')} squeue in {taken:.0f} s; "
            f"the manager takes {100 * share:.2f} % of one CPU"
        )
    finally:
        system.end()


def main(count: int, seconds: float) -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, ignore_cleanup_errors=True) as folder:
        slurm = Slurm(Path(folder, "slurm"))
        os.environ |= slurm.environment
        try:
            slurm.start()
            drain = f"nodename={','.join(NODES)}"
            slurm.ask("scontrol", "update", drain, "state=drain", "reason=bench")
            submissions(Path(folder, "jobs"))
            waiting(Path(folder, "system"), slurm, count, seconds)
        finally:
            slurm.end()


if __name__ == "__main__":
    main(int((*sys.argv[1:], "1000")[0]), float((*sys.argv[2:], "60")[0]))
