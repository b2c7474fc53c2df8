"""The claim alone decides, when all that only saves work (locks, memory, looks) is taken away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from executor_helpers import lines_of
from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim, read_exit

RACE = """
import fcntl, json, os, socket, sys, time
from nowcast_cli import runner

fcntl.flock = lambda *_: None  # as if each runner had got the lock
os.access = lambda *_: False  # as if each had looked before the other's claim
job = json.loads(sys.argv[1])
start_at = time.time() + 0.3
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        ours, orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        time.sleep(max(0, start_at - time.time()))
        ours.send(sys.argv[1].encode())
        runner.fork_worker(orders, lambda *_: None)
        lines = os.open(job["environment"]["LINES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(lines, f"{os.getpid()}\\n".encode())
        os._exit(3)
for _ in range(int(sys.argv[2])):
    os.wait()
"""


@pytest.mark.parametrize("_round", range(5))
def test_of_twenty_runners_at_once_one_runs_the_job(tmp_path, _round):
    folder, lines = tmp_path / "2026-11-22" / "job", tmp_path / "lines"
    job = {
        "id": "i",
        "attempt": 1,
        "worker": "w",
        "folder": str(folder),
        "config_file": "c",
        "environment": {"LINES": str(lines)},
    }
    subprocess.run([sys.executable, "-c", RACE, json.dumps(job), "20"], check=True)
    wait_until(lambda: read_exit(folder), what="the exit file")
    assert len(lines_of(lines)) == 1
    claim = read_claim(folder)
    assert str(claim.process.pid) == lines.read_text().strip()
    assert read_exit(folder).code == 3
    names = {entry.name for entry in Path(folder).iterdir()}
    assert names == {"exit", "job.json", "outbox", "pid", "runner.lock", "scratch"}
