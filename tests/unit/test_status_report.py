"""What ``nowcast status`` concludes and prints, from what was seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.cli.output import Output
from nowcast_cli.cli.service_report import ServiceReport
from nowcast_cli.cli.status_report import Report, Stored, as_json, first_line, trouble_in
from nowcast_cli.cli.status_screen import show
from nowcast_cli.store.records import BarrierRecord, MessageRecord
from nowcast_cli.supervisor.observe import DaemonState, SupervisorState, SystemState

QUIET = {
    "waiting": 0, "held": 0, "submitting": 0, "running": 0, "failed": 0, "crashed": 0,
    "timed out": 0, "lost": 0, "stuck": 0, "undecided": 0,
}  # fmt: skip
READY = DaemonState("manager", "ready", 7, "2026-11-22T03:04:05Z")
STOPPED = DaemonState("message_broker", "stopped")
TRACEBACK = "Traceback (most recent call last):\n  File \"next_workers.py\"\nKeyError: 'GRIB'\n"
STUCK = MessageRecord(
    12, "0198", "2026-11-22T03:04:05Z", "download", "success", None, None, "c", "success", "stuck",
    error=TRACEBACK,
)  # fmt: skip


def report(
    *daemons: DaemonState,
    supervisor: SupervisorState = "running",
    stored: Stored | None = None,
    trouble: tuple[str, ...] = (),
) -> Report:
    return Report(
        Path("/systems/toy/nowcast.yaml"),
        SystemState(supervisor, daemons),
        stored or Stored(QUIET),
        trouble,
    )


@pytest.mark.parametrize(
    ("seen", "verdict", "code"),
    [
        (report(READY), "well", 0),
        (report(STOPPED, supervisor="stopped"), "stopped", 3),
        (report(DaemonState("manager", "unknown"), supervisor="unknown"), "unknown", 1),
        (report(READY, STOPPED), "degraded", 5),
        (report(READY, supervisor="gone"), "degraded", 5),
        (report(DaemonState("manager", "restarting")), "degraded", 5),
        (report(READY, stored=Stored(QUIET, stuck=(STUCK,))), "degraded", 5),
        (report(READY, trouble=("next_workers cannot be used",)), "degraded", 5),
        (report(READY, stored=Stored({**QUIET, "crashed": 3})), "well", 0),
    ],
)
def test_the_exit_code_says_whether_somebody_is_needed(
    seen: Report, verdict: str, code: int
) -> None:
    assert (seen.verdict, seen.exit_code) == (verdict, code)


def screen_of(seen: Report, capsys: pytest.CaptureFixture[str]) -> str:
    show(seen, Output("never"))
    return capsys.readouterr().out


def test_a_stuck_message_is_shown_with_its_error_and_the_command_that_mends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = screen_of(report(READY, stored=Stored({**QUIET, "stuck": 1}, stuck=(STUCK,))), capsys)
    assert "message 12, download success: KeyError: 'GRIB'" in text
    assert "nowcast message retry 12" in text


def test_barriers_and_counts_of_jobs_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    barrier = BarrierRecord(3, 1, ("a", "b"), ("b",), "active", "2026-11-22T03:04:05Z")
    counts = {**QUIET, "running": 2, "waiting": 1, "submitting": 1, "held": 4, "crashed": 5}
    text = screen_of(report(READY, stored=Stored(counts, barriers=(barrier,))), capsys)
    assert "2 running, 2 waiting, 4 held; today 5 crashed" in text
    assert "barrier   3 waits for b since" in text


@pytest.mark.parametrize(
    ("daemon", "row"),
    [
        (READY, "●  manager  ready  process 7  since "),
        (STOPPED, "○  message_broker  stopped"),
        (DaemonState("manager", "restarting", restarts=2), "✗  manager  restarting  no process"),
        (DaemonState("manager", "stopped", restarts=1), "○  manager  stopped\n"),
        (DaemonState("manager", "not answering", 7), "✗  manager  not answering  process 7"),
    ],
)
def test_a_daemon_has_a_mark_and_a_word(
    daemon: DaemonState, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert row in screen_of(report(daemon), capsys)


def test_json_holds_what_the_screen_shows() -> None:
    restarted = DaemonState("manager", "ready", 7, "2026-11-22T03:04:05Z", 2, {"stuck": 1})
    seen = report(restarted, stored=Stored(QUIET, stuck=(STUCK,)))
    document: dict[str, Any] = as_json(seen)
    assert document["system"]["state"] == "degraded"
    assert document["daemons"] == [
        {
            "name": "manager",
            "state": "ready",
            "pid": 7,
            "since": "2026-11-22T03:04:05Z",
            "restarts": 2,
            "health": {"stuck": 1},
        }
    ]
    assert document["stuck"] == [
        {"number": 12, "source": "download", "type": "success", "error": "KeyError: 'GRIB'"}
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TRACEBACK, "KeyError: 'GRIB'"),
        ("the module has gone\nTraceback …", "the module has gone"),
        (None, "no reason is known"),
    ],
)
def test_the_line_of_an_error_that_says_what_it_was(error: str | None, line: str) -> None:
    assert first_line(error) == line


def test_each_mistake_of_the_schedule_has_a_line_of_its_own() -> None:
    health = {"mistakes": ["nowcast.yaml:3:7: every: …", "nowcast.yaml:9:7: cron: …"]}
    scheduler = DaemonState("scheduler", "ready", 8, health=health)
    assert trouble_in((scheduler,), Stored(QUIET)) == (
        "a scheduled item is not launched: nowcast.yaml:3:7: every: …",
        "a scheduled item is not launched: nowcast.yaml:9:7: cron: …",
    )


def test_a_store_that_was_removed_under_the_manager_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = Stored({}, never_started=True)
    assert trouble_in((STOPPED,), gone) == ()
    (sentence,) = trouble_in((READY,), gone)
    assert sentence == "the store has been removed under the manager: nowcast doctor"
    assert "never been started" not in screen_of(report(READY, stored=gone), capsys)


@pytest.mark.parametrize(
    ("state", "command"),
    [("not answering", "nowcast restart manager"), ("restarting", "nowcast logs manager -n 20")],
)
def test_what_to_do_about_a_daemon_that_is_ill_stands_below_it(
    state: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ill = DaemonState("manager", state, 7)
    assert command in screen_of(report(ill), capsys)
    assert command not in screen_of(report(ill, supervisor="another"), capsys)


@pytest.mark.parametrize(
    ("service", "performer", "line"),
    [
        ("silent", "silent", "2 wait for ingest to be there: nowcast restart ingest"),
        ("stopped", "absent", "2 wait for ingest to be there: nowcast start ingest"),
        ("ready", "ready", "2 wait for ingest to have room"),
    ],
)
def test_what_waits_for_a_service_is_told_with_the_command_that_helps(
    service: str, performer: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"ingest": {"state": performer, "waiting": 2}}
    seen = report(DaemonState("manager", "ready", health={"performers": told}))
    state = DaemonState("ingest", service)
    ingest = ServiceReport(state, Path("/systems/toy/ingest.out"), True, 30.0)
    assert f"actions   {line}\n" in screen_of(replace(seen, services=(ingest,)), capsys)
