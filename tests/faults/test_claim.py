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


REHEARSAL = """
import os, socket, sys, time
from nowcast_cli import runner

ours, orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
taken = []

def step():
    taken.append("step")
    if len(taken) == 2:
        raise RuntimeError("as if the configuration were broken by now")
    if len(taken) == 3:
        os.write(1, b"three\\n")
    if len(taken) >= 3:
        time.sleep(0.05)

if os.fork() == 0:
    runner.fork_worker(orders, lambda *_: None, [step] * 1000)
    os.write(1, f"{len(taken) < 1000}\\n".encode())
    os._exit(0)
orders.close()
sys.stdin.readline()
ours.send(sys.argv[1].encode())
ours.close()
os.wait()
"""


def test_a_rehearsal_ends_when_the_order_comes_and_its_errors_end_nothing(tmp_path):
    folder = tmp_path / "2026-11-22" / "job"
    job = {"id": "i", "attempt": 1, "worker": "w", "folder": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", REHEARSAL, json.dumps(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "three\n"
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "True\n"
    process.communicate()
    assert read_exit(folder).code == 0
