"""The ``logging`` section at work, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import logging, sys
from nowcast_cli.config import Config
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.errors import NowcastError

config = Config()
config.load(sys.argv[1])
try:
    print(configure_logging(config, "sleep", debug="debug" in sys.argv))
except NowcastError as error:
    sys.exit(f"{type(error).__name__}: {error.what} | {error.cause}")
logging.getLogger("sleep").debug("a detail")
logging.getLogger("sleep").info("one")
if "rotated" in sys.argv:
    import os
    os.rename("var/nowcast.log", "var/nowcast.log.1")
    logging.getLogger("sleep").info("two")
"""
ONE_FILE = """
logging:
  formatters: {f: {format: '%(levelname)s [%(logger_name)s] %(message)s'}}
  handlers:
    file:
      class: logging.handlers.RotatingFileHandler
      filename: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast.log
      formatter: f
  root: {level: INFO, handlers: [file]}
"""


def run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "nowcast.yaml").write_text(text)
    command = [sys.executable, "-c", SCRIPT, str(folder / "nowcast.yaml"), *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


def test_messages_go_to_the_files_whose_folders_are_made(tmp_path: Path) -> None:
    done = run(tmp_path, ONE_FILE)
    assert done.stdout == "writing log messages to local file system\n"
    assert (tmp_path / "var/nowcast.log").read_text() == "INFO [sleep] one\n"


def test_a_process_follows_the_file_that_another_one_rotates(tmp_path: Path) -> None:
    assert run(tmp_path, ONE_FILE, "rotated").returncode == 0
    assert (tmp_path / "var/nowcast.log.1").read_text() == "INFO [sleep] one\n"
    assert (tmp_path / "var/nowcast.log").read_text() == "INFO [sleep] two\n"


def test_debug_shows_details_on_the_console_and_makes_no_file(tmp_path: Path) -> None:
    done = run(tmp_path, ONE_FILE, "debug")
    assert "**debug mode** writing log messages to console\n" in done.stdout
    assert "DEBUG [sleep] a detail" in done.stderr
    assert not (tmp_path / "var").exists()


def test_without_a_section_messages_go_to_the_logs_folder(tmp_path: Path) -> None:
    assert run(tmp_path, "state directory: state").returncode == 0
    text = (tmp_path / "state/logs/nowcast.log").read_text()
    assert text.endswith("INFO [sleep] one\n")
    assert "detail" not in text


def test_distributed_logging_writes_its_files_without_a_socket(tmp_path: Path) -> None:
    text = """
logging:
  aggregator:
    formatters: {f: {format: '[%(logger_name)s] %(message)s'}}
    handlers:
      a: {class: logging.handlers.RotatingFileHandler, filename: a.log, formatter: f}
    root: {level: INFO, handlers: [a]}
  publisher:
    handlers: {net: {class: zmq.log.handlers.PUBHandler, interface_or_socket: 'tcp://*:1'}}
    root: {level: DEBUG, handlers: [net]}
"""
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert "[sleep] one\n" in (tmp_path / "a.log").read_text()


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "var/nowcast.log").mkdir(parents=True)
    done = run(tmp_path, ONE_FILE)
    assert done.stderr == (
        f"NowcastError: sleep cannot write its log file {tmp_path}/var/nowcast.log"
        " | Is a directory\n"
    )


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("{handlers: {a: {class: no.such.Handler}}, root: {handlers: [a]}}", "no"),
        ("{root: {handlers: [nothing]}}", "nothing"),
        ("{handlers: {a: 5}}", "5"),
    ],
)
def test_a_section_that_cannot_be_used_is_refused(
    tmp_path: Path, section: str, reason: str
) -> None:
    done = run(tmp_path, f"logging: {section}")
    assert done.stderr.startswith(f"ConfigError: {tmp_path}/nowcast.yaml: logging: ")
    assert done.stderr.count("\n") == 1
