"""The notifier's process as the manager sees it."""

from __future__ import annotations

import logging
import select
import time
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.manager import notifier_process
from nowcast_cli.manager.notifier_process import NotifierProcess

# Says that it has sent something, then lives on.
NOTIFIER = """\
import os, sys, time
os.write(int(sys.argv[5]), b'{"channel": "mail", "title": "high water"}\\n')
time.sleep(600)
"""


def test_what_it_said_last_is_taken_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "says_once.py").write_text(NOTIFIER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(notifier_process, "MODULE", "says_once")
    notifier = NotifierProcess(tmp_path / "nowcast.yaml", time.monotonic, logging.getLogger())
    notifier.tend({"notify": {"mail": {}}}, 0)
    try:
        wait_until(lambda: select.select([notifier], [], [], 0)[0])
        notifier.reload()  # whose configuration may have no notifications any more
        assert [event.topic for event in notifier.happened()] == ["notifications~mail~sent"]
        assert not select.select([notifier], [], [], 0)[0], "the manager would turn for ever"
    finally:
        notifier.close()
