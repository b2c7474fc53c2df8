"""Finding records in log files, and following them."""

from __future__ import annotations

import gzip
import logging
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from nowcast_cli.config.log_records import lines_of
from nowcast_cli.logs.of_job import job_records, span_of_records
from nowcast_cli.logs.records import Record, parse_line
from nowcast_cli.logs.search import Follower, Span, last_records, log_files


def every(record: Record) -> bool:
    return True


def line(second: int, text: str, level: str = "INFO", name: str = "sleep") -> str:
    return f"2026-11-22 03:04:{second:02},123 {level} [{name}] {text}\n"


def texts(records: list[Record]) -> list[str]:
    return [record.text.rpartition("] ")[2] for record in records]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path


def test_a_line_is_read_into_its_time_level_and_logger() -> None:
    record = parse_line(line(5, "slept", "DEBUG").rstrip(), Path("nowcast.log"))
    assert record is not None
    assert (record.time, record.level, record.name) == ("2026-11-22 03:04:05,123", "DEBUG", "sleep")


def test_a_line_without_a_logger_goes_by_the_name_of_its_file() -> None:
    record = parse_line("2026-11-22 03:04:05,123 INFO spawned: manager", Path("supervisord.log"))
    assert record is not None
    assert (record.level, record.name) == ("INFO", "supervisord")


def test_a_record_in_two_files_is_given_once_in_the_order_of_the_fuller_file(logs: Path) -> None:
    info, debug = logs / "info.log", logs / "debug.log"
    info.write_text(line(5, "one") + line(5, "three"))
    debug.write_text(line(5, "one") + line(5, "two", "DEBUG") + line(5, "three"))
    assert texts(last_records([info, debug], 10, every)) == ["one", "two", "three"]


def test_a_record_written_twice_to_a_file_is_given_twice(logs: Path) -> None:
    for name in ("info.log", "debug.log"):
        (logs / name).write_text(line(5, "again") * 2)
    records = last_records([logs / "info.log", logs / "debug.log"], 10, every)
    assert texts(records) == ["again", "again"]


def test_files_are_merged_by_time_and_only_the_last_are_given(logs: Path) -> None:
    (logs / "a.log").write_text(line(1, "first") + line(4, "fourth"))
    (logs / "b.log").write_text(line(2, "second") + line(3, "third"))
    files = [logs / "a.log", logs / "b.log"]
    assert texts(last_records(files, 3, every)) == ["second", "third", "fourth"]
    assert last_records(files, 0, every) == []


def test_a_traceback_stays_with_its_record(logs: Path) -> None:
    file = logs / "a.log"
    file.write_text(line(1, "broke", "CRITICAL") + "Traceback …\n  File x\n" + line(2, "after"))
    broke, _ = last_records([file], 10, every)
    assert broke.text.endswith("broke\nTraceback …\n  File x")
    assert last_records([file], 10, lambda record: record.is_at_least("ERROR")) == [broke]


@pytest.mark.timeout(10)
def test_a_record_of_very_many_lines_is_joined_once(logs: Path) -> None:
    printed = logs / "stdout"
    printed.touch()
    follower = Follower(lambda: [printed])
    printed.write_text("a line without a time\n" * 200_000)
    (record,) = follower.poll()
    assert record.text.count("\n") == 199_999
    follower.close()


def test_a_large_file_is_read_from_its_end_to_where_enough_match(logs: Path) -> None:
    file = logs / "a.log"
    wanted = line(1, "wanted", name="other")
    file.write_text(wanted + "".join(line(2, f"é {number}") for number in range(20_000)))
    assert texts(last_records([file], 2, every)) == ["é 19998", "é 19999"]
    assert texts(last_records([file], 2, lambda record: record.name == "other")) == ["wanted"]


def test_rotated_files_give_the_lines_that_the_new_file_lacks(logs: Path) -> None:
    (logs / "a.log.2").write_text(line(1, "oldest"))
    (logs / "a.log.1").write_text(line(2, "older"))
    (logs / "a.log").write_text(line(3, "new"))
    assert texts(last_records([logs / "a.log"], 9, every)) == ["oldest", "older", "new"]


def test_output_without_a_time_is_shown_under_the_name_of_its_file(logs: Path) -> None:
    (logs / "manager.out").write_text("Traceback (most recent call last):\n  boom\n")
    (record,) = last_records([logs / "manager.out"], 5, every)
    assert record.name == "manager"
    assert record.text == "Traceback (most recent call last):\n  boom"


def test_log_files_are_those_of_the_folder_and_of_the_handlers_in_both_layouts(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for file in ("nowcast.log", "manager.out", "supervisord.pid"):
        (folder / file).touch()
    elsewhere = tmp_path / "elsewhere.log"
    elsewhere.touch()
    flat = {"handlers": {"h": {"filename": str(elsewhere)}, "console": {}}}
    missing = {"handlers": {"h": {"filename": str(tmp_path / "missing.log")}}}
    of_the_folder = [folder / "manager.out", folder / "nowcast.log"]
    everything = sorted([*of_the_folder, elsewhere])
    assert log_files({"logging": flat}, folder) == everything
    assert log_files({"logging": {"aggregator": flat, "publisher": missing}}, folder) == everything
    assert log_files({"logging": {"handlers": []}}, folder) == of_the_folder
    assert log_files({}, folder) == of_the_folder


def test_a_follower_gives_what_is_written_after_it_began(logs: Path) -> None:
    file = logs / "a.log"
    file.write_text(line(1, "before"))
    follower = Follower(lambda: sorted(logs.glob("*.log")))
    with file.open("a") as log:
        log.write(line(2, "whole") + "2026-11-22 03:04:03")
        log.flush()
        assert texts(follower.poll()) == ["whole"]
        log.write(",123 INFO [sleep] cut\n")
        log.flush()
        assert texts(follower.poll()) == ["cut"]
    assert follower.poll() == []
    follower.close()


def test_a_follower_goes_on_across_rotation_and_into_new_files(logs: Path) -> None:
    file = logs / "a.log"
    file.write_text("")
    follower = Follower(lambda: sorted(logs.glob("*.log")))
    with file.open("a") as log:
        log.write(line(1, "last of the old"))
    file.rename(logs / "a.log.1")
    file.write_text(line(2, "first of the new"))
    (logs / "b.log").write_text(line(3, "another file"))
    expected = ["last of the old", "first of the new", "another file"]
    assert texts(follower.poll()) == expected
    follower.close()


def test_a_follower_gives_a_record_once_that_reaches_a_second_file_later(logs: Path) -> None:
    info, debug = logs / "info.log", logs / "debug.log"
    info.write_text("")
    debug.write_text("")
    follower = Follower(lambda: [info, debug])
    info.write_text(line(1, "once"))
    assert texts(follower.poll()) == ["once"]
    debug.write_text(line(1, "once"))
    assert follower.poll() == []
    follower.close()


def test_following_on_from_the_last_lines_neither_repeats_nor_omits(logs: Path) -> None:
    file = logs / "a.log"
    file.write_text(line(1, "one"))
    follower = Follower(lambda: [file])
    with file.open("a") as log:
        log.write(line(2, "two"))
    assert texts(last_records([file], 9, every, follower.positions)) == ["one"]
    assert texts(follower.poll()) == ["two"]
    follower.close()


def test_a_span_of_time_is_found_in_rotated_and_compressed_files(logs: Path) -> None:
    with gzip.open(logs / "a.log.2.gz", "wt") as compressed:
        compressed.write(line(1, "oldest") + line(2, "older"))
    (logs / "a.log.1").write_text(line(3, "old"))
    (logs / "a.log").write_text(line(4, "new") + line(5, "newest"))
    for age, name in enumerate(("a.log", "a.log.1", "a.log.2.gz")):
        at = time.mktime((2026, 11, 22, 3, 4, 6 - age, 0, 0, -1))
        os.utime(logs / name, (at, at))
    span = Span("2026-11-22 03:04:02,000", "2026-11-22 03:04:04,500")
    found = last_records([logs / "a.log"], None, every, span=span)
    assert texts(found) == ["older", "old", "new"]
    since = last_records([logs / "a.log"], None, every, span=Span("2026-11-22 03:04:04,900"))
    assert texts(since) == ["newest"]


def test_files_that_were_last_written_before_a_span_are_not_read(logs: Path) -> None:
    (logs / "a.log").write_text(line(5, "new"))
    old = logs / "a.log.1"
    old.write_text(line(5, "its lines have a time, but the file is older"))
    os.utime(old, (0, 0))
    assert len(last_records([logs / "a.log"], None, every, span=Span("2026-11-22"))) == 1


def test_records_that_came_late_do_not_hide_those_before_them(logs: Path) -> None:
    """What another host had logged while it could not be reached."""
    text = "x" * 100
    late = "".join(f"2026-11-21 22:00:00,{n % 1000:03} INFO [far] {text}\n" for n in range(2000))
    around = "".join(line(n // 50, f"{text} {n}") for n in range(1000))
    more = "".join(line(30 + n // 50, f"{text} {n}") for n in range(700))
    (logs / "a.log").write_text(line(0, "long ago") + around + late + more)
    found = last_records([logs / "a.log"], None, every, span=Span("2026-11-22 03:04:00"))
    assert len(found) == 1701
    assert [record.time for record in found] == sorted(record.time for record in found)


def test_a_job_shows_its_workers_records_in_its_time_and_what_it_printed(tmp_path: Path) -> None:
    log, folder = tmp_path / "nowcast.log", tmp_path / "job"
    folder.mkdir()
    log.write_text(
        line(1, "an earlier job") + line(3, "reading winds") + line(4, "of another", name="awaken")
        + line(4, "brought by the aggregator") + line(9, "a later job")
    )  # fmt: skip
    (folder / "stdout").write_text("brought by the aggregator\nnot yet brought\n")
    (folder / "stderr").write_text("Traceback\n")
    span = Span("2026-11-22 03:04:02", "2026-11-22 03:04:05")
    found = job_records([log], folder, "sleep", None, every, span)
    assert sorted(texts(found)) == [
        "Traceback", "brought by the aggregator", "not yet brought", "reading winds",
    ]  # fmt: skip
    assert {record.name for record in found} == {"sleep"}


def test_a_job_of_a_host_with_another_clock_shows_all_its_records(tmp_path: Path) -> None:
    log, folder = tmp_path / "nowcast.log", tmp_path / "job"
    folder.mkdir()
    log.write_text("".join(line(second, f"at {second}") for second in range(60)))
    with (folder / "records").open("wb") as records:
        for second in (4, 5, 9):
            sent = logging.LogRecord("sleep", 20, "", 1, f"at {second}", (), None)
            at = datetime.fromisoformat(f"2026-11-22T03:04:{second:02}.123000")
            sent.created = at.astimezone().timestamp()
            records.writelines(lines_of(sent, sent.msg))
    here = Span("2026-11-22 03:04:07,000", "2026-11-22 03:04:08,000")
    span = span_of_records(folder, here)
    found = job_records([log], folder, "sleep", None, every, span)
    assert texts(found) == [f"at {second}" for second in range(4, 10)]
    assert span_of_records(tmp_path, here) == here
