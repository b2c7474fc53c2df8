"""What workers on another host log and leave: by a real sshd alone, without a port for logs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.config.executors import ExecutorSettings
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.doctor.examination import CHECKS
from nowcast_cli.doctor.finding import Subject
from nowcast_cli.doctor.hosts import other_hosts
from nowcast_cli.executors.clearing import Clearing
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.remote_executor import Target
from nowcast_cli.executors.ssh import SshExecutor
from nowcast_command import nowcast
from ports import free_ports

pytestmark = pytest.mark.ssh


def test_the_records_of_a_job_come_into_the_systems_log_while_it_runs_and_to_their_end(remote):
    system = remote.system
    system.start("log_aggregator")
    job = system.launch("first", "--until", "high-water", "--print", "no record", host="east")
    wait_until(lambda: "[first] running in process" in system.log(), timeout=20, what="a record")
    assert "[first] sending log messages to the log aggregator" in system.log()
    remote.there.touch("high-water")
    system.wait_for_process_end(job, 20)
    wait_until(lambda: "[first] shutting down" in system.log(), what="the last record")
    assert system.log().count("[first] running in process") == 1
    wait_until(lambda: "WARNING [first] no record" in system.log(), what="what it printed")
    here, there = system.job_folder(job), remote.folder(job)
    assert (here / "records").read_bytes() == (there / "records").read_bytes()
    assert not list(remote.there.folder.rglob("*.log"))


def test_records_that_were_made_while_the_host_was_away_come_when_it_is_back(remote):
    system = remote.system
    system.start("log_aggregator")
    job = system.launch("first", "--until", "high-water", host="east")
    wait_until(lambda: remote.has_begun(job), what="the job to begin")
    remote.sshd.stop()
    remote.there.touch("high-water")
    wait_until(lambda: "shutting down" in (remote.folder(job) / "records").read_text())
    ended = time.strftime("%Y-%m-%d %H:%M:%S")
    remote.wait_for_trouble("cannot be reached")
    remote.sshd.start()
    wait_until(lambda: "[first] shutting down" in system.log(), timeout=40, what="the last record")
    [line] = [line for line in system.log().splitlines() if "[first] shutting down" in line]
    assert line[:19] <= ended


def age(folder: Path, days: float) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - days * 86_400,) * 2)


def test_what_is_known_here_is_cleared_there_a_while_after_the_end(remote):
    """By an executor that waits for less than half a minute; the silence is made up."""
    system = remote.system
    job = system.launch("first", "--print", "no record", host="east")
    system.wait_for_process_end(job, 20)
    there, here = remote.folder(job), system.job_folder(job)
    age(there, 1)
    host = remote_hosts(system.config, "nowcast.yaml")["east"]
    target = Target(ExecutorSettings("east", "ssh", "east"), host)
    executor = SshExecutor(target, system.paths.run, clearing=Clearing(0.1))
    try:
        executor.follow(JobRequest.from_json(json.loads((here / "job.json").read_text())))
        wait_until(
            lambda: {path.name for path in there.iterdir()} == {"pid", "exit"},
            what="the rest to go",
        )
    finally:
        executor.close()
    assert "no record" in (here / "stderr").read_text()
    assert system.job(job).state == "succeeded"


def test_clean_removes_on_the_other_host_what_it_removes_here(remote):
    system = remote.system
    jobs = [system.launch("first", host="east") for _ in range(3)]
    for job in jobs:
        system.wait_for_process_end(job, 20)
    old, scratch, new = jobs
    (remote.folder(scratch) / "scratch/half.nc").touch()
    scratch_here = system.job_folder(scratch) / "scratch"
    scratch_here.mkdir()
    (scratch_here / "note").touch()
    age(system.job_folder(old), 31)
    age(system.job_folder(scratch), 8)
    assert nowcast(system.folder, "clean", "--dry-run").out.count("would remove") == 1
    assert remote.folder(old).exists()

    remote.sshd.stop()
    there_away = nowcast(system.folder, "clean", "--yes", "--json")
    assert there_away.code == 1
    [first, _] = json.loads(there_away.out)["failed"]
    assert "east cannot be reached" in first["reason"]
    assert system.job_folder(old).exists()

    remote.sshd.start()
    cleaned = nowcast(system.folder, "clean", "--yes", "--json")
    assert cleaned.code == 0, cleaned.out
    assert json.loads(cleaned.out)["hosts"] == {"east": 2}
    assert not list(remote.home.glob(f"jobs/*/{old}-*"))
    assert not (remote.folder(scratch) / "scratch").exists()
    assert (remote.folder(new) / "stdout").exists()


def test_a_worker_is_run_on_a_named_host(remote):
    ended = nowcast(
        remote.system.folder, "run-worker", "--host", "east", "first", "--", "--sleep", "0"
    )
    assert ended.code == 0, ended.err
    assert remote.ran() == ["first"]
    assert remote.system.jobs()[0].host == "east"
    wrong = nowcast(remote.system.folder, "run-worker", "--host", "eats", "first")
    assert (wrong.code, "did you mean 'east'" in wrong.err) == (2, True), wrong.err
    assert (
        nowcast(remote.system.folder, "run-worker", "--debug", "--host", "east", "first").code == 2
    )


def test_doctor_looks_at_each_host_and_says_what_to_do(remote):
    def findings() -> dict[str, list[str]]:
        subject = Subject(remote.system.config, remote.system.paths, os.environ)
        found = list(other_hosts(subject))
        assert all(finding.remedy for finding in found if finding.level != "note")
        return {
            level: [each.what for each in found if each.level == level]
            for level in ("note", "warning", "error")
        }

    well = findings()
    assert (well["warning"], well["error"]) == ([], [])
    assert "host east is" in well["note"][0]
    assert other_hosts in CHECKS

    hosts = remote.system.settings["run"]["enabled hosts"]
    hosts["west"] = {**hosts["east"], "python": "/no/python"}
    hosts["north"] = {**hosts["east"], "config file": "/no/nowcast.yaml"}
    hosts["south"] = {**hosts["east"], "state directory": "/proc/no"}
    remote.system.write_config()
    ill = findings()["error"]
    assert any("/no/python cannot be run on host west" in what for what in ill)
    assert "/no/nowcast.yaml on host north cannot be read: No such file or directory" in ill
    assert any("host south" in what for what in ill)
    remote.sshd.stop()
    assert sum("cannot be reached by ssh" in what for what in findings()["error"]) == 4


def test_records_that_come_by_the_port_and_by_ssh_are_logged_once(remote):
    (port,) = free_ports(1)
    for system in (remote.system, remote.there):
        system.settings["zmq"]["ports"]["logs"] = port
        system.write_config()
    system = remote.system
    system.start("log_aggregator")
    jobs = [system.launch("first", "--sleep", "0.5", host="east") for _ in range(3)]
    for job in jobs:
        system.wait_for_process_end(job, 20)
    wait_until(lambda: system.log().count("[first] shutting down") == 3, what="the last records")
    for words in ("running in process", "sending log messages", "sent message", "shutting down"):
        assert system.log().count(f"[first] {words}") == 3, words
