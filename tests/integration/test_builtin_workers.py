"""The built-in workers as processes, run as the launcher runs them."""

import os
import stat
import subprocess
import sys

import pytest

from nowcast_cli.messages.message import Message
from peer import Peer
from ports import free_port

CONFIG = """\
checklist file: var/nowcast_checklist.yaml
zmq: {{host: localhost, ports: {{workers: {port}, manager: 1}}}}
message registry:
  workers:
    sleep: {{checklist key: sleepyhead, success: slept, failure: no, crash: no}}
    awaken: {{checklist key: sleepyhead, success: awoke, failure: no, crash: no}}
    clear_checklist: {{clear checklist: please, success: cleared, failure: no, crash: no}}
    rotate_logs: {{checklist key: log files, success: rotated, failure: no, crash: no}}
logging:
  version: 1
  disable_existing_loggers: false
  formatters: {{simple: {{format: "%(levelname)s %(name)s %(message)s"}}}}
  handlers:
    console: {{class: logging.StreamHandler, level: WARNING}}
    info: &info
      class: logging.handlers.RotatingFileHandler
      level: INFO
      formatter: simple
      filename: var/logs/nowcast.log
      backupCount: 3
    checklist: {{<<: *info, filename: var/logs/checklist.log}}
  loggers:
    checklist: {{level: INFO, propagate: false, handlers: [checklist]}}
  root: {{level: DEBUG, handlers: [console, info]}}
"""


@pytest.fixture
def system(tmp_path):
    port = free_port()
    (tmp_path / "nowcast.yaml").write_text(CONFIG.format(port=port))
    return tmp_path, port


def run(system, name, *arguments, answer=None):
    folder, port = system
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NOWCAST")}
    with Peer(port, answer or (lambda m: Message("manager", "ack", id=m.id))) as peer:
        ended = subprocess.run(
            [sys.executable, "-m", f"nowcast_cli.workers.{name}", "nowcast.yaml", *arguments],
            cwd=folder,
            env=inherited,
            capture_output=True,
            text=True,
            timeout=30,
        )
    return ended, peer.messages


def test_sleep_sleeps_and_says_how_long(system):
    ended, [message] = run(system, "sleep", "--sleep-time", "0.1")

    assert ended.returncode == 0
    assert (message.source, message.type, message.payload) == (
        "sleep",
        "success",
        {"sleep time": 0.1},
    )


def test_sleep_takes_five_seconds_by_default():
    ended = subprocess.run(
        [sys.executable, "-m", "nowcast_cli.workers.sleep", "--help"],
        capture_output=True,
        text=True,
    )

    assert "usage: python -m nowcast_cli.workers.sleep" in ended.stdout
    assert "defaults to 5" in ended.stdout


def test_awaken_awakens(system):
    ended, [message] = run(system, "awaken")

    assert (ended.returncode, message.source, message.type) == (0, "awaken", "success")


def test_clear_checklist_asks_the_manager_and_adds_nothing(system):
    ended, messages = run(
        system,
        "clear_checklist",
        answer=lambda m: Message(
            "manager", "checklist cleared" if m.type == "clear checklist" else "ack", id=m.id
        ),
    )

    assert ended.returncode == 0
    assert [(m.type, m.payload, m.outcome) for m in messages] == [
        ("clear checklist", None, None),
        ("success", None, "success"),
    ]


def test_rotate_logs_begins_new_files_and_keeps_the_old(system):
    logs = system[0] / "var" / "logs"
    logs.mkdir(parents=True)
    (logs / "nowcast.log").write_text("old lines\n")
    (logs / "checklist.log").write_text("old checklist\n")

    ended, [message] = run(system, "rotate_logs")

    assert ended.returncode == 0
    assert message.payload == {
        "log files": [str(logs / "nowcast.log"), str(logs / "checklist.log")]
    }
    assert "old lines\n" in (logs / "nowcast.log.1").read_text()
    assert (logs / "checklist.log.1").read_text() == "old checklist\n"
    new = logs / "nowcast.log"
    assert "old lines" not in new.read_text()
    assert "log files rotated" in new.read_text()
    assert stat.S_IMODE(new.stat().st_mode) == 0o664
