"""Members of an ensemble as one job array, in a real Slurm and a real Grid Engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from grid_engine import CLUSTER, GridEngine
from helpers import wait_until
from nowcast_cli.store.records import EnsembleRecord, JobRecord
from slurm_system import Slurm
from systems import MakeSystem, System

SLURM = {"default": "cluster", "cluster": {"kind": "slurm", "poll": 0.3}}


def launch(system: System, members: Any, *arguments: str, **wish: Any) -> str:
    """Launch an ensemble of the worker `first`; gives its id."""
    request = {"module": "workers.first", "arguments": list(arguments), "members": members}
    more = {key.replace("_", " "): value for key, value in wish.items()}
    reply = system.request("launch", {**request, **more})
    assert reply.type == "ack", reply
    return str(reply.payload["ensemble"])


def members(system: System, ensemble: str) -> list[JobRecord]:
    with system.reader() as reader:
        found = reader.ensemble(ensemble)
        return [] if found is None else reader.last_members(found)


def wait_for_end(system: System, ensemble: str, timeout: float = 90.0) -> EnsembleRecord:
    def ended() -> EnsembleRecord | None:
        with system.reader() as reader:
            found = reader.ensemble(ensemble)
        return found if found is not None and not found.unfinished else None

    return wait_until(ended, timeout=timeout, what="the ensemble to end")


def native_ids(system: System, ensemble: str) -> list[str]:
    """Give what the batch system calls the members, once it has taken them."""

    def told() -> list[str] | None:
        found = [job.native for job in members(system, ensemble)]
        return [str(each["id"]) for each in found if each] if all(found) else None

    return wait_until(told, timeout=30, what="the batch system to take the members")


def see_to_it_that_each_ran_once(system: System, ensemble: str, count: int) -> None:
    begun = [job for job, worker in system.effects() if worker == "first"]
    assert sorted(begun) == sorted(job.id for job in members(system, ensemble))
    assert len(begun) == count
    for job in members(system, ensemble):
        assert system.wait_for_process_end(job.id, 60).exit is not None


# --- Slurm


@pytest.fixture
def in_slurm(slurm: Slurm, make_system: MakeSystem) -> System:
    return make_system(settings={"executors": SLURM}).start()


@pytest.mark.slurm
def test_slurm_gets_one_array_and_throttles_it(slurm: Slurm, in_slurm: System) -> None:
    system = in_slurm
    slurm.forget_calls()
    arguments = ("--payload", "{member}", "--until", "go-{member}")
    ensemble = launch(system, "11..16", *arguments, at_most=2)
    ids = native_ids(system, ensemble)
    array = ids[0].partition("_")[0]
    assert ids == [f"{array}_{number}" for number in range(1, 7)]
    assert slurm.calls("sbatch") == 1
    assert "--array=1-6%2" in slurm.called("sbatch")[0]
    wait_until(lambda: len(system.effects()) == 2, timeout=30, what="two members to begin")
    wait_until(
        lambda: _states(system, ensemble) == {"RUNNING": 2, "PENDING": 4},
        timeout=30,
        what="their states in Slurm",
    )
    assert len(system.effects()) == 2, "no more than two at once"
    for number in range(11, 17):
        system.touch(f"go-{number}")
    ended = wait_for_end(system, ensemble)
    assert (ended.state, ended.succeeded) == ("succeeded", 6)
    said = {number: number for number in range(11, 17)}
    assert system.checklist()["first"] == {**said, "failed": [], "cancelled": []}
    see_to_it_that_each_ran_once(system, ensemble, 6)
    for job, there in zip(members(system, ensemble), ids, strict=True):
        assert (system.job_folder(job.id) / "ran_as").read_text() == there


def _states(system: System, ensemble: str) -> Mapping[str, int]:
    states = [str((job.native or {}).get("state")) for job in members(system, ensemble)]
    return {state: states.count(state) for state in states}


@pytest.mark.slurm
def test_slurm_cancels_what_is_left_of_an_array(slurm: Slurm, in_slurm: System) -> None:
    system = in_slurm
    ensemble = launch(
        system, "1..5", "--until", "go-{member}", "--sleep", "0", ends_when="any", at_most=3
    )
    ids = native_ids(system, ensemble)
    wait_until(lambda: len(system.effects()) == 3, timeout=30, what="three members to begin")
    system.touch("go-2")
    ended = wait_for_end(system, ensemble)
    assert (ended.state, ended.succeeded, ended.cancelled) == ("succeeded", 1, 4)
    wait_until(
        lambda: not any(slurm.state(each) in ("RUNNING", "PENDING") for each in ids),
        timeout=60,
        what="Slurm to have none of them",
    )
    for job in members(system, ensemble):
        system.wait_for_process_end(job.id, 60)
    assert len(system.effects()) == 3


@pytest.mark.slurm
@pytest.mark.parametrize("point", ["batch.before_submit", "batch.submitted", "batch.noted"])
def test_a_manager_killed_while_it_submits_an_array_finds_its_elements(
    slurm: Slurm,
    make_system: MakeSystem,
    point: str,
) -> None:
    system = make_system(settings={"executors": SLURM})
    points = system.folder / "points"
    points.mkdir()
    (points / point).write_text("9")
    slurm.forget_calls()
    system.start("message_broker")
    system.start(
        "manager", prelude=f"import os; os.environ['NOWCAST_CRASH_POINTS']={str(points)!r}"
    )
    system.supervise()
    ensemble = launch(system, ["a", "b", "c"], "--payload", "{member}")
    ended = wait_for_end(system, ensemble)
    assert (ended.state, ended.succeeded) == ("succeeded", 3)
    assert point in (points / "reached.log").read_text()
    see_to_it_that_each_ran_once(system, ensemble, 3)
    assert slurm.calls("sbatch") == 1


@pytest.mark.slurm
def test_an_element_that_is_ended_from_outside_is_told_by_itself(
    slurm: Slurm, in_slurm: System
) -> None:
    system = in_slurm
    ensemble = launch(system, "1..3", "--until", "go-{member}")
    ids = native_ids(system, ensemble)
    wait_until(lambda: len(system.effects()) == 3, timeout=30, what="all members to begin")
    slurm.ask("scancel", ids[1])
    ended = system.wait_for_process_end(members(system, ensemble)[1].id, 60)
    assert ended.state == "crashed"
    assert "cancelled in Slurm (scancel), and not by nowcast" in str(ended.reason)
    for number in (1, 3):
        system.touch(f"go-{number}")
    combined = wait_for_end(system, ensemble)
    assert (combined.state, combined.succeeded, combined.crashed) == ("crashed", 2, 1)
    # The one that is run again is a job by itself.
    reply = system.request("rerun", {"job": ensemble, "failed": True})
    again = str(reply.payload["ensemble"])
    system.touch("go-2")
    assert wait_for_end(system, again).state == "succeeded"
    assert "_" not in str((members(system, again)[1].native or {})["id"])


# --- Grid Engine


@pytest.fixture
def in_grid_engine(grid_engine: GridEngine, make_system: MakeSystem) -> System:
    return make_system(settings={"executors": CLUSTER}).start()


@pytest.mark.sge
def test_grid_engine_gets_one_array_and_throttles_it(
    grid_engine: GridEngine, in_grid_engine: System
) -> None:
    system = in_grid_engine
    before = len(grid_engine.calls("qsub"))
    arguments = ("--payload", "{member}", "--until", "go-{member}")
    ensemble = launch(system, "1..5", *arguments, at_most=2)
    ids = native_ids(system, ensemble)
    array = ids[0].partition(".")[0]
    assert ids == [f"{array}.{number}" for number in range(1, 6)]
    (call,) = grid_engine.calls("qsub")[before:]
    assert "-t 1-5 -tc 2" in call
    wait_until(lambda: len(system.effects()) == 2, timeout=60, what="two members to begin")
    wait_until(
        lambda: _states(system, ensemble) == {"r": 2, "qw": 3},
        timeout=60,
        what="their states in Grid Engine",
    )
    assert len(system.effects()) == 2, "no more than two at once"
    for number in range(1, 6):
        system.touch(f"go-{number}")
    ended = wait_for_end(system, ensemble, 120)
    assert (ended.state, ended.succeeded) == ("succeeded", 5)
    see_to_it_that_each_ran_once(system, ensemble, 5)


@pytest.mark.sge
def test_grid_engine_deletes_what_is_left_of_an_array(
    grid_engine: GridEngine, in_grid_engine: System
) -> None:
    system = in_grid_engine
    ensemble = launch(system, "1..4", "--until", "go-{member}", ends_when="any", at_most=2)
    array = native_ids(system, ensemble)[0].partition(".")[0]
    wait_until(lambda: len(system.effects()) == 2, timeout=60, what="two members to begin")
    system.touch("go-1")
    ended = wait_for_end(system, ensemble)
    assert (ended.state, ended.cancelled) == ("succeeded", 3)
    wait_until(lambda: grid_engine.state(array) is None, timeout=60, what="qstat to have none")
    for job in members(system, ensemble):
        system.wait_for_process_end(job.id, 60)
    assert len(system.effects()) == 2
