"""What is sent to other hosts, run here as it is there: orders that come often, late and torn."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.executors import remote_side, shipped
from nowcast_cli.executors.job_folder import JobRequest, read_claim, read_exit
from nowcast_cli.identifiers import new_id
from nowcast_cli.process_identity import identity_of, is_alive

MODULE = """
import os, sys, time
file = os.open("lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(file, b"begun\\n")
while os.path.exists("wait"):
    time.sleep(0.01)
"""

LEAVES_CHILDREN = """
import subprocess, time
deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
gone = subprocess.Popen(["sleep", "600"], start_new_session=True)
time.sleep(0.3)  # for the shell to be deaf
with open("children.new", "w") as file:
    file.write(f"{deaf.pid} {gone.pid}")
import os
os.rename("children.new", "children")
time.sleep(600)
"""


class There:
    """A folder as the other host would have it, and the code that was sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = folder / "code.pyz"
        self.code.write_bytes(shipped.archive().data)
        (folder / "module.py").write_text(MODULE)
        self.job_id = new_id()
        self.request = JobRequest(
            self.job_id, 1, "module", "module", (), "jobs/day/job",
            str(folder / "nowcast.yaml"), "", {},
        )  # fmt: skip

    @property
    def job_folder(self) -> Path:
        return self.folder / "jobs/day/job"

    def order(self, *, submit: bool = False, cancel: bool = False) -> bytes:
        look = {"folder": "jobs/day/job", "stdout": 0, "stderr": 0, "records": 0,
                "outbox": []}  # fmt: skip
        order = {
            "root": str(self.folder),
            "grace": 0.0,
            "submit": [self.request.to_json()] if submit else [],
            "cancel": [self.job_id] if cancel else [],
            "look": {self.job_id: look, "other": look | {"folder": "jobs/other"}},
            "clear": [],
        }
        return json.dumps(order).encode()

    def run(self, order: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-I", "-S", str(self.code)]
        return subprocess.run(command, input=order, capture_output=True, check=False, timeout=60)

    def exchange(self, **wanted: bool) -> dict[str, Any]:
        """Give what the answer tells of the job."""
        ended = self.run(self.order(**wanted))
        assert ended.returncode == 0, ended.stderr.decode()
        coded = ended.stdout.partition(remote_side.MARK)[2]
        answer = json.loads(zlib.decompress(base64.b64decode(coded)))
        assert answer["jobs"]["other"]["pid"] is None
        found: dict[str, Any] = answer["jobs"].get(self.job_id, {})
        return found | {"trouble": answer["trouble"]}

    def lines(self) -> list[str]:
        file = self.folder / "lines"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    place = There(tmp_path)
    yield place
    (tmp_path / "wait").unlink(missing_ok=True)
    if place.lines():
        wait_until(lambda: any(place.job_folder.glob("*exit")), what="the job to end")


def test_a_job_asked_for_twenty_times_at_once_begins_once(there: There) -> None:
    (there.folder / "wait").touch()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(there.exchange, submit=True) for _ in range(20)]
        answers = [answer.result() for answer in asked]
    assert all(answer["trouble"] == [] and not answer["gone"] for answer in answers)
    assert there.lines() == ["begun"]
    (there.folder / "wait").unlink()
    assert wait_until(lambda: read_exit(there.job_folder), what="the end").code == 0
    assert there.exchange(submit=True)["exit"] is not None
    assert there.lines() == ["begun"]


def test_half_an_order_is_none(there: There) -> None:
    assert there.run(there.order(submit=True)[:-1]).returncode != 0
    assert there.run(b"").returncode != 0
    assert not there.job_folder.exists()


def test_a_job_that_was_cancelled_first_never_begins(there: There) -> None:
    assert not there.exchange(cancel=True)["gone"]  # the claim is that of the exchange itself
    assert there.exchange(submit=True)["gone"]
    assert there.lines() == []


def test_a_job_is_over_when_its_whole_session_has_been_ended(there: There) -> None:
    (there.folder / "module.py").write_text(LEAVES_CHILDREN)
    there.exchange(submit=True)
    children = there.folder / "children"
    wait_until(children.exists, what="the children")
    deaf, gone = map(int, children.read_text().split())
    age = there.exchange()["age"]
    assert 0 <= age < 60

    first = there.exchange(cancel=True)
    assert (first["exit"], first["gone"], first["left"]) == (None, False, None)
    wait_until((there.job_folder / "exit").exists, what="the leader to end")
    assert _lives(deaf)
    last = wait_until(lambda: _with_end(there.exchange(cancel=True)), what="the end to be told")
    assert not _lives(deaf)
    assert last["left"] == f"still there: process {gone} (sleep), which had left its session"
    os.kill(gone, signal.SIGKILL)


def _with_end(answer: dict[str, Any]) -> dict[str, Any] | None:
    return answer if answer["exit"] is not None else None


def _lives(pid: int) -> bool:
    identity = identity_of(pid)
    return identity is not None and is_alive(identity)


def test_a_job_whose_place_is_taken_keeps_no_other_from_being_seen_to(there: There) -> None:
    (there.folder / "jobs").mkdir()
    (there.folder / "jobs/day").touch()
    answer = there.exchange(submit=True, cancel=True)
    assert answer.keys() == {"trouble"}
    begins, *others = answer["trouble"]
    assert f"job {there.job_id} (module) cannot begin: " in begins
    assert all(f"nothing can be said of job {there.job_id}: " in other for other in others)


def test_a_restart_of_the_machine_ends_its_jobs_and_another_machine_knows_nothing(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name may lead to several machines that share their folders."""
    there.exchange(submit=True)
    wait_until((there.job_folder / "exit").exists, what="the job to end")
    (there.job_folder / "exit").rename(there.job_folder / "no exit")
    job = {"folder": str(there.job_folder), "stdout": 0, "stderr": 0, "records": 0,
           "outbox": []}  # fmt: skip
    assert read_claim(there.job_folder) is not None
    wait_until(lambda: remote_side.look(job)["gone"], what="the runner to end as well")
    monkeypatch.setattr(remote_side, "boot_id", lambda: "another boot")
    assert remote_side.look(job)["gone"]
    monkeypatch.setattr(remote_side.socket, "gethostname", lambda: "another-machine")
    assert not remote_side.look(job)["gone"]


IN_A_HURRY = """
import json, sys
from nowcast_cli.executors import remote_side
remote_side._CLAIM_WAIT = 0.0
remote_side.carry_out(json.load(sys.stdin))
"""


def test_a_job_outlives_an_exchange_that_did_not_wait_for_its_claim(there):
    """What the job tells of its claim then goes into a pipe that nobody reads."""
    command = [sys.executable, "-c", IN_A_HURRY]
    subprocess.run(command, input=there.order(submit=True), check=True, timeout=60)
    ended = wait_until(lambda: read_exit(there.job_folder), timeout=30, what="the end of the job")
    assert (ended.code, ended.signal) == (0, None)
