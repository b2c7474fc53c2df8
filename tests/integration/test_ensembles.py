"""Ensembles with real daemons and workers: many jobs, one ending, one line."""

from __future__ import annotations

import signal

import pytest

from helpers import wait_until
from nowcast_cli.messages import wire
from nowcast_cli.store.records import EnsembleRecord
from nowcast_command import begin_nowcast, nowcast
from systems import MakeSystem, System

NEXT = """
from nowcast_cli import NextWorker


def after_first(msg, config, checklist):
    if msg.type != "success":
        return []
    return [NextWorker("workers.second", {args}, {ensemble})]


def after_second(msg, config, checklist):
    return [NextWorker("workers.third", args=["--payload", repr(dict(msg.payload))])]


def after_third(msg, config, checklist):
    return []
"""


def ensembles(system: System, worker: str | None = None) -> list[EnsembleRecord]:
    with system.reader() as reader:
        return reader.ensembles(worker=worker)[::-1]


def wait_for_end(system: System, worker: str = "second", number: int = 0) -> EnsembleRecord:
    def ended() -> EnsembleRecord | None:
        found = ensembles(system, worker)[number:]
        return found[0] if found and not found[0].unfinished else None

    return wait_until(ended, timeout=60, what=f"ensemble {number} of {worker} to end")


def test_members_run_at_most_so_many_at_once_and_end_as_one(make_system: MakeSystem) -> None:
    text = NEXT.format(
        args="['--payload', '{{run: {{member}}}}', '--sleep', '0.05']".replace("{{", "{").replace(
            "}}", "}"
        ),
        ensemble="for_each='1..7', at_most=2",
    )
    system = make_system(next_workers=text).start()
    job = system.launch("first")
    system.wait_for_chain(job, timeout=60)

    (ensemble,) = ensembles(system)
    assert (ensemble.state, ensemble.succeeded, ensemble.members) == ("succeeded", 7, "1..7")
    assert system.ran().count("second") == 7
    assert system.ran()[-1] == "third"
    assert system.ran().count("third") == 1, "one ending, and one decision"
    said = {number: {"run": number} for number in range(1, 8)}
    assert system.checklist()["second"] == {**said, "failed": [], "cancelled": []}
    assert system.checklist()["third"] == {**said, "failed": [], "cancelled": []}
    members = [job for job in system.jobs("second") if job.member is not None]
    assert [job.arguments[1] for job in members] == [f"{{run: {n}}}" for n in range(1, 8)]
    folder = system.job_folder(members[2].id)
    assert '"NOWCAST_MEMBER": "3"' in (folder / "job.json").read_text()
    began_and_ended = sorted(
        [(job.started or "", 1) for job in members]
        + [(str((job.exit or {})["finished_at"]), -1) for job in members]
    )
    at_once, most = 0, 0
    for _, change in began_and_ended:
        at_once += change
        most = max(most, at_once)
    assert most <= 2


def test_a_member_that_crashes_is_named_and_only_it_runs_again(make_system: MakeSystem) -> None:
    text = NEXT.format(
        args="['{what}', '3']", ensemble="for_each={'what': ['--payload', '--os-exit', '--sleep']}"
    )
    system = make_system(next_workers=text).start()
    system.wait_for_chain(system.launch("first"), timeout=60)
    ensemble = wait_for_end(system)
    assert ensemble.state == "crashed"
    assert (ensemble.reason or "").startswith("of its 3 members 2 succeeded, 1 crashed")
    with system.reader() as reader:
        (crash,) = [m for m in reader.messages(source="second", limit=None) if m.note is None]
    payload = wire.load(crash.body or "")["payload"]
    assert payload == {"--payload": 3, "--sleep": None, "failed": ["--os-exit"], "cancelled": []}

    listed = nowcast(system.folder, "job", "list", "--json").json
    assert [each["members"] for each in listed["ensembles"]] == ["--payload, --os-exit, … (3)"]
    assert {job["worker"] for job in listed["jobs"]} == {"first", "third"}
    short = ensemble.id[-8:]
    shown = nowcast(system.folder, "job", "show", short)
    assert "2 done, 1 crashed" in shown.out
    assert "all members have ended" in shown.out

    again = nowcast(system.folder, "job", "rerun", short, "--failed", "--json").json
    assert again["members"] == 1
    second = wait_for_end(system, number=1)
    assert (second.predecessor, second.succeeded, second.crashed) == (ensemble.id, 2, 1)
    last = [job for job in system.jobs("second") if job.ensemble == second.id]
    assert [(job.attempt, job.arguments) for job in last] == [(2, ("--os-exit", "3"))]


def test_run_worker_shows_how_members_go_on_and_ends_with_the_first_of_any(
    make_system: MakeSystem,
) -> None:
    system = make_system().start()
    options = ["--members", "1..3", "--at-most", "3", "--ends-when", "any"]
    process = begin_nowcast(
        system.folder, "run-worker", "first", *options, "--", "--until", "go-{member}"
    )
    wait_until(lambda: len(system.ran()) == 3, timeout=30, what="all members to have begun")
    status = nowcast(system.folder, "status")
    assert "ensemble  first 1..3: 3 running" in status.out
    assert nowcast(system.folder, "job", "list").out.count("\n") == 2, "a header and one line"
    system.touch("go-2")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "first 1..3: 1 done, 2 cancelled" in err
    assert "first 1..3 succeeded after" in err
    states = {job.member.label: job.state for job in system.jobs("first") if job.member}
    assert states == {1: "cancelled", 2: "succeeded", 3: "cancelled"}
    for job in system.jobs("first"):
        system.wait_for_process_end(job.id, timeout=30)


def test_run_worker_refuses_what_makes_no_ensemble(make_system: MakeSystem) -> None:
    system = make_system()
    done = nowcast(system.folder, "run-worker", "first", "--at-most", "2")
    assert done.code == 2
    assert "--at-most is for an ensemble, and first has no members" in done.err
    done = nowcast(system.folder, "run-worker", "first", "--members", "1-21")
    assert done.code == 2
    assert "hint: a range is --members 1..21" in done.err


def test_members_that_say_nothing_need_no_checklist_key(make_system: MakeSystem) -> None:
    system = make_system(workers=["step"])
    types = {"success": "good", "failure": "bad", "crash": "boom"}
    system.registry["step"] = {"command": "true", "members": "1..2", **types}
    system.write_config()
    system.start()
    assert nowcast(system.folder, "run-worker", "step").code == 0
    log = system.log()
    assert "2 of 2 members have succeeded" in log
    assert "is not in the checklist" not in log


def _run(system: System, worker: str, count: int) -> bool:
    """Say whether so many jobs of a worker run now."""
    return sum(job.state == "running" for job in system.jobs(worker)) == count


def test_ctrl_c_and_cancel_end_all_members(make_system: MakeSystem) -> None:
    system = make_system().start()
    for by_hand in (False, True):
        words = ["run-worker", "first", "--members", "a,b", "--", "--until", "never"]
        process = begin_nowcast(system.folder, *words)
        wait_until(lambda: _run(system, "first", 2), timeout=30, what="the members to run")
        if by_hand:
            short = ensembles(system)[-1].id[-8:]
            assert nowcast(system.folder, "job", "cancel", short).code == 0
        else:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        ended = wait_for_end(system, "first", -1)
        assert (ended.state, ended.cancelled, ended.final_message) == ("cancelled", 2, None)
        for job in system.jobs("first"):
            system.wait_for_process_end(job.id, timeout=30)


def test_the_configuration_makes_an_ensemble_of_every_launch(make_system: MakeSystem) -> None:
    system = make_system()
    system.registry["first"] |= {"members": "01..03", "at most": 1, "ends when": 2}
    system.write_config()
    system.start()
    system.launch("first", "--payload", "'{member}'")
    ended = wait_for_end(system, "first")
    assert (ended.state, ended.succeeded, ended.cancelled) == ("succeeded", 2, 1)
    assert system.checklist()["first"] == {
        "01": "01", "02": "02", "failed": [], "cancelled": ["03"]
    }  # fmt: skip


@pytest.mark.parametrize(
    "point", ["manager.before_commit", "store.begun", "store.committed", "manager.before_acting"]
)
def test_a_manager_killed_at_the_last_end_sends_one_combined_message(
    make_system: MakeSystem, point: str
) -> None:
    system = make_system(after={"first": "[NextWorker('workers.second')]"})
    system.start("message_broker")
    system.start("manager", prelude=_killed_at_the_ending(point))
    system.supervise()
    request = {
        "module": "workers.first", "arguments": ["--payload", "{member}"], "members": "1..3"
    }  # fmt: skip
    system.request("launch", request)
    ended = wait_for_end(system, "first")
    wait_until(lambda: system.ran().count("second") == 1, timeout=60, what="what follows")
    assert (system.folder / "killed").exists()
    told = [m for m in system.messages("first") if m.id == f"ensemble-{ended.id}"]
    assert [message.number for message in told] == [ended.final_message]
    system.wait_for_chain(system.jobs("second")[0].id, timeout=60)
    assert system.ran().count("second") == 1


def _killed_at_the_ending(point: str) -> str:
    """Give Python that kills the manager at a point of the turn in which an ensemble ends."""
    return (
        "import os\n"
        "import nowcast_cli.crash_points as points\n"
        "ended, reached = [], points.reached\n"
        "def killed(name):\n"
        f"    if ended and name == {point!r}:\n"
        "        open('killed', 'w').close()\n"
        "        os.kill(os.getpid(), 9)\n"
        "    reached(name)\n"
        "points.reached = killed\n"
        "import nowcast_cli.manager.ensembles as ensembles\n"
        "told = ensembles._told\n"
        "def noted(*given):\n"
        "    ended.append(1)\n"
        "    return told(*given)\n"
        "ensembles._told = noted\n"
    )


def test_a_manager_killed_again_and_again_loses_no_member(make_system: MakeSystem) -> None:
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start().supervise()
    request = {
        "module": "workers.first", "arguments": ["--payload", "{member}"], "members": "1..40",
        "at most": 4,
    }  # fmt: skip
    system.request("launch", request)

    def done() -> int:
        with system.reader() as reader:
            return reader.ensembles()[0].succeeded

    for number in (3, 12, 25):
        wait_until(lambda: done() >= number, timeout=60, what=f"{number} members")  # noqa: B023
        system.kill("manager")
    ended = wait_for_end(system, "first")
    assert (ended.state, ended.succeeded) == ("succeeded", 40)
    wait_until(lambda: "second" in system.ran(), timeout=60, what="what follows")
    assert system.ran().count("first") == 40
    assert system.checklist()["first"][40] == 40
