"""How a service is, from what the manager and supervisord know of it; and what is told of that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.cli.output import Output
from nowcast_cli.cli.service_report import ServiceReport, service_as_json, show_trouble
from nowcast_cli.config import SystemPaths
from nowcast_cli.manager.attendance import Attendance
from nowcast_cli.messages.performing import Hello
from nowcast_cli.supervisor import service_states as module
from nowcast_cli.supervisor.observe import DaemonState, SystemState
from nowcast_cli.supervisor.rpc import Process
from nowcast_cli.supervisor.services import ServiceProgram

SERVICE = ServiceProgram("ingest", ("x",), Path(), {}, autostart=True, ready_within=30.0)
NOW = time.time()
HELLO = Hello("ingest", "a1", 7, 1, ())


def heard(state: str, takes: int = 1, since: float = NOW) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(since))
    return {"state": state, "pid": 7, "incarnation": "a1", "since": at, "takes": takes}


def process(state: str, age: float = 5.0) -> Process:
    return Process("ingest", state, 7, int(NOW - age), "")


@pytest.mark.parametrize(
    ("said", "kept", "state"),
    [
        (heard("ready"), process("RUNNING"), "ready"),
        (heard("ready"), None, "ready"),
        (heard("ready", takes=0), process("RUNNING"), "stuck"),
        (heard("ready", takes=0), process("STOPPING"), "stopping"),
        (heard("silent"), process("RUNNING"), "silent"),
        (heard("silent", since=NOW - 60), process("RUNNING"), "starting"),
        (heard("silent"), None, "silent"),
        (heard("silent"), process("BACKOFF"), "restarting"),
        (None, process("RUNNING"), "starting"),
        (None, process("STARTING", age=60), "not ready"),
        (None, process("EXITED"), "restarting"),
        (None, process("STOPPED"), "stopped"),
        (None, None, "stopped"),
    ],
)
def test_its_state_follows_from_its_hello_and_its_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: Any, kept: Process | None, state: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)  # however long the tests before this one took
    monkeypatch.setattr(module, "programs_in", lambda _: {} if kept is None else {"ingest": kept})
    paths = SystemPaths(*([tmp_path] * 10))
    performers = {} if said is None else {"ingest": said}
    manager = DaemonState("manager", "ready", health={"performers": performers})
    (seen,) = module.service_states(paths, [SERVICE], SystemState("running", (manager,)))
    assert seen.state == state


def test_without_a_manager_it_is_known_to_run_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "programs_in", lambda _: {"ingest": process("RUNNING", age=90)})
    paths = SystemPaths(*([tmp_path] * 10))
    manager = DaemonState("manager", "not answering")
    (seen,) = module.service_states(paths, [SERVICE], SystemState("running", (manager,)))
    assert seen.state == "running"


@pytest.mark.parametrize(
    ("state", "autostart", "well", "words"),
    [
        ("ready", True, True, ""),
        ("stopped", False, True, ""),
        ("stopped", True, False, "nowcast start ingest starts it"),
        ("silent", True, False, "nowcast restart ingest ends it"),
        ("stuck", True, False, "over its time"),
        ("not ready", True, False, "has not said within 30 s"),
        ("restarting", False, False, "nowcast logs ingest -n 20 says why"),
    ],
)
def test_what_is_to_be_done_is_told(
    capsys: pytest.CaptureFixture[str], state: str, autostart: bool, well: bool, words: str
) -> None:
    report = ServiceReport(
        DaemonState("ingest", state), Path("/logs/ingest.out"), autostart, 30.0, ("its last words",)
    )
    assert report.is_well == well
    show_trouble(report, Output())
    shown = capsys.readouterr().out
    assert words in shown
    assert ("its last words" in shown) == (not well)
    assert service_as_json(report)["last lines"] == ["its last words"]


def test_the_manager_knows_who_is_there_silent_or_gone() -> None:
    times = iter(["t1", "t2", "t3"])
    attendance = Attendance(lambda: next(times))
    assert attendance.told("ingest")["state"] == "absent"
    attendance.hello(HELLO)
    attendance.hello(HELLO)
    assert attendance.told("ingest") == {
        "state": "ready", "pid": 7, "incarnation": "a1", "since": "t1",
    }  # fmt: skip
    attendance.silent("ingest")
    assert attendance.told("ingest")["state"] == "silent"
    attendance.hello(Hello("ingest", "b2", 8, 1, ()))
    assert (attendance.told("ingest")["pid"], attendance.told("ingest")["since"]) == (8, "t2")
    attendance.bye("ingest")
    assert attendance.names() == ()


def test_a_process_that_was_replaced_does_not_come_back_while_the_other_is_there() -> None:
    attendance = Attendance(lambda: "now")
    first, second, third = (Hello("ingest", name, 7, 1, ()) for name in ("a1", "b2", "c3"))
    assert not attendance.is_replaced(first, first)
    assert not attendance.is_replaced(second, first)
    assert attendance.is_replaced(first, second)
    assert attendance.is_replaced(first, second)
    assert not attendance.is_replaced(third, second)
    assert attendance.is_replaced(second, third)
    assert attendance.is_replaced(first, third)
