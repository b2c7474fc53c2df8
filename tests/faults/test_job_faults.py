"""The user's code of a job begins at most once, and does begin, whatever is killed.

Each job appends one line to a file outside; the lines are counted.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from executor_helpers import JobSystem, children_of, lines_of
from helpers import wait_until
from nowcast_cli.executors.job_folder import JobRequest, read_claim, read_exit
from nowcast_cli.executors.local import LocalExecutor
from nowcast_cli.process_identity import is_alive

BEGIN = """
import os
def begin():
    lines = os.open(os.path.join(os.environ["LINES"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(lines, (os.environ["NOWCAST_JOB_ID"] + "\\n").encode())
    os.close(lines)
begin()
"""


@pytest.fixture
def system(tmp_path):
    system = JobSystem(tmp_path / "deployment")
    system.module("brief", BEGIN)
    system.module("long", BEGIN + "import time; time.sleep(600)")
    yield system
    end_all(system)
    system.close()


@pytest.fixture
def lines(tmp_path):
    return tmp_path / "lines"


def end_all(system: JobSystem) -> None:
    for file in system.paths.jobs.glob("*/*/pid"):
        claim = read_claim(file.parent)
        if claim is not None:
            system.executor.cancel(claim, signal.SIGKILL)


def jobs_of(system: JobSystem, lines: Path, count: int, module: str = "brief") -> list[JobRequest]:
    return [system.job(module, environment={"LINES": str(lines)}) for _ in range(count)]


def kill(pid: int | None, number: int = signal.SIGKILL) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def drive(
    executors: list[LocalExecutor],
    jobs: list[JobRequest],
    disturb: Callable[[], None] = lambda: None,
    timeout: float = 60.0,
) -> None:
    """Submit jobs to all executors every 50 ms until each is claimed and its processes are gone."""
    unclaimed = {job.id: job for job in jobs}
    unfinished = dict(unclaimed)
    give_up = time.monotonic() + timeout
    repeat_at = 0.0
    while unfinished:
        assert time.monotonic() < give_up, f"{len(unclaimed)} of {len(jobs)} jobs never began"
        if time.monotonic() >= repeat_at:
            repeat_at = time.monotonic() + 0.05
            for job in unclaimed.values():
                for executor in executors:
                    executor.submit(job)
        disturb()
        select.select(executors, [], [], 0.01)
        for executor in executors:
            executor.hints()
        for job_id in list(unfinished):
            claim = read_claim(Path(unfinished[job_id].folder))
            if claim is not None:
                unclaimed.pop(job_id, None)
                if not is_alive(claim.process):
                    del unfinished[job_id]


def assert_each_began_once(jobs: list[JobRequest], lines: Path) -> None:
    begun = Counter(lines_of(lines))
    assert [job_id for job_id, count in begun.items() if count > 1] == [], "doubled"
    assert {job.id for job in jobs} == set(begun), "never run"


def test_one_job_submitted_twenty_times_by_two_executors_begins_once(system, lines):
    executors = [system.executor, system.another_executor()]
    jobs = jobs_of(system, lines, 10)
    for _ in range(20):
        for job in jobs:
            for executor in executors:
                executor.submit(job)
    drive(executors, jobs)
    assert_each_began_once(jobs, lines)
    for job in jobs:
        wait_until(lambda job=job: read_exit(Path(job.folder)), what="the exit file")
    executors[1].close()


def test_a_job_that_has_run_is_not_run_again(system, lines):
    (job,) = jobs_of(system, lines, 1)
    assert system.run(job).code == 0
    kill(system.launcher())  # the next one remembers nothing
    executor = system.another_executor()
    hinted: list[str] = []

    def told() -> bool:
        executor.submit(job)
        select.select([executor], [], [], 0.05)
        hinted.extend(executor.hints())
        return job.id in hinted

    wait_until(told, what="the hint that the job has ended")
    executor.close()
    assert_each_began_once([job], lines)


def test_a_launcher_killed_before_it_served_costs_no_job(system, lines):
    wait_until(system.executor.connect, what="the launcher")
    jobs = jobs_of(system, lines, 30)
    os.kill(system.launcher(), signal.SIGSTOP)
    for job in jobs:
        system.executor.submit(job)
    kill(system.launcher())
    drive([system.executor], jobs)
    assert_each_began_once(jobs, lines)


def test_a_stopped_launcher_blocks_nobody_and_runs_each_job_once_when_it_goes_on(system, lines):
    wait_until(system.executor.connect, what="the launcher")
    launcher = system.launcher()
    os.kill(launcher, signal.SIGSTOP)
    jobs = jobs_of(system, lines, 50)
    another = system.another_executor()
    began = time.monotonic()
    for _ in range(40):  # more than its socket takes
        for job in jobs:
            system.executor.submit(job)
            another.submit(job)
        system.executor.hints()
    assert time.monotonic() - began < 20
    assert lines_of(lines) == []
    os.kill(launcher, signal.SIGCONT)
    drive([system.executor, another], jobs)
    another.close()
    assert system.launcher() == launcher
    assert_each_began_once(jobs, lines)


def test_a_launcher_that_stays_stopped_is_replaced_and_each_job_runs_once(
    system, lines, monkeypatch, caplog
):
    monkeypatch.setattr("nowcast_cli.executors.local._LONGEST_SILENCE", 1.0)
    (long,) = jobs_of(system, lines, 1, "long")
    system.begin(long)
    launcher = system.launcher()
    os.kill(launcher, signal.SIGSTOP)
    jobs = jobs_of(system, lines, 3)
    drive([system.executor], jobs)
    assert_each_began_once([long, *jobs], lines)
    assert system.launcher() != launcher
    assert "the launcher has not answered for 1 s" in caplog.text
    assert read_exit(Path(long.folder)) is None


def test_a_launcher_is_not_replaced_since_its_manager_was_stopped(system, lines, monkeypatch):
    monkeypatch.setattr("nowcast_cli.executors.local._LONGEST_SILENCE", 0.5)
    wait_until(system.executor.connect, what="the launcher")
    launcher = system.launcher()
    jobs = jobs_of(system, lines, 2)
    system.executor.submit(jobs[0])
    wait_until(lambda: lines_of(lines), what="the job to begin")
    time.sleep(0.6)  # whoever submits again has not read for long what it was answered
    system.executor.submit(jobs[1])
    drive([system.executor], jobs)
    assert_each_began_once(jobs, lines)
    assert system.launcher() == launcher


def test_a_killed_worker_is_noticed_with_its_signal(system, lines):
    (job,) = jobs_of(system, lines, 1, "long")
    system.begin(job)
    kill(read_claim(Path(job.folder)).process.pid)
    began = time.monotonic()
    found = system.end(job)
    assert time.monotonic() - began < 4  # without a hint, it is looked for each five seconds
    assert (found.code, found.signal) == (None, signal.SIGKILL)


def test_a_killed_runner_leaves_its_worker_whose_end_is_noticed(system, lines):
    (job,) = jobs_of(system, lines, 1, "long")
    system.begin(job)
    claim = read_claim(Path(job.folder))
    system.executor.watch(job.id, claim)
    kill(claim.runner.pid)

    def hinted() -> bool:
        select.select([system.executor], [], [], 0.05)
        return job.id in system.executor.hints()

    wait_until(hinted, what="the end of the runner")
    assert is_alive(claim.process)
    system.executor.watch(job.id, claim)
    wait_until(lambda: not hinted(), what="the last hint about the runner")
    kill(claim.process.pid)
    wait_until(hinted, what="the end of the worker")
    assert read_exit(Path(job.folder)) is None
    assert not is_alive(claim.process)
    system.executor.watch(job.id, claim)  # of a job that is over: told at once
    assert hinted()


def test_a_signal_to_the_runner_does_not_end_it(system, lines):
    (job,) = jobs_of(system, lines, 1, "long")
    system.begin(job)
    claim = read_claim(Path(job.folder))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        kill(claim.runner.pid, number)
    kill(claim.process.pid, signal.SIGTERM)
    assert system.end(job).signal == signal.SIGTERM


def test_a_folder_that_cannot_be_made_is_said_and_tried_again(system, lines, caplog):
    (job,) = jobs_of(system, lines, 1)
    day = Path(job.folder).parent
    day.write_text("a file is in the way")

    def said() -> bool:
        system.executor.submit(job)
        select.select([system.executor], [], [], 0.05)
        system.executor.hints()
        return "cannot begin" in caplog.text

    wait_until(said, what="the log line")
    day.unlink()
    assert system.run(job).code == 0
    assert_each_began_once([job], lines)


def random_kills(system: JobSystem, chance: random.Random) -> Callable[[], None]:
    """Kills the launcher, or a process that it or a runner has forked, now and then."""

    def disturb() -> None:
        launcher = system.launcher()
        if launcher is None or chance.random() > 0.3:
            return
        kind = chance.choice(["launcher", "runner", "runner", "worker", "stop"])
        if kind == "launcher":
            kill(launcher)
        elif kind == "stop":
            kill(launcher, signal.SIGSTOP)
            time.sleep(chance.random() * 0.02)
            kill(launcher, signal.SIGCONT)
        elif runners := children_of(launcher):
            runner = chance.choice(runners)
            targets = [runner] if kind == "runner" else children_of(runner)
            for target in targets:
                kill(target)

    return disturb


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_jobs_under_random_kills_begin_once_each(system, lines, seed):
    """A worker may be killed between its claim and its first line: it is then over, not doubled."""
    jobs = jobs_of(system, lines, 150)
    executors = [system.executor, system.another_executor()]
    drive(executors, jobs, random_kills(system, random.Random(seed)))
    executors[1].close()
    begun = Counter(lines_of(lines))
    assert max(begun.values()) == 1, "doubled"
    silent = [job for job in jobs if job.id not in begun]
    for job in silent:
        found = read_exit(Path(job.folder))
        assert found is None or found.signal == signal.SIGKILL, "it was claimed and never run"
    assert len(silent) < len(jobs) / 3


def test_jobs_under_kills_of_launchers_and_runners_all_run(system, lines):
    """Nothing but a worker that was killed itself may fail to run its code."""
    chance = random.Random(7)

    def disturb() -> None:
        launcher = system.launcher()
        if launcher is not None and chance.random() < 0.4:
            runners = children_of(launcher)
            for pid in chance.sample([launcher, *runners], 1):
                kill(pid)

    jobs = jobs_of(system, lines, 200)
    drive([system.executor], jobs, disturb)
    assert_each_began_once(jobs, lines)
