"""Flows with real daemons: jobs, words from outside, flows in flows, and what kills them."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from helpers import wait_until
from nowcast_command import Done, begin_nowcast, nowcast
from systems import MakeSystem, System

FLOWS: dict[str, Any] = {
    "forecast": {
        "parameters": {"tide": 3},
        "steps": {
            "get": {"worker": "first", "args": ["--payload", "{{n: {tide}, files: [a, b]}}"]},
            "make": {
                "worker": "second",
                "after": "get",
                "for each": "{get.files}",
                "args": ["--payload", "{item}{get.n}"],
            },
            "approve": {"action": "?Forecast@ASYNC?approve", "after": "make"},
            "publish": {
                "worker": "third",
                "after": "approve",
                "args": "--payload {approve.by}",
                "when": "approve.by != 'nobody'",
            },
        },
    },
    "failing": {
        "steps": {
            "try": {
                "worker": "first",
                "args": "--fail",
                "retry": {"tries": 2},
                "on failure": "tell",
            },
            "tell": {"worker": "second", "args": ["--payload", "{try.reason}"]},
            "never": {"worker": "third", "after": "try"},
        }
    },
    "long": {"steps": {"wait": {"worker": "first", "args": "--until go"}}},
    "outer": {"steps": {"inner": {"flow": "long"}, "after": {"worker": "third", "after": "inner"}}},
}


def flow(system: System, *arguments: str) -> Done:
    return nowcast(system.folder, "flow", *arguments)


def begin(system: System, *arguments: str) -> str:
    done = flow(system, "run", *arguments, "--json")
    assert done.code == 0, done.err
    return str(done.json["run"])


def shown(system: System, run: str) -> dict[str, Any]:
    document: dict[str, Any] = flow(system, "show", run, "--json").json
    return document


def states(system: System, run: str) -> dict[str, str]:
    return {
        step["step"] + ("" if step["item"] is None else f"[{step['item']}]"): step["state"]
        for step in shown(system, run)["steps"]
    }


def wait_for(system: System, run: str, step: str, state: str = "running") -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        steps = shown(system, run)["steps"]
        found = [each for each in steps if each["step"] == step and each["state"] == state]
        return found[0] if found else None

    return wait_until(there, timeout=60, what=f"{step} to be {state}")


def wait_for_end(system: System, run: str) -> dict[str, Any]:
    wait_until(lambda: shown(system, run)["state"] != "running", timeout=60, what="the run's end")
    return shown(system, run)


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    return make_system(settings={"flows": FLOWS}).start()


def test_a_run_goes_from_jobs_by_a_persons_word_to_its_end(system: System) -> None:
    run = begin(system, "forecast", "--param", "tide=5")
    token = wait_for(system, run, "approve")["token"]
    done = flow(system, "show", run[-8:])
    assert f"waits for: nowcast flow complete {run[-8:]}/approve//1\n" in done.out
    assert "make[a]" in done.out
    status = nowcast(system.folder, "status")
    assert f"flow      forecast (run {run[-8:]}): at approve" in status.out
    (told,) = nowcast(system.folder, "status", "--json").json["flow runs"]
    assert (told["run"], told["at"]) == (run, ["approve"])
    assert flow(system, "complete", f"{run[-8:]}/approve//1", "--result", "by=Susan").code == 0
    ended = wait_for_end(system, run)
    assert ended["state"] == "done"
    assert states(system, run) == {
        "get": "done", "make[0]": "done", "make[1]": "done", "approve": "done", "publish": "done",
    }  # fmt: skip
    assert system.ran() == ["first", "second", "second", "third"]
    assert system.checklist()["first"] == {"n": 5, "files": ["a", "b"]}
    assert [step["gave"] for step in ended["steps"] if step["step"] == "make"] == ["a5", "b5"]
    assert system.checklist()["third"] == "Susan"

    again = flow(system, "complete", token, "--result", "by=Susan")
    assert again.code == 0, "the same word once more does no harm"
    other = flow(system, "complete", token, "--result", "by=Bob")
    assert other.code == 1
    assert "came too late and has no effect" in other.err
    assert "hint: nowcast flow show" in other.err


def test_the_condition_of_a_step_may_leave_it_out(system: System) -> None:
    run = begin(system, "forecast")
    token = wait_for(system, run, "approve")["token"]
    flow(system, "complete", token, "--result", "by=nobody")
    assert wait_for_end(system, run)["state"] == "done"
    assert states(system, run)["publish"] == "skipped"


def test_what_next_workers_says_is_not_asked_about_the_job_of_a_step(
    make_system: MakeSystem,
) -> None:
    system = make_system(
        settings={"flows": FLOWS}, after={"first": "[NextWorker('workers.second')]"}
    ).start()
    run = begin(system, "long")
    system.touch("go")
    wait_for_end(system, run)
    by_hand = system.launch("first")
    system.wait_for_chain(by_hand)
    assert system.ran() == ["first", "first", "second"]


def test_a_failure_is_tried_again_then_something_stands_in_and_the_run_has_failed(
    system: System,
) -> None:
    followed = flow(system, "run", "failing", "--follow")
    assert followed.code == 1
    assert "failed  failing (run " in followed.out.splitlines()[-1]
    assert "step try: it was told to fail" in followed.out.splitlines()[-1]
    assert "try, attempt 2" in followed.out
    assert system.ran() == ["first", "first", "second"]
    assert system.checklist()["second"] == "it was told to fail"


def test_a_manager_that_is_killed_goes_on_with_the_runs(system: System) -> None:
    run = begin(system, "outer")
    inner = wait_for(system, run, "inner")["job"]
    wait_for(system, inner, "wait")
    system.kill("manager")
    system.touch("go")
    system.start("manager")
    assert wait_for_end(system, run)["state"] == "done"
    assert system.ran() == ["first", "third"]


def test_a_run_is_cancelled_with_its_flows_and_jobs_and_can_go_on(system: System) -> None:
    run = begin(system, "outer")
    inner = wait_for(system, run, "inner")["job"]
    job = wait_for(system, inner, "wait")["job"]
    assert f"run {inner[-8:]}" in flow(system, "show", run[-8:]).out
    assert flow(system, "cancel", run[-8:]).code == 0
    assert (shown(system, run)["state"], shown(system, inner)["state"]) == ("cancelled",) * 2
    wait_until(lambda: system.job(job).exit is not None, what="the process to go")
    assert flow(system, "cancel", run).code == 1
    system.touch("go")
    assert flow(system, "retry", run, "--follow").code == 0
    assert system.ran() == ["first", "first", "third"]


def test_mistakes_are_told_with_what_to_type_next(system: System) -> None:
    for arguments, words in (
        (["run", "forecst"], "did you mean 'forecast'?"),
        (["run", "forecast", "-p", "tide=high"], "tide must be a whole number, not 'high'"),
        (["run", "forecast", "-p", "tides=1"], "no parameter 'tides' (it has: tide)"),
        (["run", "forecast", "-p", "tide"], "--param tide names no value"),
        (["show", "00000000"], "there is no run with the id '00000000'"),
        (["complete", "x"], "'x' is no token"),
        (["complete", "a/b//1"], "nothing waits for a/b//1"),
        (["resume", "00000000"], "there is no run with the id"),
    ):
        done = flow(system, *arguments)
        assert done.code != 0
        assert words in done.err
        assert "hint: " in done.err
    run = begin(system, "long")
    job = wait_for(system, run, "wait")["token"]
    assert "ended by its job, not from outside" in flow(system, "complete", job).err
    assert "has not ended" in flow(system, "retry", run).err


def test_a_definition_that_changes_leaves_the_runs_that_follow_it(system: System) -> None:
    run = begin(system, "outer")
    wait_for(system, run, "inner")
    changed = {"steps": {"other": {"worker": "second"}}}
    system.settings["flows"] = {**FLOWS, "outer": changed}
    system.write_config()
    assert nowcast(system.folder, "reload").code == 0
    system.touch("go")
    assert set(states(system, wait_for_end(system, run)["run"])) == {"inner", "after"}
    later = begin(system, "outer")
    wait_for_end(system, later)
    assert set(states(system, later)) == {"other"}


def test_to_follow_ends_by_ctrl_c_and_the_run_goes_on(system: System) -> None:
    following = begin_nowcast(system.folder, "flow", "run", "long", "--follow")
    assert following.stdout is not None
    assert "running  wait" in following.stdout.readline()
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=20) == 130
    (run,) = flow(system, "runs", "--json").json["runs"]
    assert run["state"] == "running"
    system.touch("go")
    assert wait_for_end(system, run["run"])["state"] == "done"
    assert "● done" in flow(system, "runs", "long").out


def test_a_message_of_a_worker_begins_a_run(make_system: MakeSystem) -> None:
    told = {"on": {"message": "second"}, "steps": {"do": {"worker": "third"}}}
    system = make_system(settings={"flows": {"told": told}}).start()
    system.launch("second")
    run = wait_until(lambda: flow(system, "runs", "told", "--json").json["runs"], timeout=20)[0]
    assert wait_for_end(system, run["run"])["state"] == "done"
    assert system.ran() == ["second", "third"]
    assert "success of second" in run["origin"]
