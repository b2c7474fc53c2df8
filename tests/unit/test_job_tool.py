"""`nowcast tell` and `nowcast publish`, by the part of them that every host has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nowcast_cli.command_end import outcome_of, outputs_of, publish_outputs, told_in
from nowcast_cli.executors.job_tool import ToolError, publish, tell
from nowcast_cli.executors.shipped import archive


@pytest.fixture
def step(tmp_path):
    """Give the environment of a command, and its job."""
    folder = tmp_path / "job"
    (folder / "scratch").mkdir(parents=True)
    job = {
        "id": "i",
        "folder": str(folder),
        "config_file": str(tmp_path / "deployment" / "nowcast.yaml"),
        "command": {"outputs": [], "marker": None, "success_codes": [0]},
    }
    messages = ["success", "failure wind", "crash"]
    environment = {"NOWCAST_MESSAGES": json.dumps(messages), "NOWCAST_JOB_FOLDER": str(folder)}
    return environment, job


def test_the_last_word_counts_and_values_are_json_or_text(step, tmp_path):
    environment, job = step
    tell(
        "success",
        ["a=1", "b=two words", 'c={"d": [null]}', "e=2026-11-22", "f="],
        None,
        environment,
    )
    payload = {"a": 1, "b": "two words", "c": {"d": [None]}, "e": "2026-11-22", "f": ""}
    assert told_in(job["folder"]) == {"type": "success", "payload": payload}
    (tmp_path / "payload").write_text('{"x": 1, "y": 2}')
    tell("failure wind", ["y=3"], str(tmp_path / "payload"), environment)
    assert told_in(job["folder"]) == {"type": "failure wind", "payload": {"x": 1, "y": 3}}
    tell("success", [], None, environment)
    assert told_in(job["folder"]) == {"type": "success", "payload": None}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": 1, "payload": 1}', "[" * 100_000])
def test_what_nowcast_tell_did_not_write_is_refused(step, text):
    _, job = step
    Path(job["folder"], "told").write_text(text)
    with pytest.raises(ValueError, match=r"told|Expecting"):
        told_in(job["folder"])
    assert "could not be put in place" in publish_outputs(job, {"code": 0, "reason": None})


def test_what_nowcast_publish_did_not_write_is_refused(step):
    _, job = step
    Path(job["folder"], "published").write_text("5\n")
    assert "5 is no output" in publish_outputs(job, {"code": 0, "reason": None})


def test_how_a_job_ended_is_the_word_that_its_message_begins_with():
    assert outcome_of("failure wind") == "failure"
    assert outcome_of("crash") == "crash"
    assert outcome_of("success 36h") == "success"
    assert outcome_of("forecast is there") == "success"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("failure", [], None), "no message type 'failure'; did you mean 'failure wind'"),
        (("success", ["x"], None), "'x' is no key=value"),
        (("success", [], "/no/file"), "/no/file cannot be read: No such file or directory"),
        (("success", [], "/dev/null"), "/dev/null is no JSON"),
    ],
)
def test_what_cannot_be_told_is_an_error_at_once(step, arguments, sentence):
    environment, job = step
    with pytest.raises(ToolError, match=sentence):
        tell(*arguments, environment)
    assert told_in(job["folder"]) is None


def test_nothing_is_told_outside_of_a_command():
    with pytest.raises(ToolError, match="there is none around it"):
        tell("success", [], None, {})


def test_outside_of_a_command_a_file_is_published_at_once(tmp_path):
    made, goal = tmp_path / "made", tmp_path / "results" / "forecast.nc"
    made.write_text("new")
    assert publish(str(made), str(goal), symlink=False, environment={})
    assert goal.read_text() == "new"
    assert not made.exists()
    with pytest.raises(ToolError, match="there is no file"):
        publish(str(made), str(goal), symlink=False, environment={})
    made.write_text("x")
    with pytest.raises(ToolError, match="is a folder, which only `as: symlink` could replace"):
        publish(str(made), str(tmp_path / "results"), symlink=False, environment={})


def test_in_a_command_it_joins_the_outputs_and_of_one_destination_the_last_counts(step, tmp_path):
    environment, job = step
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        assert not publish(str(tmp_path / name), str(tmp_path / "goal"), False, environment)
    assert [each.source for each in outputs_of(job)] == [str(tmp_path / "two")]
    assert publish_outputs(job, {"code": 1, "reason": None}) is None
    assert not (tmp_path / "goal").exists()
    assert publish_outputs(job, {"code": 0, "reason": None}) is None
    assert (tmp_path / "goal").read_text() == "two"


def test_nothing_is_published_of_a_command_that_has_told_a_failure(step, tmp_path):
    environment, job = step
    (tmp_path / "one").write_text("one")
    publish(str(tmp_path / "one"), str(tmp_path / "goal"), False, environment)
    tell("failure wind", [], None, environment)
    assert publish_outputs(job, {"code": 0, "reason": None}) is None
    assert (tmp_path / "one").exists()


def test_the_archive_that_runs_jobs_on_other_hosts_is_a_small_nowcast(step, tmp_path):
    environment, job = step
    packed = tmp_path / "packed"
    packed.write_bytes(archive().data)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-I", packed, *arguments],
            env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    assert run("tell", "success", "--payload", "a=1").returncode == 0
    assert told_in(job["folder"]) == {"type": "success", "payload": {"a": 1}}
    done = run("tell", "succes")
    assert done.returncode == 2
    assert "error: there is no message type 'succes'; did you mean 'success'?" in done.stderr
    assert "hint: the message registry gives this worker: success, " in done.stderr
    (tmp_path / "made").write_text("x")
    assert run("publish", "made", "results/made", "--as", "symlink").returncode == 0
    assert outputs_of(job)[0].link == str(tmp_path / "results" / "made")
