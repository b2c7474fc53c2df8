"""A worker for many dates: in order or at once, and going on after what ended it."""

from __future__ import annotations

import signal
from datetime import date

import pytest

from helpers import wait_until
from nowcast_cli.cli.backfill import DateRun, read_dates, to_launch
from nowcast_cli.errors import UsageError
from nowcast_command import Done, begin_nowcast, nowcast
from systems import MakeSystem, System

DATED = '''\
"""Writes its date down, waits while `hold` is there, fails where it is told to."""

import time
from pathlib import Path

import arrow
from nowcast_cli import NowcastWorker, WorkerError

worker = NowcastWorker("first", description=__doc__)
worker.init_cli()
worker.cli.add_date_option("--run-date", default=arrow.utcnow(), help="the date")
worker.cli.add_argument("--more")


def work(arguments, config, tell_manager):
    folder = Path(config.file).parent
    day = arguments.run_date.format("YYYY-MM-DD")
    with (folder / "dates.txt").open("a") as dates:
        dates.write(day + "\\n")
    while (folder / "hold").exists():
        time.sleep(0.01)
    if (folder / f"fail-{day}").exists():
        raise WorkerError


worker.run(work, lambda arguments: "success", lambda arguments: "failure")
'''


@pytest.fixture
def dated(make_system: MakeSystem) -> System:
    system = make_system(after={"first": "[NextWorker('workers.second')]"})
    system.write("workers/first.py", DATED)
    return system.start()


def dates_of(system: System) -> list[str]:
    file = system.folder / "dates.txt"
    return file.read_text().split() if file.exists() else []


def backfill(system: System, *more: str, last: str = "2026-11-03") -> Done:
    return nowcast(system.folder, *command(last, *more))


def command(last: str, *more: str) -> list[str]:
    return [
        "run-worker", "first", "--from", "2026-11-01", "--to", last,
        "--date-option", "--run-date", *more,
    ]  # fmt: skip


def test_there_is_a_chain_for_each_date_in_order(dated: System) -> None:
    done = backfill(dated, "--", "--more", "x")
    assert done.code == 0, done.err
    assert dates_of(dated) == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert [job.worker for job in dated.jobs()] == ["first", "second"] * 3
    assert dated.jobs()[0].arguments == ("--run-date", "2026-11-01", "--more", "x")
    assert "2026-11-02 succeeded: 2 jobs in" in done.err
    assert "(3 of 3)" in done.err
    assert "all 3 dates are done" in done.err


def test_a_failure_ends_what_goes_in_order_and_the_same_command_goes_on(dated: System) -> None:
    dated.touch("fail-2026-11-02")
    done = backfill(dated)
    assert done.code == 1
    assert dates_of(dated) == ["2026-11-01", "2026-11-02"]
    assert "2026-11-02 failed: first failed; see nowcast job show" in done.err
    assert "1 of 3 dates are done, 1 are not begun; failed: 2026-11-02" in done.err
    (dated.folder / "fail-2026-11-02").unlink()
    done = backfill(dated)
    assert done.code == 0, done.err
    assert "1 of 3 dates are done" in done.err
    assert "attempt 2" in done.err
    assert dates_of(dated)[2:] == ["2026-11-02", "2026-11-03"]


def test_the_same_command_after_the_end_runs_all_again(dated: System) -> None:
    for _ in range(2):
        assert backfill(dated, last="2026-11-02").code == 0
    assert dates_of(dated) == ["2026-11-01", "2026-11-02"] * 2


def test_several_run_at_once_and_a_failure_keeps_none_from_running(dated: System) -> None:
    dated.touch("hold")
    dated.touch("fail-2026-11-01")
    process = begin_nowcast(dated.folder, *command("2026-11-04", "--parallel", "2"))
    wait_until(lambda: len(dates_of(dated)) == 2, what="two dates to run")
    assert len(dated.jobs("first")) == 2
    (dated.folder / "hold").unlink()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert sorted(dates_of(dated)) == [f"2026-11-0{day}" for day in range(1, 5)]
    assert "3 of 4 dates are done; failed: 2026-11-01" in err


def test_after_ctrl_c_chains_go_on_and_the_same_command_waits_for_them(dated: System) -> None:
    dated.touch("hold")
    process = begin_nowcast(dated.folder, *command("2026-11-02"))
    wait_until(lambda: dates_of(dated), what="the first date to run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: 1 chain goes on by itself" in err
    again = begin_nowcast(dated.folder, *command("2026-11-02"))
    (dated.folder / "hold").unlink()
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert dates_of(dated) == ["2026-11-01", "2026-11-02"]


def test_a_command_that_is_killed_at_any_time_launches_no_date_twice(dated: System) -> None:
    for seen in range(1, 4):
        process = begin_nowcast(dated.folder, *command("2026-11-05"))
        wait_until(lambda: len(dates_of(dated)) >= seen, what="a date to run")  # noqa: B023
        process.kill()
        process.communicate(timeout=60)
    dated.restart("manager")
    done = backfill(dated, last="2026-11-05")
    assert done.code == 0, done.err
    assert dates_of(dated) == [f"2026-11-0{day}" for day in range(1, 6)]


def test_without_a_system_that_runs_nothing_begins(make_system: MakeSystem) -> None:
    done = backfill(make_system())
    assert done.code == 3
    assert "the same command goes on where it was" in done.err


@pytest.mark.parametrize(
    "arguments",
    [["--from", "2026-11-01"], ["--to", "2026-11-01"],
     ["--from", "2026-11-01", "--to", "2026-11-02", "--follow"]],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(make_system: MakeSystem, arguments: list[str]) -> None:
    done = nowcast(make_system().folder, "run-worker", "first", *arguments)
    assert done.code == 2
    assert "--from and --to stand together" in done.err


def test_dates_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="are dates"):
        read_dates("yesterday", "2026-11-01")
    with pytest.raises(UsageError, match="is later than"):
        read_dates("2026-11-02", "2026-11-01")


def test_dates_in_order_wait_for_each_other_and_stop_at_a_failure() -> None:
    days = [DateRun(date(2026, 11, day)) for day in (1, 2, 3)]
    assert to_launch(days, 1) == days[:1]
    assert to_launch(days, 5) == days
    running = [DateRun(date(2026, 11, 1), "running"), *days[1:]]
    assert to_launch(running, 1) == []
    assert to_launch(running, 2) == days[1:2]
    failed = [DateRun(date(2026, 11, 1), "failed"), *days[1:]]
    assert to_launch(failed, 1) == []
    assert to_launch(failed, 2) == days[1:]
