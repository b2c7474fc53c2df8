"""However a job ends, the manager learns of it within a second, and why; requests about jobs."""

import os
import signal
import time
from datetime import datetime

import pytest

from helpers import wait_until
from systems import System, lives

BROKEN = {
    "cannot_be_imported": "import there_is_no_such_module\n",
    "has_a_mistake": "def (:\n",
    "exits_at_once": "import sys\nsys.exit(3)\n",
    "says_nothing": "print('busy')\n",
    "exits_hard": "import os, sys\nprint('on my way', file=sys.stderr, flush=True)\nos._exit(7)\n",
    "kills_itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "gets_a_nameless_signal": "import os\nos.kill(os.getpid(), 40)\n",
    "says_it_in_latin1": "import os\nos.write(2, b'caf\\xe9 \\x00 closed\\n')\nos._exit(1)\n",
}


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = System(
        tmp_path_factory.mktemp("shared") / "system",
        workers=("first", "second", "third", "missing", *BROKEN),
    )
    for name, text in BROKEN.items():
        system.write(f"workers/{name}.py", text)
    (system.folder / "workers" / "missing.py").unlink()
    # No test can wait for the ten seconds that a job has to end by itself.
    system.start(prelude="import nowcast_cli.manager.job_ending as ending; ending.GRACE = 0.5")
    yield system
    system.end()


@pytest.mark.parametrize(
    ("worker", "reason"),
    [
        ("missing", "module workers.missing could not be imported: there is no such module"),
        ("cannot_be_imported", "No module named 'there_is_no_such_module'"),
        ("has_a_mistake", "SyntaxError"),
        ("exits_at_once", "exited with code 3 without its message"),
        ("says_nothing", "exited with code 0 without its message"),
        ("exits_hard", "exited with code 7 without its message; last on stderr: on my way"),
        ("kills_itself", "ended by signal 11 (SIGSEGV)"),
        ("gets_a_nameless_signal", "ended by signal 40"),
        ("says_it_in_latin1", "closed"),
    ],
)
def test_a_worker_that_ends_without_its_message_becomes_a_crash_with_the_reason(
    system, worker, reason
):
    job = system.launch(worker)
    ended = system.wait_for_job(job, "crashed")
    closed = system.wait_for_process_end(job)

    assert reason in ended.reason
    [crash] = system.messages(worker)
    assert (crash.type, crash.outcome, crash.job) == ("crash", "crash", job)
    assert ended.final_message == crash.number
    noticed = datetime.fromisoformat(crash.received)
    assert (noticed - datetime.fromisoformat(closed.exit["finished_at"])).total_seconds() < 1
    system.wait_for_message(crash.number, "decided")


def test_a_failure_and_an_exception_are_told_by_the_worker_itself(system):
    failed, crashed = system.launch("first", "--fail"), system.launch("first", "--raise")

    assert system.wait_for_job(failed, "failed").final_message is not None
    assert system.wait_for_job(crashed, "crashed").final_message is not None
    assert system.wait_for_process_end(failed).exit["code"] == 1
    assert system.wait_for_process_end(crashed).exit["code"] == 70
    stderr = (system.job_folder(crashed) / "stderr").read_text()
    assert "ValueError: as it was told to" in stderr + system.log()


def test_a_worker_that_is_killed_while_it_works_is_noticed_within_a_second(system):
    job = system.launch("first", "--until", "never")
    pid = system.wait_for_job(job, "running").pid
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    ended = system.wait_for_job(job, "crashed")

    assert "signal 9 (SIGKILL)" in ended.reason
    assert datetime.fromisoformat(ended.ended).timestamp() - killed_at < 1


def test_a_worker_whose_runner_was_killed_goes_on_and_ends_by_its_message(system):
    job = system.launch("first", "--until", "runner-killed")
    system.wait_for_job(job, "running")
    runner = _claim(system, job)["runner"]
    os.kill(runner["pid"], signal.SIGKILL)
    system.touch("runner-killed")

    assert system.wait_for_job(job, "succeeded", "lost", "crashed").state == "succeeded"
    system.wait_for_process_end(job)


def test_a_job_is_lost_when_worker_and_runner_are_killed(system):
    job = system.launch("first", "--until", "never")
    system.wait_for_job(job, "running")
    claim = _claim(system, job)
    os.kill(claim["runner"]["pid"], signal.SIGKILL)
    os.kill(claim["process"]["pid"], signal.SIGKILL)

    assert "gone without a word" in system.wait_for_job(job, "lost").reason
    assert system.messages("first")[-1].type == "crash"


def test_a_job_is_cancelled_by_sigterm_and_nothing_follows(system):
    job = system.launch("second", "--until", "never")
    process = _claim_of_running(system, job)["process"]
    wait_until(lambda: (job, "second") in system.effects(), what="the user code to begin")
    reply = system.request("cancel", {"job": job})

    assert (reply.type, reply.payload) == ("ack", {"job": job, "state": "cancelled"})
    assert system.job(job).state == "cancelled"
    wait_until(lambda: not lives(process), what="the end of the process")
    closed = system.wait_for_process_end(job)
    assert (closed.state, closed.reason) == ("cancelled", "cancelled by hand")
    assert [each.state for each in system.messages("second") if each.job == job] == ["late"]


def test_a_job_that_ignores_sigterm_is_killed_after_its_grace(system):
    job = system.launch("first", "--ignore-sigterm", "--until", "never")
    process = _claim_of_running(system, job)["process"]
    wait_until((system.folder / "ignores-sigterm").exists, what="the job to ignore SIGTERM")
    system.request("cancel", {"job": job})

    assert lives(process)
    assert system.wait_for_process_end(job).exit["signal"] == signal.SIGKILL
    assert system.job(job).state == "cancelled"


def test_a_job_can_be_run_again_and_is_told_from_the_first(system):
    first = system.launch("first", "--payload", "7")
    system.wait_for_job(first, "succeeded")
    again = system.request("rerun", {"job": first}).payload["job"]
    second = system.wait_for_job(again, "succeeded")

    assert (second.predecessor, second.attempt) == (first, 2)
    assert second.arguments == ("--payload", "7")


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        ("cancel", {"job": "nobody"}, "there is no such job"),
        ("cancel", None, "there is no such job"),
        ("cancel", {"job": ["a", "list"]}, "there is no such job"),
        ("rerun", {"job": 3}, "there is no such job"),
        ("rerun", "text", "there is no such job"),
        ("launch", None, "names a module"),
        ("launch", {"module": 3}, "names a module"),
        ("launch", {"module": "workers.first", "arguments": "--x"}, "are a list"),
        ("launch", {"module": "../../etc/passwd"}, "dotted name"),
        ("launch", {"module": ""}, "dotted name"),
        ("retry", {"message": 10**9}, "is not stuck"),
        ("retry", ["all"], "is not stuck"),
        ("dance", {}, "there is no request 'dance'"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_a_sentence(system, kind, payload, words):
    before = len(system.jobs())
    reply = system.request(kind, payload)

    assert reply.type == "refused"
    assert words in reply.payload["what"]
    assert len(system.jobs()) == before


def test_a_job_that_runs_is_not_run_again_and_one_that_ended_is_not_cancelled(system):
    job = system.launch("first", "--until", "let-go")
    system.wait_for_job(job, "running")
    assert "has not ended" in system.request("rerun", {"job": job}).payload["what"]

    system.touch("let-go")
    system.wait_for_job(job, "succeeded")
    assert "has ended already" in system.request("cancel", {"job": job}).payload["what"]


def test_a_job_that_is_cancelled_before_its_claim_never_begins(make_system):
    system = make_system().start()
    launcher = system.pid("launcher")
    os.kill(launcher, signal.SIGSTOP)
    try:
        job = system.launch("first")
        assert system.job(job).state == "submitting"
        assert system.request("cancel", {"job": job}).payload["state"] == "cancelled"
        system.wait_for_process_end(job)
    finally:
        os.kill(launcher, signal.SIGCONT)
    after = system.launch("second")
    system.wait_for_job(after, "succeeded")

    assert system.ran() == ["second"]
    assert system.job(job).state == "cancelled"


def test_jobs_outlive_manager_and_launcher_and_are_adopted(make_system):
    system = make_system(after={"first": "[NextWorker('workers.third')]"}).start()
    one = system.launch("first", "--until", "go")
    two = system.launch("second", "--os-exit", "4", "--until", "go")
    system.wait_for_job(one, "running")
    system.wait_for_job(two, "running")
    system.kill("launcher")
    system.kill("manager")
    system.touch("go")
    wait_until(lambda: (system.job_folder(two) / "exit").exists(), what="the second to end")
    system.start("manager")

    system.wait_for_chain(one)
    assert system.wait_for_job(two, "crashed").exit["code"] == 4
    assert sorted(system.ran()) == ["first", "second", "third"]


def _claim(system, job):
    import json

    return json.loads((system.job_folder(job) / "pid").read_bytes())


def _claim_of_running(system, job):
    system.wait_for_job(job, "running")
    return _claim(system, job)
