"""`nowcast run-worker` against real daemons."""

from __future__ import annotations

import os
import re
import signal

import pytest

from helpers import wait_until
from nowcast_cli.store.checklist_file import read_checklist
from nowcast_command import begin_nowcast, nowcast
from systems import MakeSystem, System


def test_it_shows_the_lines_of_its_worker_and_says_what_followed(make_system: MakeSystem) -> None:
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    done = nowcast(system.folder, "run-worker", "first")
    *log, summary = done.err.splitlines()
    assert done.code == 0
    assert all(" [first] " in line for line in log)
    assert " INFO [first] running in process " in log[0]
    assert log[-1].endswith(" [first] shutting down")
    second = system.jobs("second")[0]
    assert re.fullmatch(
        rf"first succeeded in \d\.\d s \(job {system.jobs('first')[0].id[-8:]}\); "
        rf"second follows \(job {second.id[-8:]}\)",
        summary,
    )


def test_it_waits_for_a_slow_decision(make_system: MakeSystem) -> None:
    slow = "time.sleep(1) or [NextWorker('workers.second')]"
    system = make_system(after={"first": slow}).start()
    assert "; second follows (job " in nowcast(system.folder, "run-worker", "first").err


def test_when_it_returns_the_checklist_file_has_the_entry(system: System) -> None:
    for number in range(5):
        done = nowcast(system.folder, "run-worker", "first", "--", "--payload", f"{{n: {number}}}")
        assert read_checklist(system.paths.checklist_file)["first"] == {"n": number}
        assert "; nothing follows" in done.err


def test_log_lines_come_while_the_worker_runs(system: System) -> None:
    command = begin_nowcast(system.folder, "run-worker", "first", "--", "--until", "go-on")
    assert command.stderr is not None
    assert "running in process" in command.stderr.readline()
    assert system.jobs("first")[0].unfinished
    system.touch("go-on")
    assert command.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--fail"], 1, "first failed after"),
        (["--raise"], 70, "first crashed after"),
        (["--os-exit", "5"], 5, "first crashed after"),
        (["--os-exit", "0"], 70, "first crashed after"),
        (["--signal", "9"], 137, "SIGKILL"),
    ],
)
def test_its_exit_code_is_that_of_the_worker(
    system: System, arguments: list[str], code: int, words: str
) -> None:
    done = nowcast(system.folder, "run-worker", "first", "--", *arguments)
    assert done.code == code
    assert words in done.err


def test_what_a_worker_prints_goes_to_the_streams_that_it_chose(system: System) -> None:
    system.write("workers/printer.py", "import sys; print('data'); print('rest', end='')\n"
                 "print('said', file=sys.stderr)\n")  # fmt: skip
    done = nowcast(system.folder, "run-worker", "printer")
    assert done.out == "data\nrest\n"
    assert "said\n" in done.err


def test_the_reason_of_a_bad_end_is_told_with_the_command_that_tells_more(system: System) -> None:
    done = nowcast(system.folder, "run-worker", "first", "--", "--os-exit", "5")
    (job,) = system.jobs("first")
    assert f"  {job.reason}; see `nowcast job show {job.id[-8:]}`" in done.err.splitlines()


def test_follow_tells_the_begin_and_end_of_every_job_of_the_chain(make_system: MakeSystem) -> None:
    system = make_system(
        after={
            "first": "[NextWorker('workers.second', ['--payload', '2'])]",
            "second": "[NextWorker('workers.third', ['--fail'])]",
        }
    ).start()
    done = nowcast(system.folder, "run-worker", "--follow", "first")
    assert done.code == 0
    told = [
        re.sub(r" \(job .*", "", line) for line in done.err.splitlines() if "[first]" not in line
    ]
    assert [re.sub(r"\d+\.\d s", "N s", line) for line in told] == [
        "first succeeded in N s",
        "second began",
        "second succeeded in N s",
        "third began",
        "third failed after N s",
        f"  it was told to fail; see `nowcast job show {system.jobs('third')[0].id[-8:]}`",
        "the chain has ended: 3 jobs in N s",
    ]
    assert read_checklist(system.paths.checklist_file) == {"second": 2}


def test_a_decision_that_fails_is_told_and_named(make_system: MakeSystem) -> None:
    system = make_system(after={"first": "1 / 0"}).start()
    done = nowcast(system.folder, "run-worker", "first")
    message = next(message for message in system.messages("first"))
    assert done.code == 0
    assert "; what follows could not be decided" in done.err
    assert "ZeroDivisionError: division by zero" in done.err
    assert f"`nowcast message show {message.number}`" in done.err


def test_control_c_cancels_the_worker(system: System) -> None:
    command = begin_nowcast(system.folder, "run-worker", "first", "--", "--sleep", "60")
    wait_until(lambda: system.ran(), what="the worker to begin")
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=20)
    assert command.returncode == 130
    assert system.jobs("first")[0].state == "cancelled"
    assert "first was cancelled after" in err
    assert "Traceback" not in err


def test_a_manager_that_is_killed_meanwhile_does_not_matter(system: System) -> None:
    system.supervise()
    command = begin_nowcast(system.folder, "run-worker", "first", "--", "--until", "go-on",
                            "--payload", "{tide: 3}")  # fmt: skip
    wait_until(lambda: system.ran(), what="the worker to begin")
    system.kill("manager")
    system.touch("go-on")
    assert command.wait(30) == 0
    assert read_checklist(system.paths.checklist_file)["first"] == {"tide": 3}


def test_with_the_system_down_it_names_both_ways_out(make_system: MakeSystem) -> None:
    system = make_system()
    done = nowcast(system.folder, "run-worker", "first")
    assert done.code == 3
    assert f"the system {system.folder} does not run" in done.err
    assert "nowcast start" in done.err
    assert "nowcast run-worker --debug first" in done.err
    assert system.ran() == []


def test_debug_runs_the_worker_here_without_daemons(make_system: MakeSystem) -> None:
    system = make_system()
    done = nowcast(system.folder, "run-worker", "--debug", "first", "--", "--payload", "{tide: 3}")
    assert done.code == 0
    assert "message that would have been sent to manager: (success)" in done.out + done.err
    assert system.effects() == [("by-hand", "first")]
    assert nowcast(system.folder, "run-worker", "first", "--debug", "--", "--fail").code == 1


def test_debug_with_control_c_waits_for_the_worker(make_system: MakeSystem) -> None:
    system = make_system()
    command = begin_nowcast(system.folder, "run-worker", "--debug", "first", "--", "--sleep", "60")
    wait_until(lambda: system.ran(), what="the worker to begin")
    for pid in {command.pid, *system.processes()}:  # as a terminal does
        os.kill(pid, signal.SIGINT)
    assert command.wait(20) == 130
    assert system.processes() == []


def test_the_help_of_a_worker_needs_no_daemons_and_is_no_job(make_system: MakeSystem) -> None:
    system = make_system()
    done = nowcast(system.folder, "run-worker", "first", "--", "--help")
    assert done.code == 0
    assert done.out.startswith("usage: ")
    assert not system.paths.database.exists()


def test_control_c_while_it_follows_says_that_the_chain_goes_on(make_system: MakeSystem) -> None:
    system = make_system(after={"first": "[NextWorker('workers.second', ['--sleep', '60'])]"})
    command = begin_nowcast(system.start().folder, "run-worker", "--follow", "first")
    wait_until(lambda: "second" in system.ran(), what="the second worker to begin")
    assert command.stderr is not None
    wait_until(lambda: "second began" in (command.stderr.readline() if command.stderr else ""),
               what="the command to tell of it")  # fmt: skip
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=20)
    assert command.returncode == 130
    assert "what was launched goes on: nowcast job list" in err
    assert system.jobs("second")[0].unfinished


def test_debug_among_the_arguments_of_a_job_is_refused(system: System) -> None:
    done = nowcast(system.folder, "run-worker", "first", "--", "--debug")
    assert done.code == 2
    assert "nowcast run-worker --debug first" in done.err
    assert system.jobs() == []


def test_an_option_of_the_worker_without_the_two_dashes_gets_them_in_the_hint(
    make_system: MakeSystem,
) -> None:
    folder = make_system().folder
    done = nowcast(folder, "run-worker", "--follow", "first", "--sleep", "2")
    assert done.code == 2
    assert "hint: nowcast run-worker --follow first -- --sleep 2\n" in done.err
    done = nowcast(folder, "run-worker", "first", "--sleep", "--", "2")
    assert "hint: nowcast run-worker first -- --sleep 2\n" in done.err
    assert "hint: nowcast run-worker --help" in nowcast(folder, "run-worker", "--folow").err


def test_a_worker_that_is_not_there_is_named_with_a_guess(system: System) -> None:
    done = nowcast(system.folder, "run-worker", "frist")
    assert done.code == 4
    assert "'first'" in done.err


def test_a_worker_may_be_named_by_its_module(system: System) -> None:
    assert nowcast(system.folder, "run-worker", "workers.first").code == 0
    assert nowcast(system.folder, "run-worker", "nowcast_cli.workers.clear_checklist").code == 0
    assert system.ran() == ["first"]


def test_a_configuration_that_the_manager_has_not_read_is_told(system: System) -> None:
    """Else a new worker fails, or runs elsewhere, for no reason that is to be seen."""
    said = "nowcast.yaml has changed since the manager has read it: nowcast reload"
    assert said not in nowcast(system.folder, "status").err + nowcast(system.folder, "status").out
    system.registry["first"]["timeout"] = "1h"
    system.write_config()
    assert f"! {said}" in nowcast(system.folder, "status").out
    done = nowcast(system.folder, "run-worker", "first")
    assert done.err.splitlines()[0] == said
    assert nowcast(system.folder, "reload").code == 0
    done = nowcast(system.folder, "run-worker", "first")
    assert said not in done.err
    assert done.code == 0
    assert said not in nowcast(system.folder, "status").out
