"""The logs of a system with its daemons: the aggregator, ``nowcast logs``, and rotation."""

from __future__ import annotations

import json
import time

import pytest

from helpers import wait_until
from nowcast_command import nowcast
from systems import MESSAGES, MODULES


@pytest.fixture
def system(make_system, monkeypatch):
    monkeypatch.setitem(MODULES, "log_aggregator", "nowcast_cli.logs.aggregator")
    system = make_system(settings={"logs": {"follow": ["model/*.txt"]}})
    system.registry["rotate_logs"] = {"checklist key": "log files", **MESSAGES}
    system.write_config()
    return system.start()


def test_what_a_job_prints_is_in_the_logs_once_beside_what_it_logs(system):
    job = system.launch("first", "--print", "no wind at station 7")
    system.wait_for_chain(job)
    wait_until(lambda: "no wind at station 7" in system.log(), what="the line in the log")
    time.sleep(1)  # the records of two jobs of a worker are told apart by their time
    other = system.launch("first", "--print", "all is well")
    system.wait_for_chain(other)

    of_job = nowcast(system.folder, "logs", "--job", job[-8:])
    assert of_job.code == 0, of_job.err
    assert of_job.out.count("no wind at station 7") == 1
    assert "running in process" in of_job.out
    assert "all is well" not in of_job.out
    assert "[manager]" not in of_job.out

    found = nowcast(system.folder, "logs", "--grep", "station [0-9]", "--json").out
    (record,) = [json.loads(line) for line in found.splitlines()]
    assert (record["name"], record["level"]) == ("first", "WARNING")
    since = nowcast(system.folder, "logs", "--since", "1h", "--worker", "first").out
    assert "no wind" in since
    assert nowcast(system.folder, "logs", "--until", "1h").out == ""


def test_what_cannot_be_asked_of_the_logs_is_refused(system):
    assert nowcast(system.folder, "logs", "--grep", "(").code == 2
    assert nowcast(system.folder, "logs", "--since", "soon").code == 2
    assert nowcast(system.folder, "logs", "-f", "--until", "12:00").code == 2
    assert nowcast(system.folder, "logs", "--job", "nope").code == 4


def test_a_job_that_runs_across_a_rotation_goes_on_in_the_new_file(system):
    job = system.launch("first", "--until", "rotated")
    wait_until(system.effects, what="the job to run")
    system.wait_for_chain(system.launch("nowcast_cli.workers.rotate_logs"))
    before = system.log("nowcast.log.1")
    assert "[first] running in process" in before
    system.touch("rotated")
    system.wait_for_chain(job)

    assert "[first] sent message" in system.log()
    assert "[first] sent message" not in system.log("nowcast.log.1")
    out = nowcast(system.folder, "logs", "first").out
    assert out.index("running in process") < out.index("sent message")
