"""What one process makes of the ``logging`` section."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.config.logging_layout import LoggerName, process_logging

LOGS = Path("/srv/var/logs")
FLAT: dict[str, Any] = {
    "formatters": {"short": {"format": "%(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "level": 100, "formatter": "short"},
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": "/x.log",
            "backupCount": 7,
            "maxBytes": 0,
            "encoding": "utf-8",
        },
        "daily": {
            "class": "logging.handlers.TimedRotatingFileHandler",
            "filename": "/y.log",
            "when": "midnight",
            "interval": 1,
            "utc": True,
        },
        "plain": {"class": "logging.FileHandler", "filename": "/z.log", "mode": "w"},
        "net": {"class": "zmq.log.handlers.PUBHandler", "interface_or_socket": "tcp://*:1"},
    },
    "loggers": {"checklist": {"handlers": ["file", "net"], "propagate": False}},
    "root": {"level": "INFO", "handlers": ["console", "file", "daily", "net"]},
}
PAIR: dict[str, Any] = {
    "aggregator": {
        "formatters": {"f": {"format": "%(logger_name)s"}},
        "filters": {"only": {"name": "a"}},
        "handlers": {"file": {"class": "logging.FileHandler", "formatter": "f", "filename": "/a"}},
        "loggers": {"run": {"level": "INFO", "handlers": ["file"], "propagate": False}},
        "root": {"level": "INFO", "handlers": ["file"], "filters": ["only"]},
    },
    "publisher": {
        "formatters": {"f": {"format": "%(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "formatter": "f", "filename": "/b"},
            "net": {"class": "zmq.log.handlers.PUBHandler"},
        },
        "loggers": {"run": {"level": "DEBUG", "handlers": ["file", "net"]}},
        "root": {"level": "DEBUG", "handlers": ["net"]},
    },
}


def of(section: Any, *, rotate: bool = False, debug: bool = False) -> dict[str, Any]:
    before = copy.deepcopy(section)
    layout = process_logging(section, LOGS, rotate=rotate, debug=debug)
    assert section == before, "the configuration itself must stay as it is"
    return layout


def test_handlers_that_rotate_only_watch_for_the_rotation() -> None:
    handlers = of(FLAT)["handlers"]
    watched = {"class": "logging.handlers.WatchedFileHandler", "filters": ["nowcast logger name"]}
    assert handlers["file"] == {**watched, "filename": "/x.log", "encoding": "utf-8"}
    assert handlers["daily"] == {**watched, "filename": "/y.log"}
    assert handlers["plain"]["class"] == "logging.FileHandler"


def test_the_process_that_rotates_keeps_them() -> None:
    handlers = of(FLAT, rotate=True)["handlers"]
    assert handlers["file"]["class"] == "logging.handlers.RotatingFileHandler"
    assert handlers["file"]["backupCount"] == 7


def test_handlers_that_publish_are_left_out_wherever_they_are_named() -> None:
    layout = of(FLAT)
    assert "net" not in layout["handlers"]
    assert layout["loggers"]["checklist"] == {"handlers": ["file"], "propagate": False}
    assert layout["root"]["handlers"] == ["console", "file", "daily"]


def test_what_dictconfig_insists_on_is_filled_in() -> None:
    layout = of({"handlers": []})
    assert layout["version"] == 1
    assert layout["handlers"] == {}
    assert layout["disable_existing_loggers"] is False


@pytest.mark.parametrize("section", [None, 5, []])
def test_without_a_section_info_goes_to_one_file(section: Any) -> None:
    layout = of(section)
    assert layout["handlers"]["file"]["filename"] == "/srv/var/logs/nowcast.log"
    assert layout["root"] == {"level": "INFO", "handlers": ["file"]}


def test_both_halves_of_distributed_logging_are_joined_without_meeting() -> None:
    layout = of(PAIR)
    assert {name: handler["filename"] for name, handler in layout["handlers"].items()} == {
        "publisher.file": "/b",
        "aggregator.file": "/a",
    }
    assert layout["handlers"]["aggregator.file"]["formatter"] == "aggregator.f"
    assert layout["formatters"]["publisher.f"] == {"format": "%(message)s"}
    assert layout["root"] == {
        "level": "DEBUG",
        "handlers": ["aggregator.file"],
        "filters": ["aggregator.only"],
    }
    run = layout["loggers"]["run"]
    assert run["handlers"] == ["publisher.file", "aggregator.file"]
    assert (run["level"], run["propagate"]) == ("DEBUG", False)


def test_debug_writes_everything_to_the_console_in_its_own_format_and_nothing_to_files() -> None:
    layout = of(FLAT, debug=True)
    (console,) = layout["handlers"].values()
    assert (console["level"], console["formatter"]) == ("DEBUG", "short")
    assert layout["root"] == {"level": "DEBUG", "handlers": ["console"]}
    assert layout["loggers"]["checklist"]["handlers"] == []


def test_debug_has_a_console_where_the_configuration_has_none() -> None:
    layout = of(None, debug=True)
    assert layout["handlers"]["console"]["class"] == "logging.StreamHandler"


def test_a_record_is_given_the_name_that_an_aggregator_prints() -> None:
    record = logging.makeLogRecord({"name": "sleep"})
    assert LoggerName().filter(record)
    assert vars(record)["logger_name"] == "sleep"
    published = logging.makeLogRecord({"name": "x", "logger_name": "sleep"})
    LoggerName().filter(published)
    assert vars(published)["logger_name"] == "sleep"
