"""Workers of the lab that are commands: what they do, and what must hold of their outputs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nowcast_cli.store.records import JobRecord

if TYPE_CHECKING:
    from lab.plans import Plan
    from lab.system import LabSystem

FEATURE = "commands"
OUTPUTS = ("a", "b")
PUBLISHED = "published"
# How a command ends by the word for it: it sends nothing by itself.
BY_END = {
    "success": "succeeded",
    "failure": "failed",
    "raise": "crashed",
    "exit": "failed",
    "sys.exit": "failed",
}
SCRIPT = '''\
"""What every command of the lab does: it leaves its line, writes its outputs, ends as told."""

import json, os, signal, sys, time

name, do = sys.argv[1], json.loads(sys.argv[2])
file = os.open(sys.argv[3] + "/begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
os.write(file, f"{os.environ['NOWCAST_JOB_ID']} {name} {os.getpid()}\\n".encode())
os.fsync(file)
os.close(file)
for output in ("a", "b"):
    with open(output, "w") as opened:
        opened.write(os.environ["NOWCAST_JOB_ID"])
time.sleep(do.get("sleep", 0) / 1000)
end, ends = do.get("end"), do.get("ends")
if ends:
    end = ends[(int(os.environ["NOWCAST_MEMBER"]) - 1) % len(ends)]
if end == "raise":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit({"failure": 1, "exit": 3, "sys.exit": 4}.get(end, 0))
'''


def is_command(plan: Plan, worker: str) -> bool:
    """Say whether a worker of a plan is a command: every second one, where there are any."""
    return FEATURE in plan.features and worker in plan.workers[1::2]


def entry_of(worker: str) -> dict[str, Any]:
    """Give what the registry says of a worker that is a command."""
    return {
        "command": [
            sys.executable,
            "-S",
            "{deployment}/command.py",
            worker,
            "{do}",
            "{deployment}",
        ],
        "parameters": {"do": "{}"},
        "outputs": {name: f"{PUBLISHED}/{{job_id}}.{name}" for name in OUTPUTS},
        "marker": f"{PUBLISHED}/done-{worker}",
    }


def violations(system: LabSystem, jobs: list[JobRecord]) -> Iterator[str]:
    """Of a command that has succeeded all outputs are in place; of another one all or none."""
    folder = system.folder / PUBLISHED
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for job in jobs:
        if not is_command(system.plan, job.worker) or job.id in system.torn_jobs:
            continue
        count = sum(f"{job.id}.{name}" in there for name in OUTPUTS)
        if count not in (0, len(OUTPUTS)):
            yield f"job {job.id} ({job.worker}, {job.state}) has published {count} of its outputs"
        if job.state == "succeeded" and count == 0:
            yield f"job {job.id} ({job.worker}) has succeeded and published nothing"
        if job.state in ("failed", "crashed", "lost") and count:
            yield f"job {job.id} ({job.worker}) is {job.state} and has published its outputs"
    yield from (f"{name} was left in {folder}" for name in sorted(there) if name.startswith("."))
