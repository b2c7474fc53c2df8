"""`nowcast checklist`, `job`, `message` and `logs` on a system with a history."""

from __future__ import annotations

import json
import os
import signal
import sys

import pexpect
import pytest

from helpers import wait_until
from nowcast_command import begin_nowcast, nowcast
from systems import MakeSystem, System


@pytest.fixture
def used(make_system: MakeSystem) -> System:
    """A running system in which ``second`` followed ``first``, and ``third`` was killed."""
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    chain = system.launch("first", "--payload", "{tide: 3}")
    system.wait_for_chain(chain)
    killed = system.launch("third", "--print", "last words", "--signal", "9")
    system.wait_for_process_end(killed)
    return system


@pytest.fixture
def stopped(used: System) -> System:
    """The same with every daemon down."""
    for name in ("manager", "message_broker"):
        used.stop(name)
    return used


def short(system: System, worker: str) -> str:
    return system.jobs(worker)[0].id[-8:]


# --- job


def test_jobs_are_listed_the_newest_first_with_every_daemon_down(stopped: System) -> None:
    listed = nowcast(stopped.folder, "job", "list").out.splitlines()
    assert [line.split()[1] for line in listed] == ["WORKER", "third", "second", "first"]
    assert "✗ crashed" in listed[1]
    assert "SIGKILL" in listed[1]
    assert listed[1].startswith(short(stopped, "third"))


def test_jobs_can_be_chosen_and_given_as_json(used: System) -> None:
    told = nowcast(used.folder, "job", "list", "--json").json
    assert told["schema"] == 1
    assert [job["worker"] for job in told["jobs"]] == ["third", "second", "first"]
    chosen = nowcast(used.folder, "job", "list", "--state", "crashed", "--json").json["jobs"]
    assert [job["worker"] for job in chosen] == ["third"]
    chosen = nowcast(used.folder, "job", "list", "--worker", "first", "--json").json["jobs"]
    assert [job["worker"] for job in chosen] == ["first"]
    assert len(nowcast(used.folder, "job", "list", "-n", "1").out.splitlines()) == 2


def test_a_list_without_jobs_says_so(used: System) -> None:
    done = nowcast(used.folder, "job", "list", "--state", "lost")
    assert (done.code, done.out, done.err) == (0, "", "no such jobs\n")


def test_a_killed_job_shows_its_reason_and_the_last_lines_of_stderr(stopped: System) -> None:
    shown = nowcast(stopped.folder, "job", "show", short(stopped, "third")).out
    assert "SIGKILL" in next(line for line in shown.splitlines() if line.startswith("reason"))
    assert "exit       signal 9" in shown
    assert shown.endswith("stderr:\n  last words\n")
    assert str(stopped.job_folder(stopped.jobs("third")[0].id)) in shown


def test_a_job_shows_what_it_follows_and_what_follows_from_it(used: System) -> None:
    first, second = short(used, "first"), short(used, "second")
    assert f"second (job {second})" in nowcast(used.folder, "job", "show", first).out
    assert "(first success)" in nowcast(used.folder, "job", "show", second).out
    told = nowcast(used.folder, "job", "show", first, "--json").json["job"]
    assert told["jobs"] == [used.jobs("second")[0].id]
    assert told["arguments"] == ["--payload", "{tide: 3}"]


def test_a_job_that_is_not_there_is_exit_code_4(used: System) -> None:
    for verb in ("show", "cancel", "rerun"):
        done = nowcast(used.folder, "job", verb, "ffffffff")
        assert done.code == 4
        assert "nowcast job list" in done.err


def test_a_rerun_takes_the_same_arguments_and_the_chain_goes_on(used: System) -> None:
    told = nowcast(used.folder, "job", "rerun", short(used, "first"), "--json").json
    again = used.wait_for_process_end(told["job"])
    assert again.arguments == ("--payload", "{tide: 3}")
    used.wait_for_chain(again.chain)
    assert [job.worker for job in used.jobs()[-2:]] == ["first", "second"]


def test_a_job_is_cancelled(used: System) -> None:
    job = used.launch("second", "--sleep", "60")
    used.wait_for_job(job, "running")
    assert nowcast(used.folder, "job", "cancel", job[-8:]).code == 0
    used.wait_for_job(job, "cancelled")


def test_a_request_with_the_system_down_is_exit_code_3(stopped: System) -> None:
    for arguments in (
        ("job", "rerun", short(stopped, "first")),
        ("job", "cancel", short(stopped, "first")),
        ("message", "retry", "--all"),
        ("checklist", "clear", "--yes"),
    ):
        done = nowcast(stopped.folder, *arguments)
        assert done.code == 3, arguments
        assert "hint: nowcast start" in done.err


def test_tab_offers_the_ids_that_fit(used: System) -> None:
    first = short(used, "first")
    assert completions(used, "job", "show", "") == [job.id[-8:] for job in used.jobs()[::-1]]
    assert completions(used, "job", "show", first[:6]) == [first]
    assert completions(used, "job", "cancel", "") == []
    numbers = [str(message.number) for message in used.messages()[::-1]]
    assert completions(used, "message", "show", "") == numbers
    assert completions(used, "message", "retry", "") == []
    assert completions(used, "restart", "") == ["message_broker", "manager"]


def completions(system: System, *words: str) -> list[str]:
    line = ["nowcast", *words]
    env = {
        **os.environ,
        "_NOWCAST_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(line) - 1),
        "NOWCAST_YAML": str(system.config_file),
    }
    return nowcast(system.folder, env=env).out.split()


# --- message


def test_messages_are_listed_and_shown_with_every_daemon_down(stopped: System) -> None:
    told = nowcast(stopped.folder, "message", "list", "--source", "first", "--json").json
    (message,) = told["messages"]
    number = str(message["number"])
    listed = nowcast(stopped.folder, "message", "list", "--source", "first").out.splitlines()[1]
    assert listed.split()[0] == number
    shown = nowcast(stopped.folder, "message", "show", number).out
    assert shown.endswith("payload:\n  tide: 3\n")
    assert f"launched  {short(stopped, 'second')}" in shown
    told = nowcast(stopped.folder, "message", "show", number, "--json").json["message"]
    assert told["jobs"] == [stopped.jobs("second")[0].id]


def test_a_stuck_message_shows_its_traceback_and_is_taken_again(make_system: MakeSystem) -> None:
    after = "[NextWorker('workers.second')] if os.path.exists('mended') else 1 / 0"
    system = make_system(after={"first": after}).start()
    system.finish("first")
    number = system.messages("first")[0].number
    system.wait_for_message(number, "stuck")
    (stuck,) = nowcast(system.folder, "message", "list", "--state", "stuck", "--json").json[
        "messages"
    ]
    assert stuck["number"] == number
    assert "ZeroDivisionError" in nowcast(system.folder, "message", "show", str(number)).out
    done = nowcast(system.folder, "message", "retry", str(number))
    said = f"message {number} (first success) is taken again: what follows could not be decided\n"
    assert (done.code, done.out) == (1, said)
    assert "is stuck: ZeroDivisionError" in done.err
    system.touch("mended")
    done = nowcast(system.folder, "message", "retry", str(number))
    assert (done.code, done.err) == (0, "")
    assert "is taken again: second follows (job " in done.out


def test_retry_wants_a_message_or_all(used: System) -> None:
    assert nowcast(used.folder, "message", "retry").code == 2
    assert nowcast(used.folder, "message", "retry", "1", "--all").code == 2
    done = nowcast(used.folder, "message", "retry", "--all")
    assert (done.code, done.err) == (0, "no message is stuck\n")
    done = nowcast(used.folder, "message", "retry", "9999")
    assert (done.code, done.err.splitlines()[0]) == (4, "error: there is no message 9999")


# --- checklist


def test_the_checklist_is_shown_with_every_daemon_down(stopped: System) -> None:
    stopped.paths.database.rename(stopped.paths.database.with_suffix(".away"))
    assert nowcast(stopped.folder, "checklist", "show").out == "first:\n  tide: 3\n"
    assert nowcast(stopped.folder, "checklist", "show", "first/tide").out == "first/tide: 3\n"
    told = nowcast(stopped.folder, "checklist", "show", "first", "--json").json
    assert told == {"schema": 1, "checklist": {"first": {"tide": 3}}}


def test_a_key_that_is_not_there_is_exit_code_4_with_a_guess(used: System) -> None:
    assert used.checklist() == {"first": {"tide": 3}}  # written up to 0.2 s after the message
    done = nowcast(used.folder, "checklist", "show", "frist")
    assert done.code == 4
    assert "did you mean 'first'?" in done.err


def test_a_watch_shows_the_checklist_again_when_it_changes(used: System) -> None:
    assert used.checklist() == {"first": {"tide": 3}}  # written up to 0.2 s after the message
    command = begin_nowcast(used.folder, "checklist", "show", "first", "--watch", "--json")
    assert command.stdout is not None
    assert json.loads(command.stdout.readline())["checklist"] == {"first": {"tide": 3}}
    used.finish("first", {"tide": 4})
    assert json.loads(command.stdout.readline())["checklist"] == {"first": {"tide": 4}}
    command.send_signal(signal.SIGINT)
    assert command.wait(10) == 130


def test_a_wait_in_vain_is_exit_code_124(stopped: System) -> None:
    done = nowcast(stopped.folder, "checklist", "wait", "first/tide=9", "--timeout", "0.2")
    assert done.code == 124
    assert "note: the system does not run" in done.err


def test_clearing_asks_only_at_a_terminal(used: System) -> None:
    done = nowcast(used.folder, "checklist", "clear")
    assert done.code == 2
    assert "--yes" in done.err
    dry = nowcast(used.folder, "checklist", "clear", "--dry-run")
    assert dry.out == "would be cleared: first\n"
    assert used.checklist() == {"first": {"tide": 3}}
    assert nowcast(used.folder, "checklist", "clear", "--yes").out == "cleared: first\n"
    assert used.checklist() == {}


@pytest.mark.parametrize(("answer", "code"), [("n\r", 1), ("\x03", 130), ("\x04", 1)])
def test_at_a_terminal_no_and_ctrl_c_are_taken_for_an_answer(
    used: System, answer: str, code: int
) -> None:
    asked = pexpect.spawn(
        sys.executable,
        ["-m", "nowcast_cli.cli", "-C", str(used.folder), "checklist", "clear"],
        encoding="utf-8",
        timeout=20,
    )
    asked.expect_exact("[y/N]:")
    asked.send(answer)
    asked.expect_exact("\nnothing was done")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == code
    assert used.checklist() == {"first": {"tide": 3}}


# --- logs


def test_logs_give_the_last_lines_of_those_who_are_named(stopped: System) -> None:
    lines = nowcast(stopped.folder, "logs", "first", "-n", "3").out.splitlines()
    assert len(lines) == 3
    assert all(" [first] " in line for line in lines)
    told = nowcast(stopped.folder, "logs", "-n", "1", "--json").json
    assert set(told) == {"schema", "time", "level", "name", "text", "file"}


def test_logs_leave_out_what_is_less_serious(stopped: System) -> None:
    lines = nowcast(stopped.folder, "logs", "--level", "error").out.splitlines()
    assert nowcast(stopped.folder, "logs", "--level", "ERROR").out.splitlines() == lines
    assert all(" DEBUG " not in line and " INFO " not in line for line in lines)


def test_following_logs_go_on_until_control_c(used: System) -> None:
    command = begin_nowcast(used.folder, "logs", "-f", "-n", "1", "second")
    assert command.stdout is not None
    assert "shutting down" in command.stdout.readline()
    job = used.launch("second")
    assert "running in process" in command.stdout.readline()
    used.wait_for_process_end(job)
    command.send_signal(signal.SIGINT)
    assert command.wait(10) == 130


def test_a_reader_that_leaves_early_ends_the_command_quietly(used: System) -> None:
    command = begin_nowcast(used.folder, "logs", "-f")
    assert command.stdout is not None
    command.stdout.readline()
    command.stdout.close()
    used.launch("second")
    wait_until(lambda: command.poll() is not None, what="logs -f to end")
    assert command.stderr is not None
    assert command.stderr.read() == ""


def test_a_system_that_never_ran_says_so(make_system: MakeSystem) -> None:
    system = make_system()
    for arguments in (("job", "list"), ("message", "list"), ("checklist", "show")):
        done = nowcast(system.folder, *arguments)
        assert done.code == 4
        assert "nowcast start" in done.err
    assert nowcast(system.folder, "logs").code == 0
