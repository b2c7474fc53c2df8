"""Log records on their way from other hosts: their lines, their port, and who takes part."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.log_bus import bus_port, is_elsewhere, job_records
from nowcast_cli.config.log_keeping import RecordsHandler
from nowcast_cli.config.log_records import LONGEST, lines_of, record_of
from nowcast_cli.config.logging_layout import sending_logging
from nowcast_cli.config.settings import wants_aggregator


def record(text: str, name: str = "tides", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "/there/tides.py", 7, text, (), None, "main")


@given(st.text(), st.text(min_size=1), st.sampled_from([10, 20, 30, 40, 50, 25]))
def test_a_record_comes_out_as_it_went_in(text: str, name: str, level: int) -> None:
    sent = record(text, name, level)
    [line] = lines_of(sent, text)
    assert line.count(b"\n") == 1
    found = record_of(line)
    assert found is not None
    for key in ("name", "levelno", "levelname", "created", "process", "lineno", "funcName"):
        assert getattr(found, key) == getattr(sent, key)
    assert found.getMessage() == text
    assert logging.Formatter().formatTime(found) == logging.Formatter().formatTime(sent)


def test_what_no_file_can_hold_is_replaced() -> None:
    text = "file \udcff of another alphabet"
    [line] = lines_of(record(text), text)
    found = record_of(line)
    assert found is not None
    assert found.getMessage() == "file ? of another alphabet"


@given(st.lists(st.text(alphabet="ab\u00e9\n\x00", max_size=5000), max_size=40))
def test_a_text_that_is_too_long_for_a_line_comes_in_several(parts: list[str]) -> None:
    text = "x".join(parts)
    lines = list(lines_of(record(text), text))
    assert all(len(line) <= LONGEST for line in lines)
    found = [record_of(line) for line in lines]
    texts = [each.getMessage() for each in found if each is not None]
    assert len(texts) == len(lines)
    assert "".join(texts).replace("\n", "") == text.replace("\n", "")


@given(st.binary())
def test_what_is_no_record_is_none(data: bytes) -> None:
    assert record_of(data) is None


@pytest.mark.parametrize("created", ["NaN", "Infinity", "1e300", "-1e300", "9" * 400])
def test_a_record_of_no_time_is_none(created: str) -> None:
    [line] = lines_of(record("high water"), "high water")
    value = {**json.loads(line), "created": 0.5}
    assert record_of(json.dumps(value).encode()) is not None
    assert record_of(json.dumps(value).replace("0.5", created).encode()) is None


@pytest.mark.parametrize("half", [1, 100, -2])
def test_half_a_record_is_none(half: int) -> None:
    [line] = lines_of(record("high water"), "high water")
    assert record_of(line[:half]) is None


def test_a_full_disk_costs_the_records_that_it_refuses_and_no_other(tmp_path, monkeypatch) -> None:
    handler = RecordsHandler(tmp_path / "records")
    write, left = os.write, [None, 10, None]
    monkeypatch.setattr(
        os, "write", lambda file, data: write(file, data[: left.pop(0)]) if left else 0
    )
    for text in ("one", "two", "three"):
        handler.emit(record(text))
    monkeypatch.undo()
    found = [record_of(line) for line in (tmp_path / "records").read_bytes().splitlines()]
    assert [each.getMessage() for each in found if each] == ["one", "three"]


@pytest.mark.parametrize(
    ("zmq", "port"),
    [
        ({"host": "gw", "ports": {"workers": 5555, "manager": 5556}}, 5557),
        ({"host": "gw", "ports": {"workers": 5557, "manager": "5556"}}, 5558),
        ({"host": "gw", "ports": {"workers": 1, "manager": 2,
                                  "logging": {"workers": [3, 4], "other": "far:5"}}}, 6),
        ({"host": "gw", "ports": {"workers": 1, "manager": 2, "logs": 99}}, 99),
        ({"host": "localhost", "ports": {"workers": 1, "manager": 2, "logs": 99}}, 99),
        ({"host": "localhost", "ports": {"workers": 1, "manager": 2}}, None),
        ({"host": "gw", "ports": {"workers": 1, "manager": 2, "logs": "x"}}, None),
        ({"host": "gw", "ports": {"workers": 65535, "manager": 2}}, None),
        ({"host": "gw"}, None),
        (None, None),
    ],
)  # fmt: skip
def test_the_port_is_named_or_follows_from_the_others(zmq: object, port: int | None) -> None:
    assert bus_port({"zmq": zmq}) == port


def test_a_job_of_this_host_looks_up_no_names(monkeypatch) -> None:
    config = {"zmq": {"host": "no.such.invalid"}}
    assert is_elsewhere(config, {})
    assert not is_elsewhere(config, {"NOWCAST_JOB_FOLDER": "/here"})
    assert is_elsewhere({}, {"NOWCAST_JOB_FOLDER": "/there", "NOWCAST_RECORDS": "/there/records"})
    assert not is_elsewhere({}, {})
    assert job_records({"NOWCAST_RECORDS": "/there/records"}) == Path("/there/records")
    assert job_records({}) is None


def test_a_system_that_others_can_be_part_of_has_its_aggregator() -> None:
    assert wants_aggregator({"run": {"enabled hosts": {"localhost": None, "east": None}}})
    assert wants_aggregator({"zmq": {"host": "gw"}})
    assert wants_aggregator({"executors": {"cluster": {"kind": "slurm"}}})
    assert wants_aggregator({"executors": {"default": "slurm"}})
    assert wants_aggregator({"message registry": {"workers": {"first": {"executor": "sge"}}}})
    here = {"default": "local", "local": {"resources": {"walltime": "2h"}}}
    assert not wants_aggregator({"executors": here})
    assert not wants_aggregator({"run": {"enabled hosts": {"localhost": None}}})
    assert not wants_aggregator({"zmq": {"host": "localhost"}, "run": None})


def test_one_handler_takes_the_place_of_all_that_do_not_print() -> None:
    file = {"class": "logging.handlers.RotatingFileHandler", "filename": "x.log"}
    section = {
        "handlers": {
            "info": {**file, "level": "INFO"},
            "debug": {**file, "level": "DEBUG"},
            "mail": {"class": "logging.handlers.SMTPHandler", "level": "CRITICAL"},
            "console": {"class": "logging.StreamHandler", "level": "WARNING"},
        },
        "loggers": {"checklist": {"handlers": ["info"]}, "own": {"handlers": ["console"]}},
        "root": {"level": "DEBUG", "handlers": ["info", "debug", "mail", "console"]},
    }
    layout = sending_logging(section, Path("/logs"), logging.NullHandler)
    sending = (layout["handlers"].keys() - {"console"}).pop()
    assert layout["handlers"][sending] == {"()": logging.NullHandler, "level": "DEBUG"}
    assert layout["root"]["handlers"] == ["console", sending]
    assert layout["loggers"]["checklist"]["handlers"] == [sending]
    assert layout["loggers"]["own"]["handlers"] == ["console"]


def test_a_section_that_only_prints_keeps_to_it() -> None:
    section = {
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"]},
    }
    layout = sending_logging(section, Path("/logs"), logging.NullHandler)
    assert list(layout["handlers"]) == ["console"]


def test_a_full_disk_is_told_in_one_sentence_and_without_a_traceback(tmp_path, capsys):
    import os

    from nowcast_cli.config.log_keeping import RecordsHandler

    handler = RecordsHandler(tmp_path / "records")
    os.close(handler._file)
    handler._file = os.open("/dev/full", os.O_WRONLY)
    for words in ("one", "two"):
        handler.handle(logging.makeLogRecord({"msg": words}))
    os.close(handler._file)
    assert capsys.readouterr().err == "log records cannot be kept: No space left on device\n"
