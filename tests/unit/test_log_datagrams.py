"""Log records as datagrams: sent at once, or not at all."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.config.log_datagrams import DatagramHandler
from nowcast_cli.config.log_records import record_of


@pytest.fixture
def path() -> Iterator[Path]:
    path = Path(f"/tmp/nowcast-test-{os.getpid()}.sock")
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def logger(path: Path) -> Iterator[logging.Logger]:
    logger = logging.Logger("somebody")
    handler = DatagramHandler(path)
    logger.addHandler(handler)
    yield logger
    handler.close()


def bound(path: Path) -> socket.socket:
    here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.bind(str(path))
    here.settimeout(10)
    return here


def test_a_record_arrives_with_its_traceback(path: Path, logger: logging.Logger) -> None:
    with bound(path) as here:
        try:
            raise ValueError("no such tide")
        except ValueError:
            logger.exception("cannot %s", "go on")
        record = record_of(here.recv(100_000))
    assert record is not None
    assert (record.name, record.levelname) == ("somebody", "ERROR")
    assert record.msg.startswith("cannot go on\nTraceback")
    assert "no such tide" in record.msg


def test_without_a_socket_nothing_is_sent_and_one_that_comes_is_found(
    path: Path, logger: logging.Logger
) -> None:
    logger.warning("nobody")
    with bound(path) as here:
        here.setblocking(False)

        def has_arrived() -> bool:
            logger.warning("somebody")
            with suppress(BlockingIOError):
                return bool(here.recv(100_000))
            return False

        wait_until(has_arrived, what="the socket to be found")
    path.unlink()
    logger.warning("nobody again")


def test_a_full_queue_drops_records_and_holds_nobody_up(path: Path, logger: logging.Logger) -> None:
    with bound(path) as here:
        for number in range(5000):  # none is read
            logger.warning("%d %s", number, "x" * 1000)
        first = record_of(here.recv(100_000))
    assert first is not None
    assert first.msg.startswith("0 x")


def test_a_socket_that_nobody_reads_any_more_is_no_trouble(
    path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    bound(path).close()  # its file is left
    for _ in range(3):
        logger.warning("nobody")
    assert capsys.readouterr().err == ""
