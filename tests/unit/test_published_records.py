"""The broker's socket for log records, with what goes wrong in the folder it is in."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.log_records import LogRecords
from nowcast_cli.broker.quiet_sockets import QuietSockets


class Somebody:
    """Stands in for the integration manager."""

    wants_logs = True

    def publish(self, topic: Any, body: Any) -> None:
        raise AssertionError("nothing was sent")


def test_a_folder_that_becomes_read_only_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, somebody = QuietSockets(), Somebody()
    path = tmp_path / "log-records.sock"
    records = LogRecords(path, somebody, quiet, FaultLog(logging.getLogger()))  # type: ignore[arg-type]
    records.turn()
    assert path.is_socket()

    def read_only(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    somebody.wants_logs = False
    records.turn()
    somebody.wants_logs = True
    records.turn()  # in vain: the name is taken
    monkeypatch.undo()
    records.turn()
    assert path.is_socket()
    records.close()
    assert not path.exists()
    quiet.close()
