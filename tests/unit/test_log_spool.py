"""Log lines whose file cannot be written."""

from __future__ import annotations

import logging
import logging.handlers
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nowcast_cli.config.log_spool import keep_what_cannot_be_written, put, take_up
from nowcast_cli.manager.log_batches import BatchingHandler


@pytest.fixture
def handler(tmp_path):
    handler = logging.handlers.WatchedFileHandler(tmp_path / "nowcast.log")
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    handler.close()


def fill_disk(handler: logging.FileHandler) -> None:
    Path(handler.baseFilename).unlink()
    Path(handler.baseFilename).symlink_to("/dev/full")


def make_room(handler: logging.FileHandler) -> None:
    Path(handler.baseFilename).unlink()


def test_what_a_full_disk_refuses_is_spooled_and_taken_up_once(tmp_path, handler, capsys):
    spool = tmp_path / "spool"
    keep_what_cannot_be_written(spool)
    logging.warning("before")
    fill_disk(handler)
    logging.warning("one")
    logging.warning("two")
    with pytest.raises(OSError):
        take_up(spool)
    make_room(handler)
    logging.warning("after")
    take_up(spool)
    take_up(spool)
    text = (tmp_path / "nowcast.log").read_text()
    assert text == "after\none\ntwo\n"
    assert list(spool.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_without_room_for_the_spool_the_line_is_printed(tmp_path, handler, capsys):
    (tmp_path / "spool").touch()
    keep_what_cannot_be_written(tmp_path / "spool")
    fill_disk(handler)
    logging.warning("nowhere to go")
    assert "nowhere to go" in capsys.readouterr().err


def test_nothing_falls_between_who_spools_and_who_takes_up(tmp_path):
    log, spool = tmp_path / "nowcast.log", tmp_path / "spool"
    with ThreadPoolExecutor(1) as other:
        done = other.submit(lambda: [put(spool, str(log), f"{n}\n") for n in range(2000)])
        while not done.done():
            take_up(spool)
    take_up(spool)
    assert log.read_text().split() == [str(number) for number in range(2000)]


def test_half_a_line_of_a_spool_is_passed_over(tmp_path):
    log, spool = tmp_path / "nowcast.log", tmp_path / "spool"
    put(spool, str(log), "whole\n")
    with (spool / f"{os.getpid()}.jsonl").open("a") as file:
        file.write('{"file": "/x", "te')
    take_up(spool)
    assert log.read_text() == "whole\n"


def test_lines_of_a_batch_that_a_full_disk_refused_are_written_once(handler):
    batching = BatchingHandler(handler)
    fill_disk(handler)
    batching.emit(logging.makeLogRecord({"msg": "one", "levelno": 20}))
    batching.flush()
    make_room(handler)
    batching.emit(logging.makeLogRecord({"msg": "two", "levelno": 20}))
    batching.flush()
    assert Path(handler.baseFilename).read_text() == "one\ntwo\n"
