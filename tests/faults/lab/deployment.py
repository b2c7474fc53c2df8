"""The files of a lab system: workers that leave a line first of all, and what follows from them.

``begun`` in the deployment gets ``<job id> <worker> <pid>`` from each job whose code begins,
synced, by one append: a job that begins twice is seen by two lines, whatever the journal says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lab.plans import Doing, Plan, Rule

DOING = '''\
"""What every worker of the lab does: it leaves its line, then does as it is told."""

import os


def leave_line(name):
    file = os.open("begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    job = os.environ.get("NOWCAST_JOB_ID", "by-hand")
    os.write(file, f"{job} {name} {os.getpid()}\\n".encode())
    os.fsync(file)
    os.close(file)


def main(name):
    leave_line(name)
    import json, sys, time

    import yaml
    from nowcast_cli import NowcastWorker, WorkerError

    worker = NowcastWorker(name, description=__doc__)
    worker.init_cli()
    worker.cli.add_argument("--do", type=json.loads, default={}, help="what it is to do, as JSON")

    def work(arguments, config, tell_manager):
        do, job = arguments.do, os.environ.get("NOWCAST_JOB_ID", "by-hand")
        for number in range(do.get("tells", 0)):
            tell_manager("progress", {job: {"told": number}})
        if do.get("needs"):
            try:
                tell_manager("need", do["needs"])
            except WorkerError:
                pass  # nobody has put anything there as yet
        time.sleep(do.get("sleep", 0) / 1000)
        end, ends = do.get("end"), do.get("ends")
        if ends:
            end = ends[(int(os.environ["NOWCAST_MEMBER"]) - 1) % len(ends)]
        if end == "failure":
            raise WorkerError("as it was told to")
        if end == "raise":
            raise ValueError("as it was told to")
        if end == "exit":
            os._exit(3)
        if end == "sys.exit":
            sys.exit(4)
        payload = do.get("payload")
        # Under one of 256 keys: what a system knows does not grow with its age.
        return {job[-2:]: {job: None if payload is None else yaml.safe_load(payload)}}

    worker.run(work, lambda arguments: "success", lambda arguments: "failure")
'''

WORKER = """\
from workers import doing

if __name__ == "__main__":
    doing.main({name!r})
"""

NEXT_WORKERS = """\
import functools
import json
import time

from nowcast_cli import NextWorker

TABLE = json.loads({table!r})


def follow(source, message, config, checklist):
    rule = TABLE[source].get(message.type)
    if rule is None:
        return []
    if rule["manner"] == "raise":
        raise ValueError("as the table says")
    if rule["manner"] == "slow" and time.monotonic_ns() // 1000 % 8 == 0:
        time.sleep(1.1)
    launches = [
        NextWorker(f"workers.{{worker}}", args=["--do", do], **ensemble)
        for worker, do, ensemble in rule["launches"]
    ]
    return (launches, set(rule["barrier"])) if rule["barrier"] else launches


for _worker in TABLE:
    globals()[f"after_{{_worker}}"] = functools.partial(follow, _worker)
"""


def arguments_of(doing: Doing) -> list[str]:
    """Give what a worker is launched with."""
    return ["--do", json.dumps(asdict(doing))]


def module_of(worker: str) -> str:
    """Give the dotted name of a worker's module."""
    return f"workers.{worker}"


def next_workers_of(plan: Plan) -> str:
    """Give the text of ``next_workers.py``."""
    table = {
        worker: {kind: _as_json(rule) for kind, rule in by_kind.items()}
        for worker, by_kind in plan.rules.items()
    }
    return NEXT_WORKERS.format(table=json.dumps(table))


def _as_json(rule: Rule) -> Mapping[str, Any]:
    return {
        "launches": [
            [worker, json.dumps(asdict(doing)), _ensemble_of(doing)]
            for worker, doing in rule.launches
        ],
        "barrier": list(rule.barrier),
        "manner": rule.manner,
    }


def _ensemble_of(doing: Doing) -> Mapping[str, Any]:
    if not doing.members:
        return {}
    members = list(range(1, doing.members + 1))
    return {"for_each": members, "at_most": doing.at_most, "ending": doing.ending}
