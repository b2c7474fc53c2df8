"""Commands on a host that shares no files, while managers are killed, lines cut and disks full.

All outputs of a job come into place or none, whatever happens meanwhile; no time is lost for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from apart_host import Apart, SlowLine, rsync_of
from helpers import wait_until
from nowcast_cli import crash_points
from nowcast_cli.executors.transfer_note import read_note
from nowcast_cli.store.records import JobRecord

pytestmark = pytest.mark.ssh

# Ends when a file is there; its output is so long that it takes a while over a slow line.
WAITS = """
head -c {size} /dev/zero | tr '\\0' x > forecast.nc
while [ ! -e "$NOWCAST_YAML.go" ]; do sleep 0.05; done
"""


def goal(tmp_path: Path) -> Path:
    return tmp_path / "here" / "results" / "forecast.nc"


def publishing_step(apart: Callable[..., Apart], tmp_path: Path, size: int, **entry) -> Apart:
    return apart(WAITS.format(size=size), outputs={"forecast.nc": str(goal(tmp_path))}, **entry)


def go(system: Apart) -> None:
    system.touch("nowcast.yaml.go")


def moves(system: Apart, job: str, what: str) -> bool:
    note = read_note(system.system.job_folder(job))
    return note is not None and note.what == what and note.came > 0


def wait_for_end(system: Apart, job: str) -> JobRecord:
    return system.system.wait_for_process_end(job, 60)


@pytest.mark.parametrize("point", ["publish.noted", "publish.ready", "publish.renamed"])
def test_a_manager_killed_while_it_puts_outputs_in_place_leaves_it_to_the_next(
    apart, tmp_path, point
):
    points = tmp_path / "points"
    points.mkdir()
    results = tmp_path / "here" / "results"
    results.mkdir(parents=True)
    (results / "done").touch()
    system = apart(
        "echo tide > tide; echo waves > waves",
        outputs={"tide": f"{results}/tide", "waves": f"{results}/waves"},
        marker=f"{results}/done",
    )
    system.system.stop()
    prelude = f"import os; os.environ[{crash_points.VARIABLE!r}] = {str(points)!r}\n"
    system.system.start("manager", prelude=prelude)
    (points / point).write_text(str(int(signal.SIGKILL)))
    manager = system.system.pid("manager")
    job = system.launch()
    wait_until(lambda: not is_running(manager), timeout=30, what=f"the manager to die at {point}")
    there = {path.name for path in results.iterdir()}
    assert ("done" in there) == (not there & {"tide", "waves"})
    system.system.kill("manager")
    system.system.start("manager")
    assert wait_for_end(system, job).state == "succeeded"
    assert not (points / point).exists()
    assert sorted(path.name for path in results.iterdir()) == ["done", "tide", "waves"]
    assert (results / "waves").read_text() == "waves\n"


def is_running(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}/exe")  # noqa: PTH110


def test_a_connection_cut_in_mid_job_and_while_outputs_come(apart, slow_line, tmp_path):
    slow_line(3_000)
    system = publishing_step(apart, tmp_path, 6_000_000)
    job = system.launch()
    wait_until(lambda: system.has_begun(job), timeout=20, what="the job to begin")
    system.sshd.cut()
    go(system)
    wait_until(lambda: moves(system, job, "fetching outputs"), timeout=30, what="the outputs")
    system.sshd.cut()
    assert not goal(tmp_path).exists()
    assert wait_for_end(system, job).state == "succeeded"
    assert goal(tmp_path).read_bytes() == b"x" * 6_000_000


def test_a_host_that_is_away_at_submit_gets_the_inputs_when_it_is_back(apart):
    system = apart("cat tide", inputs={"copy": ["tide"]})
    system.system.write("tide", "M2\n")
    system.sshd.stop()
    job = system.launch()
    wait_until(lambda: "cannot be reached" in system.trouble(), what="the trouble to be told")
    assert system.system.job(job).state == "submitting"
    system.sshd.start()
    assert wait_for_end(system, job).state == "succeeded"
    assert (system.system.job_folder(job) / "stdout").read_text() == "M2\n"


def test_a_manager_killed_while_inputs_go_goes_on_from_where_it_was(apart, slow_line):
    line: SlowLine = slow_line(3_000)
    system = apart("wc -c < forcing.nc", inputs={"copy": ["forcing.nc"]})
    system.system.write("forcing.nc", "x" * 9_000_000)
    job = system.launch()
    wait_until(lambda: moves(system, job, "sending inputs"), timeout=30, what="the inputs")
    first = rsync_of(
        system.system.job_folder(job)
    )  # it may come to its end before there is another
    system.system.restart("manager")
    assert wait_for_end(system, job).state == "succeeded"
    assert (system.system.job_folder(job) / "stdout").read_text() == "9000000\n"
    assert line.moved(but=first) < 9_000_000


def test_a_manager_killed_while_outputs_come_goes_on_and_the_job_has_not_run_again(
    apart, slow_line, tmp_path
):
    slow_line(3_000)
    system = publishing_step(apart, tmp_path, 9_000_000)
    go(system)
    job = system.launch()
    wait_until(lambda: moves(system, job, "fetching outputs"), timeout=30, what="the outputs")
    system.system.kill("manager")
    assert not goal(tmp_path).exists()
    system.system.start("manager")
    ended = wait_for_end(system, job)
    assert (ended.state, ended.attempt) == ("succeeded", 1)
    assert goal(tmp_path).stat().st_size == 9_000_000


def test_outputs_take_no_time_from_a_job_and_hold_up_no_other(apart, slow_line, tmp_path):
    slow_line(2_000)
    system = publishing_step(apart, tmp_path, 8_000_000, timeout="3s")
    go(system)
    job = system.launch()
    wait_until(lambda: moves(system, job, "fetching outputs"), timeout=30, what="the outputs")
    other = system.system.launch("workers.quick", host="east")
    assert system.system.wait_for_process_end(other, 20).exit["code"] == 0
    assert system.system.job(job).state == "running"
    assert wait_for_end(system, job).state == "succeeded"


def test_a_job_that_is_cancelled_while_its_inputs_go_never_begins(apart, slow_line):
    slow_line(1_000)
    system = apart("touch began", inputs={"copy": ["forcing.nc"]})
    system.system.write("forcing.nc", "x" * 9_000_000)
    job = system.launch()
    wait_until(lambda: moves(system, job, "sending inputs"), timeout=30, what="the inputs")
    assert system.system.request("cancel", {"job": job}).type == "ack"
    assert wait_for_end(system, job).state == "cancelled"
    assert not (system.there(job) / "scratch").exists()
    assert read_note(system.system.job_folder(job)) is None


def test_a_job_that_is_cancelled_while_its_outputs_come_puts_none_in_place(
    apart, slow_line, tmp_path
):
    slow_line(1_000)
    system = publishing_step(apart, tmp_path, 9_000_000)
    go(system)
    job = system.launch()
    wait_until(lambda: moves(system, job, "fetching outputs"), timeout=30, what="the outputs")
    assert system.system.request("cancel", {"job": job}).type == "ack"
    assert wait_for_end(system, job).state == "cancelled"
    assert not goal(tmp_path).exists()


def test_a_full_disk_on_the_host_ends_the_job_and_is_named(apart):
    system = apart("touch began", disk="4m", inputs={"copy": ["forcing.nc"]})
    system.system.write("forcing.nc", "x" * 9_000_000)
    ended = system.system.wait_for_job(system.launch(), "crashed", timeout=20)
    assert "on host east has 4." in ended.reason
    assert "make room there (ssh east du -sh" in ended.reason


def test_a_full_disk_where_outputs_are_to_go_fails_the_job_and_they_stay_on_the_host(
    apart, small_results
):
    filler = small_results / "filler"
    filler.write_bytes(b"x" * 7_000_000)
    system = apart(
        "head -c 4000000 /dev/zero > forecast.nc",
        outputs={"forecast.nc": str(small_results / "forecast.nc")},
    )
    ended = system.run()
    assert ended.state == "failed"
    assert f"No space left on device: {small_results}" in ended.reason
    kept = system.there(ended.id) / "scratch" / "forecast.nc"
    assert kept.stat().st_size == 4_000_000


@pytest.fixture
def small_results():
    """Give a folder for results on a disk of 8 MB of its own."""
    with tempfile.TemporaryDirectory(prefix="small-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True
        )
        if mounted.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr!r}")
        yield Path(folder)
        subprocess.run(["umount", "--lazy", folder], check=True)
