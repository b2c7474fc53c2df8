"""Jobs that wait for a place, a release or a delay; that are tried again; that run for too long."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.process_identity import identity_of, is_alive
from nowcast_command import nowcast
from systems import MakeSystem, System

# The wall clock jumps by an hour at each look, forth and back.
JUMPING_CLOCK = """
import itertools, time
_hours, _time, _time_ns = itertools.cycle((0, 1, 0, -1)), time.time, time.time_ns
time.time = lambda: _time() + 3600 * next(_hours)
time.time_ns = lambda: _time_ns() + 3600 * 10**9 * next(_hours)
"""
SHORT_GRACE = "import nowcast_cli.manager.job_ending as ending; ending.GRACE = 0.5\n"

FAILS_AT_FIRST = """\
import os, signal
from pathlib import Path

from nowcast_cli import NowcastWorker, WorkerError
from workers.doing import leave_mark


def main():
    worker = NowcastWorker("first", description="It ends badly, each time in another way.")
    worker.init_cli()
    worker.run(work, lambda arguments: "success", lambda arguments: "failure")


def work(arguments, config, tell_manager):
    leave_mark("first", Path(config.file).parent)
    attempt = int(os.environ["NOWCAST_ATTEMPT"])
    if attempt == 1:
        raise WorkerError
    if attempt == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"attempt": attempt}


if __name__ == "__main__":
    main()
"""
LEAVES_CHILDREN = """\
import os, subprocess, time
from pathlib import Path

from nowcast_cli import NowcastWorker


def main():
    worker = NowcastWorker("first", description="Its children do not end with it.")
    worker.init_cli()
    worker.run(work, lambda arguments: "success", lambda arguments: "failure")


def work(arguments, config, tell_manager):
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
    gone = subprocess.Popen(["sleep", "600"], start_new_session=True)
    file = Path(config.file).parent / "children"
    file.with_suffix(".new").write_text(f"{deaf.pid} {gone.pid}")
    file.with_suffix(".new").rename(file)
    time.sleep(600)


if __name__ == "__main__":
    main()
"""


def limited(
    make_system: MakeSystem,
    workers: Mapping[str, Mapping[str, Any]],
    *,
    prelude: str = "",
    **options: Any,
) -> System:
    """A running system whose workers have these settings."""
    system = make_system(**options)
    for name, settings in workers.items():
        system.registry[name].update(settings)
    system.write_config()
    return system.start(prelude=prelude)


def states(system: System, worker: str) -> list[str]:
    return [job.state for job in system.jobs(worker)]


def wait_for_states(system: System, worker: str, *wanted: str, timeout: float = 15.0) -> None:
    wait_until(
        lambda: states(system, worker) == list(wanted),
        timeout=timeout,
        what=f"the jobs of {worker} to be {wanted}, not {states(system, worker)}",
    )


# --- trying again


def test_a_worker_is_tried_again_and_only_its_last_end_is_decided(make_system):
    system = limited(
        make_system,
        {"first": {"retry": {"tries": 3, "delay": "0.3 s", "on": ["failure", "crash"]}}},
        after={"first": "[NextWorker('workers.second')]"},
        prelude=JUMPING_CLOCK,
    )
    system.write("workers/first.py", FAILS_AT_FIRST)
    chain = system.launch("first")
    system.wait_for_chain(chain)

    jobs = system.jobs("first")
    assert [(job.state, job.attempt, job.tried, job.chain) for job in jobs] == [
        ("failed", 1, 1, chain),
        ("crashed", 2, 2, chain),
        ("succeeded", 3, 3, chain),
    ]
    assert [job.predecessor for job in jobs] == [None, jobs[0].id, jobs[1].id]
    told = [(message.type, message.state, message.note) for message in system.messages("first")]
    assert told == [
        ("failure", "decided", f"tried again as job {jobs[1].id}"),
        ("crash", "decided", f"tried again as job {jobs[2].id}"),
        ("success", "decided", None),
    ]
    assert system.ran() == ["first", "first", "first", "second"]
    assert system.checklist() == {"first": {"attempt": 3}}
    run = nowcast(system.folder, "run-worker", "first")  # it shows one try after the other
    assert run.code == 0
    assert run.err.count("it is tried again (job") == 2
    assert "first succeeded" in run.err
    assert "second follows" in run.err
    number = system.messages("first")[0].number
    shown = nowcast(system.folder, "message", "show", str(number)).out
    assert f"tried again as job {jobs[1].id}" in shown


def test_when_all_tries_have_failed_the_last_failure_is_decided(make_system):
    system = limited(
        make_system,
        {"first": {"retry": {"tries": 2, "on": ["failure"]}}},
        next_workers="from nowcast_cli import NextWorker\n"
        "def after_first(msg, config, checklist):\n"
        "    return [NextWorker('workers.second')] if msg.type == 'failure' else []\n"
        "def after_second(msg, config, checklist): return []\n",
    )
    chain = system.launch("first", "--fail")
    system.wait_for_chain(chain)
    assert states(system, "first") == ["failed", "failed"]
    assert system.ran() == ["first", "first", "second"]
    # A crash is no failure: nothing is tried again.
    crashed = system.launch("first", "--os-exit", "3")
    system.wait_for_chain(crashed)
    assert states(system, "first") == ["failed", "failed", "crashed"]
    # By hand there are all the tries again.
    again = system.request("rerun", {"job": chain}).payload["job"]
    system.wait_for_chain(again)
    assert states(system, "first")[3:] == ["failed", "failed"]
    assert [(job.attempt, job.tried) for job in system.jobs("first")[3:]] == [(2, 1), (3, 2)]


def test_a_lost_job_is_tried_again_where_that_does_no_harm(make_system):
    retry = {"tries": 2, "delay": "1 s"}
    system = limited(
        make_system, {"first": {"retry": retry, "idempotent": True}, "second": {"retry": retry}}
    )
    for worker in ("first", "second"):
        job = system.launch(worker, "--until", "told")
        system.wait_for_job(job, "running")
        # Also a manager that was not there sees that nobody is: by process ids and start times.
        system.kill("manager")
        claim = read_claim(system.job_folder(job))
        assert claim is not None
        assert claim.runner is not None
        os.kill(claim.runner.pid, signal.SIGKILL)
        os.kill(claim.process.pid, signal.SIGKILL)
        system.start("manager")
        system.wait_for_job(job, "lost")
    wait_for_states(system, "first", "lost", "running")
    assert states(system, "second") == ["lost"]
    system.touch("told")
    wait_for_states(system, "first", "lost", "succeeded")


def test_a_delay_goes_on_when_the_manager_is_killed_and_a_waiting_attempt_can_be_cancelled(
    make_system,
):
    system = limited(
        make_system,
        {"first": {"retry": {"tries": 2, "delay": "3 s", "on": ["failure"]}},
         "second": {"retry": {"tries": 2, "delay": "1h", "on": ["failure"]}}},
    )  # fmt: skip
    began = time.monotonic()
    for worker in ("first", "second"):
        system.launch(worker, "--fail")
        wait_for_states(system, worker, "failed", "waiting")
    waiting = system.jobs("second")[1]
    shown = nowcast(system.folder, "job", "show", waiting.id).out
    assert "waits" in shown
    assert "it is tried again in " in shown
    assert "attempt" in shown
    system.kill("manager")
    system.start("manager")
    wait_for_states(system, "first", "failed", "failed")
    assert time.monotonic() - began > 3
    assert states(system, "second") == ["failed", "waiting"]
    assert system.request("cancel", {"job": waiting.id}).type == "ack"
    assert states(system, "second") == ["failed", "cancelled"]
    assert system.ran() == ["first", "second", "first"]


# --- places


def test_so_many_run_at_once_and_the_rest_in_order_of_priority_and_age(make_system):
    system = limited(
        make_system,
        {"first": {"concurrency": 2}, "third": {"priority": 10}},
        settings={"jobs": {"concurrency": 3}},
    )
    jobs = [system.launch("first", "--until", f"go-{number}") for number in range(3)]
    wait_for_states(system, "first", "running", "running", "waiting")
    late = [system.launch("second", "--until", "go-second") for _ in range(2)]
    wait_for_states(system, "second", "running", "waiting")
    urgent = system.launch("third")
    assert states(system, "third") == ["waiting"]

    listed = nowcast(system.folder, "job", "list").out
    assert "2 jobs of first run, and its concurrency is 2" in listed
    assert "3 jobs run, and jobs: concurrency is 3" in listed
    told = nowcast(system.folder, "job", "show", jobs[2], "--json").json["job"]
    assert told["waits"] == "2 jobs of first run, and its concurrency is 2"
    system.kill("manager")  # what waits is no less in order for the next one
    system.start("manager")
    system.touch("go-0")
    wait_until(lambda: len(system.effects()) >= 5, what="the urgent one and the oldest to begin")
    system.touch("go-1")
    system.touch("go-second")
    system.touch("go-2")
    for job in (*jobs, *late, urgent):
        system.wait_for_job(job, "succeeded")
    begun = [job for job, _ in system.effects()]
    assert set(begun[:3]) == {jobs[0], jobs[1], late[0]}
    assert begun[3:5] == [urgent, jobs[2]]
    assert begun[5:] == [late[1]]


def test_a_place_is_free_when_the_process_has_gone(make_system):
    system = limited(make_system, {"first": {"concurrency": 1}}, prelude=SHORT_GRACE)
    job = system.launch("first", "--ignore-sigterm", "--until", "never")
    wait_until((system.folder / "ignores-sigterm").exists, what="the job to ignore SIGTERM")
    after = system.launch("first")
    system.request("cancel", {"job": job})
    assert [system.job(each).state for each in (job, after)] == ["cancelled", "waiting"]
    ended = system.wait_for_process_end(job)
    assert ended.exit["signal"] == signal.SIGKILL
    system.wait_for_job(after, "succeeded")


def test_a_limit_is_changed_by_a_reload(make_system):
    system = limited(make_system, {"first": {"concurrency": 1}})
    for _ in range(3):
        system.launch("first", "--until", "go")
    wait_for_states(system, "first", "running", "waiting", "waiting")
    system.registry["first"]["concurrency"] = 2
    system.write_config()
    assert system.request("reload").type == "ack"
    wait_for_states(system, "first", "running", "running", "waiting")
    system.touch("go")
    wait_for_states(system, "first", "succeeded", "succeeded", "succeeded")


# --- holds


def test_while_the_system_is_held_messages_are_decided_and_nothing_is_launched(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    done = nowcast(system.folder, "hold")
    assert (done.code, done.err) == (0, "")
    assert "the whole system is held since" in done.out
    system.finish("first", {"tide": 3})
    wait_for_states(system, "second", "waiting")
    assert system.messages("first")[0].state == "decided"
    assert system.checklist() == {"first": {"tide": 3}}
    system.kill("manager")
    system.start("manager")

    # No other has come to check the daemons here, which the tests have started by themselves.
    status = nowcast(system.folder, "status")
    assert "held      the whole system is held since" in status.out
    assert "1 waiting" in status.out
    held = nowcast(system.folder, "status", "--json").json["holds"]
    assert [hold["worker"] for hold in held] == [None]
    listed = nowcast(system.folder, "job", "list")
    assert "the whole system is held since" in listed.out
    assert "nowcast release" in listed.err
    assert states(system, "second") == ["waiting"]

    done = nowcast(system.folder, "release")
    assert (done.code, done.out) == (0, "the whole system is released\n")
    wait_for_states(system, "second", "succeeded")
    again = nowcast(system.folder, "release")
    assert again.code == 1
    assert "the whole system is not held; held: nothing" in again.err


def test_a_worker_is_held_by_its_name(system):
    wrong = nowcast(system.folder, "hold", "frist")
    assert wrong.code == 1
    assert "the worker frist is not in the message registry; did you mean 'first'?" in wrong.err
    assert nowcast(system.folder, "hold", "first").code == 0
    first, second = system.launch("first"), system.launch("second")
    system.wait_for_job(second, "succeeded")
    assert system.job(first).state == "waiting"
    shown = nowcast(system.folder, "job", "show", first).out
    assert "first is held since" in shown
    assert "nowcast release first" in shown
    nowcast(system.folder, "hold")
    done = nowcast(system.folder, "release", "first")
    assert done.out == "first is released\n"
    assert "the whole system is held still" in done.err
    assert system.job(first).state == "waiting"
    nowcast(system.folder, "release")
    system.wait_for_job(first, "succeeded")


# --- timeouts, and the end of all processes of a job


def test_a_job_that_runs_for_too_long_is_ended_and_counts_as_a_crash(make_system):
    system = limited(
        make_system,
        {"first": {"timeout": "1 s"}, "second": {"timeout": "1h", "retry": {"tries": 2}}},
        prelude=JUMPING_CLOCK + SHORT_GRACE,
    )
    job = system.launch("first", "--until", "never")
    ended = system.wait_for_job(job, "timed out")
    assert ended.reason == "it ran for longer than its timeout of 1 s and was ended"
    assert (ended.timed_out is not None, ended.final_message is not None) == (True, True)
    assert [message.type for message in system.messages("first")] == ["crash"]

    deaf = system.launch("first", "--ignore-sigterm", "--until", "never")
    assert system.wait_for_job(deaf, "timed out").reason == ended.reason
    assert system.wait_for_process_end(deaf).exit["signal"] == signal.SIGKILL
    assert [message.type for message in system.messages("first")] == ["crash", "crash"]

    # A timeout that is made shorter holds for what runs; and a manager that comes later keeps it.
    long = system.launch("second", "--until", "never")
    system.wait_for_job(long, "running")
    system.kill("manager")
    system.registry["second"]["timeout"] = "2 s"
    system.write_config()
    system.start("manager", prelude=JUMPING_CLOCK)
    system.wait_for_job(long, "timed out")
    wait_until(
        lambda: states(system, "second") == ["timed out", "timed out"],
        timeout=15.0,
        what="both tries to time out",
    )


def test_the_time_in_which_its_process_waited_for_a_job_does_not_count(make_system):
    system = limited(make_system, {"first": {"timeout": "3 s"}})
    system.wait_for_job(system.launch("second"), "succeeded")  # the next process is forked now
    waited = time.monotonic() + 3.5
    wait_until(lambda: time.monotonic() > waited, what="it to be older than the timeout")
    ended = system.wait_for_job(system.launch("first"), "succeeded", "timed out")
    assert ended.state == "succeeded"


def test_a_cancelled_job_is_ended_with_its_session_and_what_stays_is_told(make_system):
    system = limited(make_system, {}, prelude=SHORT_GRACE)
    system.write("workers/first.py", LEAVES_CHILDREN)
    job = system.launch("first")
    file = system.folder / "children"
    wait_until(file.exists, what="the children")
    deaf, gone = map(int, file.read_text().split())
    claim = read_claim(system.job_folder(job))
    assert claim is not None
    system.request("cancel", {"job": job})

    ended = system.wait_for_process_end(job)
    assert not is_alive(claim.process)
    identity = identity_of(deaf)
    assert identity is None or not is_alive(identity)
    assert ended.reason == (
        f"cancelled by hand; still there: process {gone} (sleep), which had left its session"
    )
    assert ended.reason in nowcast(system.folder, "job", "show", job).out
    os.kill(gone, signal.SIGKILL)


@pytest.mark.ssh
def test_on_another_host_the_same_holds(remote):
    system = remote.system
    system.registry["first"].update(
        {"timeout": "2 s", "retry": {"tries": 2, "delay": "1 s"}, "concurrency": 1}
    )
    system.write_config()
    assert system.request("reload").type == "ack"
    job = system.launch("first", "--until", "never", host="east")
    system.wait_for_job(job, "running", timeout=30)
    later = system.launch("first", host="east")
    assert system.job(later).state == "waiting"
    ended = system.wait_for_job(job, "timed out", timeout=30)
    assert ended.reason == "it ran for longer than its timeout of 2 s and was ended"
    system.wait_for_job(later, "succeeded", timeout=30)
    wait_for_states(system, "first", "timed out", "succeeded", "timed out", timeout=60)
    assert remote.ran() == ["first", "first", "first"]
