"""Processes of other hosts send their log records to the one port of the log aggregator."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
import zmq

from helpers import wait_until
from log_deployment import Deployment
from nowcast_cli.config.log_bus import bus_port
from nowcast_cli.security.key import key_file
from nowcast_cli.security.key_ring import KeyRing
from ports import free_ports
from systems import LOGGING

# An address of this machine that stands for the host of the system, seen from another one.
HOST = "127.0.0.2"

WORKER = """
import logging, os, sys, time
from pathlib import Path
from nowcast_cli.config import Config, log_publishing
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.messages.log_sending import send_records
log_publishing.is_elsewhere = lambda host: True
config = Config()
config.load(sys.argv[1])
where = configure_logging(config, "run_model")
send_records(config)
logger = logging.getLogger("run_model")
logger.info(where)
for step in sys.argv[2:]:
    if step.startswith("wait:"):
        Path("waits").touch()
        while not Path(step[5:]).exists():
            time.sleep(0.01)
    elif step == "fork":
        if os.fork() == 0:
            logger.info("from a fork")
            os._exit(0)
        os.wait()
    elif step == "fail":
        try:
            1 / 0
        except ZeroDivisionError:
            logger.critical("unhandled exception:", exc_info=True)
    elif step.isdigit():
        for number in range(int(step)):
            logger.debug("step %d", number)
    else:
        logger.warning(step)
"""


class Elsewhere:
    """A folder of another host, with its own configuration, in which workers are run by hand."""

    def __init__(self, folder: Path, zmq_section: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir()
        config = {
            "checklist file": "var/checklist.yaml", "zmq": zmq_section, "logging": LOGGING,
        }  # fmt: skip
        (folder / "nowcast.yaml").write_text(yaml.safe_dump(config))
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *steps: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, "nowcast.yaml", *steps],
            cwd=self.folder, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def spooled(self) -> list[Path]:
        return sorted(self.folder.glob("var/spool/records/*"))


@pytest.fixture
def here(make_deployment: Any) -> Deployment:
    """Give a deployment of which other hosts may be a part; nobody has configured its logs."""
    ports = dict(zip(("workers", "manager"), free_ports(2), strict=True))
    deployment: Deployment = make_deployment(zmq={"host": HOST, "ports": ports})
    del deployment.settings["logs"]
    deployment.write_config()
    return deployment


@pytest.fixture
def there(here: Deployment, tmp_path: Path) -> Iterator[Elsewhere]:
    elsewhere = Elsewhere(tmp_path / "cluster", here.settings["zmq"])
    yield elsewhere
    for process in elsewhere.processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def said(deployment: Deployment) -> list[str]:
    """Give the messages of the worker in the system's log."""
    return [line.partition("] ")[2] for line in deployment.log() if "[run_model]" in line]


def test_a_worker_by_hand_has_its_records_in_the_systems_log_without_any_set_up(here, there):
    here.start()
    process = there.run("500", "fail", "fork", "the end")
    assert process.wait(20) == 0
    wait_until(lambda: said(here)[-1:] == ["the end"], what="the last record")
    assert said(here)[0] == "sending log messages to the log aggregator"
    assert said(here)[1:501] == [f"step {number}" for number in range(500)]
    assert "CRITICAL [run_model] unhandled exception:" in here.log()
    assert "ZeroDivisionError: division by zero" in (here.paths.logs / "nowcast.log").read_text()
    assert said(here).count("from a fork") == 1
    wait_until(lambda: not there.spooled(), what="what was sent to be removed")
    received = here.paths.state / "spool/received"
    wait_until(lambda: not list(received.iterdir()), what="what was read to be removed")
    assert not list(there.folder.rglob("*.log"))


def test_records_keep_the_time_at_which_they_were_made(here, there):
    process = there.run("early", "wait:go-on")
    wait_until((there.folder / "waits").exists, what="the worker")
    here.start()
    started = (here.paths.logs / "nowcast.log").read_text().splitlines()[0][:23]
    (there.folder / "go-on").touch()
    assert process.wait(20) == 0
    wait_until(lambda: "early" in said(here), what="the record")
    lines = (here.paths.logs / "nowcast.log").read_text().splitlines()
    [early] = [line for line in lines if line.endswith("early")]
    assert early[:23] < started


def test_what_nobody_took_is_sent_by_the_next_process_of_that_host(here, there):
    process = there.run("3", "alone")
    assert b"log records wait in" in process.communicate(timeout=20)[1]
    assert len(there.spooled()) == 1
    here.start()
    assert there.run("wait:enough").poll() is None
    wait_until(lambda: "alone" in said(here), timeout=20, what="what the first one has left")
    wait_until(lambda: len(there.spooled()) == 1, what="what was sent to be removed")
    (there.folder / "enough").touch()
    assert there.processes[-1].wait(20) == 0
    assert said(here).count("step 2") == 1


def test_records_of_a_worker_that_is_killed_are_not_lost(here, there):
    process = there.run("100", "wait:never")
    wait_until((there.folder / "waits").exists, what="the worker")
    process.kill()
    here.start()
    assert there.run("next", "wait:on").poll() is None
    wait_until(lambda: {"step 99", "next"} <= {*said(here)}, timeout=20, what="both")
    (there.folder / "on").touch()


def test_a_job_sends_by_its_folder_and_each_record_comes_once(here, there):
    """As the runner of another host begins it; ssh brings the folder as well."""
    here.start()
    job = here.job("run_model")
    folder = there.folder / job.name
    folder.mkdir()
    script = f"""
import os, runpy, sys
os.environ.update(NOWCAST_JOB_PID=str(os.getpid()), NOWCAST_JOB_ID={job.name[:36]!r},
                  NOWCAST_JOB_FOLDER={str(folder)!r}, NOWCAST_RECORDS={str(folder / "records")!r})
sys.argv[1:] = ["nowcast.yaml", "1000", "the end"]
exec({WORKER!r})
"""
    process = subprocess.run([sys.executable, "-c", script], cwd=there.folder, timeout=30)
    assert process.returncode == 0
    wait_until(lambda: said(here)[-1:] == ["the end"], what="the last record")
    assert (job / "records").read_bytes() == (folder / "records").read_bytes()
    assert [text for text in said(here) if text.startswith("step")] == [
        f"step {number}" for number in range(1000)
    ]
    assert not there.spooled()


def ask(here: Deployment, header: Any, part: bytes = b"", wait: float = 2.0) -> Any:
    """Send as a process elsewhere would; None without an answer."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as sender:
        sender.linger = 0
        sender.connect(f"tcp://{HOST}:{bus_port(here.settings)}")
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        sender.send_multipart([text, part])
        return json.loads(sender.recv()) if sender.poll(round(wait * 1000)) else None


def test_a_part_that_comes_twice_or_too_early_changes_nothing(here):
    here.start()
    file = {"file": str(uuid.uuid4())}
    assert ask(here, {**file, "at": 0}, b"abc") == {"have": 3}
    assert ask(here, {**file, "at": 0}, b"abc") == {"have": 3}
    assert ask(here, {**file, "at": 1}, b"bcde") == {"have": 5}
    assert ask(here, {**file, "at": 9}, b"xyz") == {"have": 5}
    [copy] = (here.paths.state / "spool/received").iterdir()
    assert copy.read_bytes() == b"abcde"


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        [],
        {"file": "../../nowcast.yaml", "at": 0},
        {"file": str(uuid.UUID(int=1)), "at": "x"},
        {"job": str(uuid.UUID(int=1)), "worker": "../x", "at": 0},
        {"job": "a/b", "worker": "x", "at": 0},
    ],
    ids=str,
)
def test_what_is_no_part_of_a_file_is_passed_over(here, header):
    before = None
    here.start()
    before = sorted(path for path in here.folder.rglob("*") if path.is_dir())
    assert ask(here, header, b"x", wait=0.3) is None
    assert ask(here, {"file": str(uuid.uuid4()), "at": 0, "end": True}) == {"have": 0}
    assert sorted(path for path in here.folder.rglob("*") if path.is_dir()) == before


def test_a_port_that_is_taken_is_told_of_and_tried_again(here, there):
    [port] = free_ports(1)
    here.settings["zmq"]["ports"]["logs"] = port
    here.write_config()
    with zmq.Context() as context, context.socket(zmq.REP) as other:
        other.bind(f"tcp://{HOST}:{port}")
        here.start()
        assert f"port {port} of {HOST}" in here.health()["trouble"]
    wait_until(lambda: here.health()["trouble"] is None, timeout=20, what="the port to be free")
    assert here.end() == 0


def test_where_there_are_keys_records_are_taken_from_those_who_show_one(here, there, monkeypatch):
    here.settings["security"] = "curve"
    here.write_config()
    ring = KeyRing(here.paths.keys)
    ring.init()
    here.start()
    assert ask(here, {"file": str(uuid.uuid4()), "at": 0}, b"x", wait=0.5) is None
    stranger = there.run("not admitted")
    assert b"log records wait in" in stranger.communicate(timeout=20)[1]
    assert not list(here.paths.state.glob("spool/received/*"))

    monkeypatch.setenv("NOWCAST_KEY", str(key_file(here.paths.keys, "worker")))
    assert there.run("admitted", "wait:enough").poll() is None
    wait_until(lambda: {"not admitted", "admitted"} <= {*said(here)}, timeout=20, what="both")
    (there.folder / "enough").touch()
    assert there.processes[-1].wait(20) == 0
    own = (here.paths.logs / "nowcast.log").read_text()
    assert "the port for logs" in own


def test_kill_minus_9_of_the_aggregator_loses_no_record_in_flight(here, there):
    here.start()
    process = there.run(*(word for n in range(30) for word in ("100", f"mark {n}")), "wait:go")
    for _ in range(4):
        wait_until(lambda: said(here), what="records")
        here.end(signal.SIGKILL)
        here.start()
    (there.folder / "go").touch()
    assert process.wait(30) == 0
    there.run("wait:never")  # it may have ended before it knew that the aggregator is back
    wait_until(lambda: "mark 29" in said(here), timeout=20, what="the last record")
    firsts = list(dict.fromkeys(text for text in said(here) if text.startswith("mark")))
    assert firsts == [f"mark {n}" for n in range(30)]
    assert said(here).count("step 99") >= 30


def test_what_cannot_be_written_is_not_confirmed_and_sent_again(here, there):
    here.start()
    in_the_way = here.paths.state / "spool/received"
    in_the_way.parent.mkdir()
    in_the_way.touch()
    process = there.run("kept", "wait:go-on")
    wait_until(lambda: here.health()["trouble"], what="the trouble to show")
    assert "the records of other hosts cannot be written" in here.health()["trouble"]
    in_the_way.unlink()
    wait_until(lambda: "kept" in said(here), what="the record")
    assert here.health()["trouble"] is None
    (there.folder / "go-on").touch()
    assert process.wait(20) == 0
