"""What a step of a flow says of its job gets there, on any executor: its environment, its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.store.flow_records import FlowRunRecord
from remote_host import Remote
from slurm_system import Slurm
from systems import MakeSystem, System

TELLS = """
import json, os, sys
names = ("SPEED", "PYTHONHASHSEED", "NOWCAST_ATTEMPT", "RUN_DATE")
print(json.dumps({name: os.environ.get(name) for name in names}))
sys.exit(3 if os.environ["NOWCAST_ATTEMPT"] == "1" and "--fail" in sys.argv else 0)
"""
STEP: dict[str, Any] = {
    "worker": "first",
    "environment": {"SPEED": "{speed} kn", "PYTHONHASHSEED": 7, "RUN_DATE": "{item}"},
    "for each": ["2026-11-22"],
}
TOLD = {"SPEED": "12 kn", "PYTHONHASHSEED": "7", "NOWCAST_ATTEMPT": "1", "RUN_DATE": "2026-11-22"}


def flow(**more: Any) -> dict[str, Any]:
    return {"flows": {"f": {"parameters": {"speed": 12}, "steps": {"go": {**STEP, **more}}}}}


def begin(system: System) -> str:
    reply = system.request("run flow", {"flow": "f"})
    assert reply.type == "ack", reply.payload
    return str(reply.payload["run"])


def job_of(system: System, run: str) -> str:
    def found() -> str | None:
        with system.reader() as reader:
            record: FlowRunRecord = reader.flow_run(run)
        return next((step.job for step in record.steps.values() if step.job), None)

    return wait_until(found, timeout=30, what="the job of the step")


def told(system: System, job: str) -> Any:
    """Give what a job has printed of its environment, once it has ended."""
    system.wait_for_process_end(job, 60)
    return json.loads((system.job_folder(job) / "stdout").read_text())


def test_a_module_gets_the_environment_of_its_step_also_when_it_is_tried_again(
    make_system: MakeSystem,
) -> None:
    settings = flow(args="--fail", retry={"tries": 2})
    system = make_system(settings=settings)
    system.write("workers/first.py", TELLS)
    system.start()
    run = begin(system)
    first = job_of(system, run)
    assert told(system, first) == TOLD
    second = wait_until(
        lambda: next((job.id for job in system.jobs("first") if job.attempt == 2), None),
        timeout=30,
        what="the second attempt",
    )
    assert told(system, second) == {**TOLD, "NOWCAST_ATTEMPT": "2"}
    again = system.request("rerun", {"job": second}).payload["job"]
    assert told(system, again) == {**TOLD, "NOWCAST_ATTEMPT": "3"}


def test_a_command_gets_the_environment_of_its_step_before_its_own(
    make_system: MakeSystem,
) -> None:
    system = make_system(settings=flow())
    system.registry["first"] = {
        "command": ["sh", "-c", 'echo "[\\"$SPEED\\", \\"$COLOUR\\", \\"$RUN_DATE\\"]"'],
        "environment": {"SPEED": "slow", "COLOUR": "blue"},
        "success": "told it",
        "failure": "did not",
        "crash": "fell over",
    }
    system.write_config()
    system.start()
    assert told(system, job_of(system, begin(system))) == ["12 kn", "blue", "2026-11-22"]


@pytest.mark.ssh
def test_a_job_on_another_host_gets_the_environment_of_its_step(remote: Remote) -> None:
    system = remote.system
    system.settings |= flow(executor="east")
    system.write_config()
    assert system.request("reload").type == "ack"
    remote.there.write("workers/first.py", TELLS)
    job = job_of(system, begin(system))
    assert told(system, job) == TOLD
    assert (system.job(job).host, system.job(job).executor) == ("east", "ssh")


@pytest.mark.slurm
def test_a_job_of_a_batch_system_gets_the_environment_of_its_step(
    slurm: Slurm, make_system: MakeSystem
) -> None:
    assert slurm
    cluster = {"kind": "slurm", "poll": 0.3, "resources": {"memory": "100 MB"}}
    system = make_system(settings={"executors": {"cluster": cluster}, **flow(executor="cluster")})
    system.write("workers/first.py", TELLS)
    system.start()
    job = job_of(system, begin(system))
    assert told(system, job) == TOLD
    assert system.job(job).executor == "cluster"


def test_any_message_of_a_worker_begins_a_flow_that_waits_for_it(make_system: MakeSystem) -> None:
    on = {"message": "second", "type": "progress", "parameters": {"part": "{payload.part}"}}
    steps = {"go": {"action": "?Any@ASYNC?go"}}
    system = make_system(
        settings={"flows": {"f": {"on": on, "parameters": {"part": 0}, "steps": steps}}}
    ).start()
    system.tell("second", "progress", {"part": 7}, id="once")
    system.tell("second", "progress", {"part": 7}, id="once")
    system.finish("second", {"part": 8})

    def runs() -> list[FlowRunRecord]:
        with system.reader() as reader:
            return reader.flow_runs("f", 10)

    wait_until(runs, what="the run")
    assert [(run.parameters, run.origin.partition(", ")[2]) for run in runs()] == [
        ({"part": 7}, "progress of second")
    ]
