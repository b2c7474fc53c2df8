"""Jobs in a real Grid Engine, with the word of ``qstat`` and ``qacct`` beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grid_engine import CLUSTER, GridEngine
from helpers import wait_until
from nowcast_cli.store.records import JobRecord
from nowcast_command import nowcast
from remote_host import Remote
from systems import MakeSystem, System

pytestmark = pytest.mark.sge

HELD = {"resources": {"extra": ["-h"]}}


@pytest.fixture
def system(grid_engine: GridEngine, make_system: MakeSystem) -> System:
    return make_system(settings={"executors": CLUSTER}).start()


def configure(system: System, worker: str, entry: Mapping[str, Any]) -> None:
    system.registry[worker] |= entry
    system.write_config()
    assert system.request("reload").type == "ack"


def wait_for_native(system: System, job: str, *states: str) -> JobRecord:
    def reached() -> JobRecord | None:
        found = system.job(job)
        return found if found.native is not None and found.native["state"] in states else None

    return wait_until(reached, timeout=30, what=f"Grid Engine to call job {job} {states}")


def test_a_job_runs_on_a_node(grid_engine: GridEngine, system: System):
    job = system.launch("first", "--payload", "7")
    ended = system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded"
    assert system.checklist() == {"first": 7}
    assert system.effects() == [(job, "first")]
    assert ended.submitted is not None
    assert ended.created <= ended.submitted
    assert ended.exit["code"] == 0
    assert ended.exit["peak_memory"] > 1_000_000
    account = wait_until(lambda: grid_engine.account(ended.native["id"], ended.id), timeout=30)
    assert account["jobname"] == f"first-nc-{job}.1"
    assert (account["failed"], account["exit_status"]) == ("0", "0")


def test_a_failure_is_told_by_the_worker_and_nobody_else(grid_engine: GridEngine, system: System):
    job = system.launch("first", "--fail")
    ended = system.wait_for_process_end(job, 60)
    assert ended.state == "failed"
    account = wait_until(lambda: grid_engine.account(ended.native["id"], ended.id), timeout=30)
    assert (account["failed"], account["exit_status"]) == ("0", "1")


def test_the_state_in_the_queue_is_told_beside_ours(grid_engine: GridEngine, system: System):
    configure(system, "first", HELD)
    job = system.launch("first", "--until", "high-water")
    held = wait_for_native(system, job, "hqw")
    number = held.native["id"]
    assert (held.state, held.native["reason"]) == ("submitting", "it is held")
    assert grid_engine.state(number) == "hqw"
    assert system.ran() == []
    grid_engine.release(number)
    system.wait_for_job(job, "running", timeout=30)
    wait_for_native(system, job, "r")
    assert grid_engine.state(number) == "r"
    system.touch("high-water")
    assert system.wait_for_process_end(job, 30).state == "succeeded"
    wait_until(lambda: grid_engine.state(number) is None, what="qstat to know it no longer")


def test_what_a_job_asks_for_reaches_grid_engine(grid_engine: GridEngine, system: System):
    wanted = {
        "cpus": 2, "memory": "4 GB", "walltime": "1h", "queue": "all.q", "account": "ocean",
        "extra": ["-ac", "step=first"],
    }  # fmt: skip
    configure(system, "first", {"resources": wanted, "directives": ["#$ -m n -js 7"]})
    job = system.launch("first")
    ended = system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded"
    account = wait_until(lambda: grid_engine.account(ended.native["id"], ended.id), timeout=30)
    assert (account["granted_pe"], account["slots"]) == ("smp", "2")
    assert (account["qname"], account["project"]) == ("all.q", "ocean")
    for part in ("h_vmem=2000000000", "h_rt=3600", "-pe smp 2", "-q all.q"):
        assert part in account["category"]


def test_a_job_that_waits_is_cancelled(grid_engine: GridEngine, system: System):
    configure(system, "first", HELD)
    job = system.launch("first")
    number = wait_for_native(system, job, "hqw").native["id"]
    assert system.request("cancel", {"job": job}).type == "ack"
    assert system.wait_for_process_end(job, 30).state == "cancelled"
    assert grid_engine.state(number) is None
    assert system.ran() == []


def test_a_job_that_runs_is_cancelled(grid_engine: GridEngine, system: System):
    job = system.launch("first", "--sleep", "600")
    running = system.wait_for_job(job, "running", timeout=30)
    wait_until(lambda: system.ran() == ["first"], what="its code to begin")
    assert system.request("cancel", {"job": job}).type == "ack"
    assert system.wait_for_process_end(job, 30).state == "cancelled"
    number = running.native["id"]
    wait_until(lambda: grid_engine.state(number) is None, what="qstat to know it no longer")


def test_one_look_tells_of_all_jobs(grid_engine: GridEngine, system: System):
    configure(system, "first", HELD)
    jobs = [system.launch("first") for _ in range(12)]
    for job in jobs:
        wait_for_native(system, job, "hqw")
    before = len(grid_engine.calls("qstat"))
    wait_until(lambda: len(grid_engine.calls("qstat")) > before + 3, what="some more looks")
    assert set(grid_engine.calls("qstat")) == {"-u $user -xml"}
    assert len(grid_engine.calls("qsub")) == 12
    assert grid_engine.calls("qacct") == []


def test_a_job_that_grid_engine_refuses_has_crashed_and_says_why(
    grid_engine: GridEngine, system: System
):
    configure(system, "first", {"resources": {"queue": "tidal.q"}})
    refused = system.wait_for_process_end(system.launch("first"), 30)
    assert refused.state == "crashed"
    assert 'unknown queue "tidal.q"' in refused.reason
    assert system.ran() == []
    assert len(grid_engine.calls("qsub")) == 1


def test_the_parallel_environment_of_the_site_is_named_and_reloaded(
    grid_engine: GridEngine, make_system: MakeSystem
):
    cluster = {"kind": "sge", "poll": 0.3, "parallel environment": "threaded"}
    system = make_system(settings={"executors": {"default": "cluster", "cluster": cluster}})
    system.registry["first"]["resources"] = {"cpus": 2}
    system.write_config()
    system.start()
    refused = system.wait_for_process_end(system.launch("first"), 30)
    assert refused.state == "crashed"
    assert 'the requested parallel environment "threaded" does not exist' in refused.reason
    assert "`parallel environment:` of the executor" in refused.reason
    cluster["parallel environment"] = "smp"
    system.write_config()
    assert system.request("reload").type == "ack"
    assert system.wait_for_process_end(system.launch("first"), 30).state == "succeeded"


def test_a_queue_that_is_full_takes_the_job_later(grid_engine: GridEngine, system: System):
    grid_engine.configure(max_u_jobs="1")
    other = grid_engine.submit("sleep 600")
    job = system.launch("first")
    wait_until(
        lambda: "takes no more jobs at present" in str((system.health() or {}).get("trouble")),
        timeout=20,
        what="the manager to say so",
    )
    assert system.job(job).state == "submitting"
    grid_engine.run("qdel", other)
    assert system.wait_for_process_end(job, 60).state == "succeeded"
    assert system.ran() == ["first"]


def test_its_health_is_told_and_a_job_is_tried(grid_engine: GridEngine, system: System):
    told = nowcast(system.folder, "executor", "list").out
    assert "Grid Engine; 4 of 4 slots free in all.q" in told
    assert "executor cluster: a job ran (job " in nowcast(system.folder, "doctor").out
    grid_engine.kill("qmaster")
    told = nowcast(system.folder, "executor", "list")
    assert "commlib error" in told.out
    assert "try qstat -g c -xml" in told.err


def test_jobs_have_their_folders_where_the_nodes_see_them(
    grid_engine: GridEngine, make_system: MakeSystem, tmp_path: Path
):
    shared = tmp_path / "shared" / "jobs"
    settings = {"executors": CLUSTER, "jobs directory": str(shared)}
    system = make_system(settings=settings).start()
    job = system.launch("first", "--payload", "7")
    assert system.wait_for_process_end(job, 60).state == "succeeded"
    assert system.job_folder(job).is_relative_to(shared)
    assert list(shared.glob(".code/*.pyz")) != []
    assert not (system.paths.state / "jobs").exists()
    assert "executor cluster: a job ran (job " in nowcast(system.folder, "doctor").out
    assert [path.name for path in shared.iterdir() if path.name.startswith(".trial")] == []
    here = system.launch("second", host="local")
    assert system.wait_for_process_end(here, 60).state == "succeeded"
    assert system.job_folder(here).is_relative_to(shared)


@pytest.mark.ssh
def test_a_head_node_is_reached_by_ssh(grid_engine: GridEngine, remote: Remote):
    system = remote.system
    remote.there.write("envvars.sh", f'export PATH="{grid_engine.commands}:$PATH"\n')
    system.settings["executors"] = {"head": {"kind": "sge", "host": "east", "poll": 0.3}}
    system.write_config()
    assert system.request("reload").type == "ack"
    job = system.launch("first", "--payload", "7", host="head")
    ended = system.wait_for_process_end(job, 60)
    assert (ended.state, ended.executor, ended.host) == ("succeeded", "head", "east")
    wait_until(lambda: grid_engine.account(ended.native["id"], job), timeout=30, what="qacct")
    assert system.ran() == ["first"]
