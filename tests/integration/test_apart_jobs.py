"""Commands on a host that shares no files: inputs go there, outputs come back and into place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apart_host import Apart
from helpers import wait_until

pytestmark = pytest.mark.ssh


def write(apart: Apart, name: str, content: str) -> Path:
    """Write a file of the deployment here."""
    path = apart.system.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_inputs_go_there_and_outputs_come_into_place_here(apart, tmp_path):
    results = tmp_path / "here" / "results"
    system = apart(
        "cat grid/mesh forcing tide > forecast.nc; mkdir plots; echo png > plots/a.png; "
        "echo changed >> forcing; echo done",
        inputs={"copy": {"forcing": "data/{run_date}/forcing"}, "link": ["data/tide", "data/grid"]},
        outputs={
            "forecast.nc": f"{results}/{{run_date}}/forecast.nc",
            "plots": f"{results}/{{run_date}}/plots",
        },
        after={"step": "[NextWorker('workers.then')]"},
        marker=f"{results}/{{run_date}}/done",
    )
    forcing = write(system, "data/2026-11-20/forcing", "wind\n")
    write(system, "data/tide", "M2\n")
    write(system, "data/grid/mesh", "mesh\n")
    job = system.launch("--run-date", "2026-11-20")
    system.system.wait_for_chain(job, timeout=40)
    assert system.system.job(job).state == "succeeded"
    day = results / "2026-11-20"
    assert (day / "forecast.nc").read_text() == "mesh\nwind\nM2\n"
    assert (day / "plots" / "a.png").read_text() == "png\n"
    assert (day / "done").exists()
    assert forcing.read_text() == "wind\n"
    assert (system.system.job_folder(job) / "stdout").read_text() == "done\n"
    assert system.system.ran() == ["then"]
    assert not system.host.at(results).exists()


def test_what_a_command_tells_and_publishes_there_counts_here(apart, tmp_path):
    goal = tmp_path / "here" / "results" / "tide.nc"
    system = apart(
        f"echo M2 > tide; nowcast publish tide {goal}; nowcast tell success --payload waves=2"
    )
    assert system.run().state == "succeeded"
    assert goal.read_text() == "M2\n"
    assert system.system.checklist() == {"step": {"waves": 2}}


def test_nothing_is_fetched_of_a_command_that_fails(apart, tmp_path):
    goal = tmp_path / "here" / "forecast.nc"
    system = apart("echo half > forecast.nc; exit 3", outputs={"forecast.nc": str(goal)})
    ended = system.run()
    assert (ended.state, ended.reason) == ("failed", "it exited with code 3")
    assert not goal.exists()
    assert (system.there(ended.id) / "scratch" / "forecast.nc").exists()


def test_a_command_that_tells_of_its_failure_publishes_nothing(apart, tmp_path):
    goal = tmp_path / "here" / "forecast.nc"
    system = apart(
        "echo half > forecast.nc; nowcast tell failure", outputs={"forecast.nc": str(goal)}
    )
    assert system.run().state == "failed"
    assert not goal.exists()


@pytest.mark.parametrize("file", ["told", "published"])
def test_what_a_command_writes_in_place_of_nowcast_ends_its_job_alone(apart, file):
    system = apart(f'echo 5 > "$NOWCAST_JOB_FOLDER/{file}"')
    job = system.run()
    assert job.state == "failed"
    assert "what the command has told and published cannot be read" in job.reason


def test_an_output_that_was_not_made_is_named(apart, tmp_path):
    goal = tmp_path / "here" / "forecast.nc"
    system = apart("exit 0", outputs={"forecast.nc": str(goal)})
    ended = system.run()
    assert ended.state == "failed"
    assert "declared output was not made in " in ended.reason
    assert "on host east: forecast.nc" in ended.reason


def test_an_input_that_is_missing_ends_the_job_before_it_begins(apart):
    system = apart("touch began", inputs={"copy": ["data/tide"]})
    job = system.launch()
    ended = system.system.wait_for_job(job, "crashed", timeout=20)
    assert ended.reason == (
        f"the input {system.system.folder}/data/tide cannot be sent to host east: "
        "No such file or directory"
    )
    assert not system.has_begun(job)


def test_what_was_sent_and_fetched_is_removed_there(apart, tmp_path, monkeypatch):
    system = apart(
        "cp tide forecast.nc; echo kept > restart",
        inputs={"copy": ["data/tide"]},
        outputs={"forecast.nc": str(tmp_path / "here" / "forecast.nc")},
    )
    system.system.stop()
    system.system.start("manager", prelude=SOON)
    write(system, "data/tide", "M2\n")
    job = system.run()
    scratch = system.there(job.id) / "scratch"
    wait_until(lambda: not (scratch / "tide").exists(), timeout=20, what="the folder to be cleared")
    assert [path.name for path in scratch.iterdir()] == ["restart"]
    assert json.loads((system.there(job.id) / "exit").read_text())["code"] == 0


SOON = """
from nowcast_cli.executors import clearing, remote_cleaning, shipped
clearing.Clearing.__init__.__defaults__ = (0.1, *clearing.Clearing.__init__.__defaults__[1:])
shipped._BEGIN = shipped._BEGIN.replace(
    "main()\\n", "from nowcast_cli.executors import remote_cleaning as r; r.QUIET = 0; main()\\n"
)
"""
