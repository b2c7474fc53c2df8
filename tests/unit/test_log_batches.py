"""What the manager's log records find out: what the lines show, and nothing else."""

import logging

import pytest

from nowcast_cli.manager import log_batches
from nowcast_cli.manager.log_batches import find_out_what_lines_show_only


@pytest.fixture
def line_of(monkeypatch, tmp_path):
    """Log a line in a process whose only handler has this formatter."""
    logger = logging.Logger("manager")
    monkeypatch.setattr(log_batches, "_loggers", lambda: iter([logger]))
    for name in ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    monkeypatch.delenv("SENTRY_DSN", raising=False)

    def line(formatter: logging.Formatter) -> str:
        handler = logging.FileHandler(tmp_path / "log")
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        find_out_what_lines_show_only()
        logger.info("hello")
        handler.close()
        return (tmp_path / "log").read_text().rstrip()

    return line


def test_a_format_without_the_caller_is_spared_finding_it(line_of):
    assert line_of(logging.Formatter("%(levelname)s [%(name)s] %(message)s")) == (
        "INFO [manager] hello"
    )
    assert logging._srcfile is None
    assert not logging.logProcesses


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("funcName", "line"),
        ("module", "test_log_batches"),
        ("threadName", "MainThread"),
        ("processName", "MainProcess"),
    ],
)
def test_what_a_format_names_is_found_out(line_of, name, shown):
    assert line_of(logging.Formatter(f"%({name})s: %(message)s")) == f"{shown}: hello"


def test_a_formatter_of_somebody_elses_may_look_at_anything(line_of):
    class Strange(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"{record.threadName} {record.funcName}"

    assert line_of(Strange()) == "MainThread line"


def test_sentry_may_look_at_anything(line_of, monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "https://key@example.org/1")
    line_of(logging.Formatter("%(message)s"))
    assert logging._srcfile is not None
