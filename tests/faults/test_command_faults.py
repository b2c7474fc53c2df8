"""Commands whose processes are killed at each instant: all outputs are there, or none of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from helpers import wait_until

MESSAGES = {"success": "has done it", "failure": "could not do it", "crash": "fell over"}
SCRIPT = """\
#!/bin/sh
echo "$NOWCAST_JOB_ID" >> {folder}/begun
echo $1 > a
echo $1 > b
{more}
"""
# By the point at which the runner of a job is killed, how the job ends then.
RUNNER_POINTS = {
    "runner.ordered": "succeeded",
    "runner.prepared": "succeeded",
    "step.spawned": "succeeded",
    "worker.before_claim": "succeeded",
    "worker.linked": "lost",
    "step.claimed": "lost",
    "step.brought_its_inputs": "lost",
    "step.let_go": "lost",
    "runner.before_exit": "lost",
    "publish.noted": "lost",
    "publish.probed": "lost",
    "publish.prepared": "lost",
    "publish.ready": "succeeded",
    "publish.unmarked": "succeeded",
    "publish.renamed": "succeeded",
    "publish.synced": "succeeded",
    "runner.after_exit": "succeeded",
    "publish.forgotten": "succeeded",
}
LAUNCHER_POINTS = ["launcher.received", "launcher.forked", "launcher.ordered"]


class Place:
    """A system with a command whose outputs go to ``results``, and crash points in its jobs."""

    def __init__(self, make_system, tmp_path, results=None, more="", **entry):
        self.points = tmp_path / "points"
        self.points.mkdir()
        self.system = make_system(workers=["step"])
        self.results = results or self.system.folder / "results"
        self.system.registry["step"] = {
            "checklist key": "step",
            "command": "./step.sh {text}",
            "parameters": {"text": "0"},
            "outputs": {name: str(self.results / name) for name in ("a", "b")},
            **MESSAGES,
            **entry,
        }
        script = SCRIPT.format(folder=self.system.folder, more=more)
        self.system.write("step.sh", script).chmod(0o755)
        self.system.write_config()
        self.system.start("message_broker")
        self.begin_manager()

    def begin_manager(self):
        armed = f"import os; os.environ['NOWCAST_CRASH_POINTS'] = {str(self.points)!r}"
        self.system.start("manager", prelude=armed)

    def arm(self, *points, number=signal.SIGKILL):
        for point in points:
            new = self.points / ".new"
            new.write_text(str(int(number)))
            new.rename(self.points / point)

    def run(self, text):
        job = self.system.launch("workers.step", "--text", text)
        return self.system.wait_for_process_end(job, timeout=30)

    def seen(self):
        """What both outputs hold, which has to be the same; None where there are none."""
        found = [(self.results / name) for name in ("a", "b")]
        texts = {path.read_text().strip() if path.exists() else None for path in found}
        assert len(texts) == 1, texts
        return texts.pop()

    def begun(self):
        file = self.system.folder / "begun"
        return file.read_text().split() if file.exists() else []

    def litter(self):
        return [path.name for path in self.results.rglob(".*") if ".v-" not in path.name]


@pytest.mark.parametrize("kind", ["marked", "linked"])
def test_a_runner_that_is_killed_anywhere_leaves_all_outputs_or_none(make_system, tmp_path, kind):
    results = tmp_path / "results"
    more = {"marker": str(results / "done")} if kind == "marked" else {"as": "symlink"}
    place = Place(make_system, tmp_path, results, **more)
    before = None
    for point, state in RUNNER_POINTS.items():
        if kind == "linked" and point in ("publish.probed", "publish.unmarked"):
            continue
        place.arm(point)
        job = place.run(point)
        assert not (place.points / point).exists(), f"nobody came to {point}"
        assert job.state == state, f"{point}: {job.reason}"
        before = point if state == "succeeded" else before
        assert place.seen() == before, point
        assert not place.litter(), point
        finals = [each for each in place.system.messages("step") if each.job == job.id]
        assert [each.type for each in finals] == ["success" if state == "succeeded" else "crash"]
    assert place.run("last").state == "succeeded"
    begun = place.begun()
    assert len(begun) == len(set(begun)), "a command has begun twice"


@pytest.mark.parametrize("point", LAUNCHER_POINTS)
def test_a_launcher_that_is_killed_costs_nothing(make_system, tmp_path, point):
    place = Place(make_system, tmp_path)
    for number in ("1", "2"):  # first the helper's first runner, then one that waits
        place.arm(point)
        assert place.run(number).state == "succeeded"
        assert place.seen() == number
    assert len(place.begun()) == 2


def test_a_manager_that_is_killed_while_it_rolls_forward_is_followed_by_one_that_goes_on(
    make_system, tmp_path
):
    place = Place(make_system, tmp_path)
    assert place.run("old").state == "succeeded"
    # The runner is killed when it has decided; the manager, who carries that out, in its midst.
    place.arm("publish.ready", "publish.renamed")
    job = place.system.launch("workers.step", "--text", "new")
    manager = place.system._processes["manager"]
    assert manager.wait(20) == -signal.SIGKILL
    place.begin_manager()
    assert place.system.wait_for_process_end(job, timeout=30).state == "succeeded"
    assert place.seen() == "new"
    assert not place.litter()


def test_the_command_killed_in_its_midst_leaves_what_was_there(make_system, tmp_path):
    place = Place(make_system, tmp_path, more='[ "$1" = old ] || kill -9 $$')
    assert place.run("old").state == "succeeded"
    job = place.run("new")
    assert (job.state, place.seen()) == ("crashed", "old")
    assert (place.system.job_folder(job.id) / "scratch" / "a").read_text() == "new\n"


def test_a_manager_that_is_killed_meanwhile_takes_in_what_a_command_has_told(make_system, tmp_path):
    more = f"nowcast tell success --payload n=1; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    place = Place(make_system, tmp_path, more=more)
    job = place.system.launch("workers.step")
    wait_until(lambda: (place.system.job_folder(job) / "told").exists())
    place.system.kill("manager")
    (tmp_path / "go").touch()
    wait_until(lambda: list(place.system.paths.jobs.glob("*/*/exit")))
    place.begin_manager()
    assert place.system.wait_for_process_end(job).state == "succeeded"
    assert place.system.checklist() == {"step": {"n": 1}}


def test_a_helper_that_hangs_is_replaced_and_one_that_is_killed_too(make_system, tmp_path):
    place = Place(make_system, tmp_path)
    place.run("1")
    os.kill(_helper(place.system), signal.SIGKILL)
    assert place.run("2").state == "succeeded"
    hanging = _helper(place.system)
    os.kill(hanging, signal.SIGSTOP)
    job = place.system.launch("workers.step", "--text", "3")
    assert place.system.wait_for_process_end(job, timeout=60).state == "succeeded"
    assert _helper(place.system) != hanging
    assert place.seen() == "3"


def _helper(system):
    for pid in system.processes():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if any(b"command_launcher" in word for word in words) and parent == system.pid(
                "launcher"
            ):
                return pid
    raise AssertionError("there is no helper")


@pytest.fixture
def small_disk(tmp_path):
    """Give a folder on a file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_a_failure_and_nothing_is_half_there(make_system, tmp_path, small_disk):
    more = '[ "$1" = old ] || dd if=/dev/zero of=b bs=1024 count=2000 2>/dev/null'
    place = Place(make_system, tmp_path, small_disk / "results", more=more)
    assert place.run("old").state == "succeeded"
    job = place.run("new")
    assert job.state == "failed"
    assert job.reason.startswith("outputs could not be put in place: No space left on device")
    assert place.seen() == "old"
    assert not place.litter()
    scratch = place.system.job_folder(job.id) / "scratch"
    assert sorted(path.name for path in scratch.iterdir()) == ["a", "b"]


def test_a_destination_that_is_read_only_is_a_failure_that_names_it(
    make_system, tmp_path, small_disk
):
    place = Place(make_system, tmp_path, small_disk / "results")
    assert place.run("old").state == "succeeded"
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    job = place.run("new")
    assert job.state == "failed"
    assert "Read-only file system" in job.reason
    assert str(small_disk) in job.reason
    assert place.seen() == "old"


def test_the_intent_of_a_dead_runner_is_carried_out_by_a_repeat_of_the_launch(
    make_system, tmp_path
):
    place = Place(make_system, tmp_path)
    place.run("old")
    place.arm("publish.ready", number=signal.SIGSTOP)
    job = place.system.launch("workers.step", "--text", "new")
    wait_until(lambda: not (place.points / "publish.ready").exists())
    place.system.kill("manager")
    folder = place.system.job_folder(job)
    runner = json.loads((folder / "pid").read_text())["runner"]["pid"]
    os.kill(runner, signal.SIGKILL)
    from nowcast_cli.runner import prepare

    wait_until(lambda: prepare(str(folder)) is None and (folder / "exit").exists())
    assert json.loads((folder / "exit").read_text())["code"] == 0
    assert place.seen() == "new"
    place.begin_manager()
    assert place.system.wait_for_process_end(job).state == "succeeded"
