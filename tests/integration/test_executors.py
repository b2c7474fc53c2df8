"""Where jobs run, how long they take, and what is told of both: on real systems."""

from __future__ import annotations

import json
import sqlite3
from importlib import resources

import pytest

from helpers import wait_until
from nowcast_cli.store.records import JobRecord
from nowcast_command import nowcast
from remote_host import Remote
from slurm_system import Slurm
from systems import MakeSystem, System
from webhook import Webhook

ssh = pytest.mark.ssh


def with_executors(remote: Remote, executors: object, **of_first: object) -> System:
    system = remote.system
    system.settings["executors"] = executors
    system.registry["first"] |= of_first
    system.write_config()
    assert system.request("reload").type == "ack"
    return system


def place_of(system: System, job_id: str) -> tuple[str, str]:
    job = system.wait_for_process_end(job_id, 20)
    assert job.state == "succeeded"
    return job.executor, job.host


@ssh
def test_a_job_goes_where_its_launch_its_worker_or_the_default_says(remote: Remote) -> None:
    system = with_executors(remote, {"default": "east"}, executor="local")
    assert place_of(system, system.launch("first")) == ("local", "localhost")
    assert place_of(system, system.launch("first", host="east")) == ("ssh", "east")
    assert place_of(system, system.launch("second")) == ("ssh", "east")
    assert place_of(system, system.launch("second", host="local")) == ("local", "localhost")
    assert system.ran() == ["first", "second"]
    assert remote.ran() == ["first", "second"]


@ssh
def test_a_next_worker_may_name_an_executor(remote_chain: Remote) -> None:
    """``second`` is launched by ``NextWorker('workers.second', host='far')``."""
    far = {"kind": "ssh", "host": "east", "resources": {"walltime": "1h"}}
    system = with_executors(remote_chain, {"far": far})
    system.write_after({"first": "[NextWorker('workers.second', host='far')]"})
    system.wait_for_chain(system.launch("first"), timeout=30)
    (job,) = system.jobs("second")
    assert (job.executor, job.host, job.state) == ("far", "east", "succeeded")
    request = json.loads((system.job_folder(job.id) / "job.json").read_text())
    assert (request["executor"], request["resources"]) == ("far", {"walltime": 3600.0})


def test_a_launch_that_names_nothing_known_ends_with_a_sentence(system: System) -> None:
    job = system.wait_for_job(system.launch("first", host="clustr"), "crashed")
    assert job.reason == "the host 'clustr' is not among `run: enabled hosts` (none)"
    done = nowcast(system.folder, "run-worker", "--host", "slrum", "first")
    assert done.code == 2
    assert "did you mean 'slurm'?" in done.err


def test_the_walltime_ends_a_job_of_this_machine(make_system: MakeSystem) -> None:
    system = make_system(settings={"executors": {"local": {"resources": {"walltime": "1s"}}}})
    system.registry["second"]["timeout"] = "1h"
    system.write_config()
    system.start()
    free = system.launch("second", "--sleep", "60")
    job = system.wait_for_job(system.launch("first", "--sleep", "60"), "timed out", timeout=20)
    assert job.reason == "it ran for longer than its timeout of 1 s and was ended"
    assert system.job(free).state == "running"


def begun_long_ago(system: System, job_id: str, seconds: float) -> None:
    """Let a job that runs have begun so many seconds before it did."""
    file = system.job_folder(job_id) / "pid"
    claim = json.loads(file.read_text())
    claim["uptime"] -= seconds
    file.write_text(json.dumps(claim))


def told_slow(system: System) -> list[str]:
    return [line for line in system.log().splitlines() if "that succeeded took" in line]


def test_a_job_that_takes_far_longer_than_ever_is_told_once(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    """In the log, by `nowcast status`, to the operators; and not again by the next manager."""
    notify = {"operators": {"to": f"json://{webhook.address}/hook", "events": ["slow"]}}
    system = make_system(settings={"notify": notify}).start()
    for _ in range(5):
        system.wait_for_process_end(system.launch("first"))
    few = system.launch("second", "--until", "go")
    slow = system.launch("first", "--until", "go")
    for job in (few, slow):
        system.wait_for_job(job, "running")
        begun_long_ago(system, job, 3600)
    system.restart()

    def told() -> JobRecord | None:
        job = system.job(slow)
        return job if job.slow is not None else None

    assert wait_until(told, timeout=20, what="the slow job to be told").state == "running"
    assert system.job(few).slow is None, "there is no history to tell by"
    status = nowcast(system.folder, "status")
    assert status.code == 5
    assert f"first (job {slow[-8:]}) has run since" in status.out
    (told_as,) = nowcast(system.folder, "status", "--json").json["slow"]
    assert (told_as["worker"], told_as["job"]) == ("first", slow)
    wait_until(lambda: webhook.accepted, timeout=20, what="the operators to be told")
    system.restart()
    system.restart()
    time_of_a_turn = system.launch("third")
    system.wait_for_process_end(time_of_a_turn)
    assert len(told_slow(system)) == 1
    assert [message.type for message in system.messages("nowcast")].count("slow") == 1
    system.touch("go")
    system.wait_for_process_end(slow)
    (posted,) = webhook.accepted
    assert "first takes far longer than it ever did" in json.dumps(posted)
    assert nowcast(system.folder, "status", "--json").json["slow"] == []


def test_what_jobs_cost_is_shown(system: System) -> None:
    for arguments in (["--sleep", "0.3"], [], ["--fail"]):
        job = system.launch("first", *arguments)
        system.wait_for_process_end(job)
    (newest, *_) = nowcast(system.folder, "job", "list", "--json").json["jobs"]
    assert newest["executor"] == "local"
    assert 0 <= newest["queue_wait"] < 10
    assert 0 < newest["run_time"] < 10
    assert newest["peak_memory"] > 1_000_000
    assert newest["cpu_seconds"] >= 0
    shown = nowcast(system.folder, "job", "show", job[-8:]).out
    assert "executor   local" in shown
    stats = nowcast(system.folder, "job", "stats", "first", "--json").json
    assert (stats["jobs"], stats["succeeded"]) == (3, 2)
    assert stats["run_time"]["count"] == 2
    assert stats["run_time"]["most"] > 0.3 > stats["run_time"]["p50"]
    assert stats["queue_wait"]["count"] == 3
    told = nowcast(system.folder, "job", "stats", "first", "--since", "1h").out
    assert told.startswith("first: 3 jobs, of which 2 succeeded (66.7 %)")
    assert "run time" in told
    system.wait_for_process_end(system.launch("second"))
    one = nowcast(system.folder, "job", "stats", "second").out
    assert one.startswith("second: 1 job, of which 1 succeeded (100.0 %)")
    none = nowcast(system.folder, "job", "stats", "frist")
    assert "did you mean 'first'?" in none.err


@ssh
def test_executors_are_listed_with_their_health_and_load(remote: Remote) -> None:
    system = with_executors(remote, {"default": "east"})
    running = system.launch("first", "--until", "go", host="local")
    there = system.launch("second", "--until", "go")
    for job in (running, there):
        system.wait_for_job(job, "running", timeout=20)
    listed = {
        each["name"]: each
        for each in nowcast(system.folder, "executor", "list", "--json").json["executors"]
    }
    assert {*listed} == {"east", "local"}  # where jobs go to unasked, and where there are some
    assert listed["local"]["running"] == 1
    assert (listed["east"]["kind"], listed["east"]["default"]) == ("ssh", True)
    assert listed["east"]["reached"]
    assert (listed["east"]["running"], listed["east"]["queued"]) == (1, 0)
    assert "east      1 running" in nowcast(system.folder, "status").out
    remote.sshd.stop()
    system.kill("manager")
    shown = nowcast(system.folder, "executor", "list")
    assert "✗ host east cannot be reached by ssh" in shown.out
    assert "east (default)  ssh" in shown.out


@ssh
def test_the_doctor_sends_a_job_to_each_executor(remote: Remote) -> None:
    system = remote.system
    checks = nowcast(system.folder, "doctor", "--json").json["checks"]
    (check,) = (check for check in checks if check["name"] == "executors")
    assert [each["level"] for each in check["findings"]] == ["note", "note"]
    here, east = (each["what"] for each in check["findings"])
    assert here.startswith("executor local: a job ran and ended after")
    assert east.startswith("executor east: a job ran and ended after")
    assert list(system.paths.state.glob(".trial-*")) == []
    assert [*remote.home.glob("jobs/*/*-trial")] == []
    assert system.jobs() == []


def test_a_system_that_is_down_is_left_without_a_launcher(make_system: MakeSystem) -> None:
    system = make_system().start()
    system.pid("launcher")
    for name in ("manager", "message_broker", "launcher"):
        system.kill(name)
    checks = nowcast(system.folder, "doctor", "--json").json["checks"]
    (check,) = (check for check in checks if check["name"] == "executors")
    assert [each["level"] for each in check["findings"]] == ["note"]
    assert system._launcher() is None


OLD = 5  # schema: the last one that knew hosts alone


def as_before(system: System) -> None:
    """Make store and folders what they were before there were executors."""
    files = sorted(
        (each for each in resources.files("nowcast_cli.store.schema").iterdir()
         if each.name.endswith(".sql")), key=lambda each: each.name,
    )  # fmt: skip
    old = system.paths.database.with_suffix(".old")
    with sqlite3.connect(old) as connection:
        for file in files[:OLD]:
            connection.executescript(file.read_text())
        connection.execute(f"PRAGMA user_version = {OLD}")
        connection.execute("DELETE FROM leader")
        connection.execute("DELETE FROM checklist_state")
        connection.commit()
        connection.execute("ATTACH ? AS new", (str(system.paths.database),))
        tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            columns = ", ".join(
                row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
            )
            connection.execute(f"INSERT INTO main.{table} SELECT {columns} FROM new.{table}")
    connection.close()
    for path in system.paths.state.glob("nowcast.db*"):
        path.unlink()
    old.replace(system.paths.database)
    for file in system.paths.jobs.glob("*/*/job.json"):
        request = json.loads(file.read_text())
        for key in ("executor", "host", "resources", "directives", "ensemble", "command"):
            request.pop(key, None)
        file.write_text(json.dumps(request))


@ssh
def test_jobs_of_before_there_were_executors_go_on(remote: Remote) -> None:
    system = remote.system
    here = system.launch("first", "--until", "go")
    there = system.launch("second", "--until", "go", host="east")
    for job in (here, there):
        system.wait_for_job(job, "running", timeout=20)
    system.kill("manager")
    as_before(system)
    shown = nowcast(system.folder, "job", "list").out
    assert "running" in shown
    assert nowcast(system.folder, "job", "stats", "first").code == 0
    assert nowcast(system.folder, "status", "--json").json["slow"] == []
    system.start("manager")
    system.touch("go")
    remote.there.touch("go")
    for job, place in ((here, ("local", "localhost")), (there, ("ssh", "east"))):
        ended = system.wait_for_process_end(job, 20)
        assert (ended.state, ended.executor, ended.host) == ("succeeded", *place)
        assert ended.submitted is None
    assert system.ran() == ["first"]
    assert remote.ran() == ["second"]


@pytest.mark.slurm
def test_a_batch_system_is_listed_tried_and_told_of(slurm: Slurm, make_system: MakeSystem) -> None:
    cluster = {"kind": "slurm", "poll": 0.3, "resources": {"memory": "100 MB", "cpus": 64}}
    system = make_system(settings={"executors": {"default": "cluster", "cluster": cluster}})
    system.start()
    # What is asked for by default is more than any node has; the worker and the trial ask for less.
    system.registry["first"]["resources"] = {"cpus": 1}
    system.write_config()
    assert system.request("reload").type == "ack"
    job = system.launch("first", "--until", "go")
    system.wait_for_job(job, "running", timeout=60)
    wait_until(
        lambda: (system.job(job).native or {}).get("state") == "RUNNING", timeout=60, what="Slurm"
    )
    (listed,) = nowcast(system.folder, "executor", "list", "--json").json["executors"]
    assert (listed["name"], listed["kind"], listed["default"]) == ("cluster", "slurm", True)
    assert listed["reached"], listed
    assert (listed["running"], listed["states"]) == (1, {"RUNNING": 1})
    assert "cluster   1 running\n" in nowcast(system.folder, "status").out
    native = system.job(job).native
    assert native is not None
    shown = nowcast(system.folder, "job", "show", job).out
    assert f"cluster: {native['id']}, RUNNING" in shown
    checks = nowcast(system.folder, "doctor", "--json").json["checks"]
    (finding,) = next(check for check in checks if check["name"] == "executors")["findings"]
    assert finding["level"] == "note", finding
    assert "executor cluster: a job ran (job " in finding["what"]
    assert list(system.paths.state.glob(".trial-*")) == []
    system.touch("go")
    assert system.wait_for_process_end(job, 60).state == "succeeded"
