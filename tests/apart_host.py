"""Another host that shares no files with this machine: ``apart``, and a system that has it.

It has mounts, processes and a name of its own, and shares the network alone: its sshd listens on
127.0.0.1. Where this machine has the deployment and what its steps read and write, it sees an
empty disk; where it keeps its jobs there is a disk of a given size.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executor_helpers import children_of
from helpers import wait_until
from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.executors.file_transfer import Way
from nowcast_cli.executors.job_folder import JobRequest, folder_of
from nowcast_cli.executors.rsync_run import LOCK
from nowcast_cli.executors.transfers import Transfers
from nowcast_cli.identifiers import new_id
from nowcast_cli.store.records import JobRecord
from remote_host import SSHD, Sshd
from systems import MakeSystem, System

# Bash, for it reaps what is left to it, as the first process of a machine does.
_FIRST_PROCESS = """\
set -e
hostname apart
mount -t tmpfs -o size=4m tmpfs "$1"
mount -t tmpfs -o "size=$3" tmpfs "$2"
echo ready
set +e
while :; do sleep 3600 & wait $!; done
"""


class ApartSshd(Sshd):
    """An sshd in the namespaces of another process."""

    def __init__(self, folder: Path, first_process: int) -> None:
        super().__init__(folder)
        self._first_process = first_process
        self._enter = ("nsenter", f"--target={first_process}", "--mount", "--pid", "--uts")

    @property
    def pid(self) -> int:
        (sshd,) = children_of(super().pid)
        return sshd

    def command(self) -> list[str]:
        return [*self._enter, "sh", "-c", 'cd /; exec "$@"', "sh", *super().command()]


class ApartHost:
    """The host. Its files are seen from here by :meth:`at`."""

    def __init__(self, folder: Path, here: Path, disk: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        here.mkdir(exist_ok=True)
        self._unshare = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc",
             "bash", "-c", _FIRST_PROCESS, "bash", here, self.home, disk],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n"
        (self.first_process,) = children_of(self._unshare.pid)
        self.sshd = ApartSshd(folder / "sshd", self.first_process)

    def at(self, path: Path) -> Path:
        """Give the place here of a file of the host."""
        return Path(f"/proc/{self.first_process}/root") / path.relative_to("/")

    def run(self, *command: str | Path) -> None:
        """Run a command there."""
        enter = ("nsenter", f"--target={self.first_process}", "--mount", "--pid", "--uts")
        subprocess.run([*enter, *command], check=True, capture_output=True)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Give its entry below ``run: enabled hosts``."""
        return {
            "python": sys.executable,
            "state directory": str(self.home),
            "shared storage": False,
            "ssh options": self.sshd.options,
            **more,
        }

    def end(self) -> None:
        self.sshd.stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first_process, signal.SIGKILL)
        self._unshare.kill()
        self._unshare.wait(20)


def why_not() -> str | None:
    """Say why there can be no such host on this machine; None where there can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    if SSHD is None:
        return "there is no sshd: apt-get install openssh-server"
    missing = [name for name in ("unshare", "nsenter", "rsync") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}: apt-get install util-linux rsync"
    probe = ["unshare", "--mount", "--pid", "--uts", "--fork", "true"]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        return "namespaces cannot be made here"
    return None


MakeApart = Callable[..., ApartHost]


@pytest.fixture
def make_apart(tmp_path: Path) -> Iterator[MakeApart]:
    """Give what turns on a host whose disk has ``disk``; it does not see ``tmp_path/here``."""
    if reason := why_not():
        pytest.skip(reason)
    made: list[ApartHost] = []

    def make(disk: str = "200m") -> ApartHost:
        made.append(ApartHost(tmp_path / "apart", tmp_path / "here", disk))
        made[-1].sshd.start()
        return made[-1]

    yield make
    for host in made:
        host.end()


class Carrier:
    """The transfers of one apart host, without a manager: for jobs that need not be begun."""

    def __init__(self, apart: ApartHost, here: Path) -> None:
        self.apart = apart
        self.here = here
        self.jobs = here / "jobs"
        self.jobs.mkdir()
        self.ended: dict[str, str | None] = {}
        self._run = here / "run"
        self._run.mkdir()
        self.transfers = Transfers(self.host(), self._run)

    def host(self, **more: Any) -> RemoteHost:
        config = {
            "python": sys.executable,
            "run": {"enabled hosts": {"east": self.apart.settings(**more)}},
        }
        return remote_hosts(config, "nowcast.yaml")["east"]

    def begin_anew(self) -> None:
        """Go on as a manager does that comes after one which has ended."""
        self.transfers.close()
        self.transfers = Transfers(self.host(), self._run)

    def job(self) -> JobRequest:
        job_id = new_id()
        folder = folder_of(self.jobs, job_id, "step")
        folder.mkdir(parents=True)
        return JobRequest(
            id=job_id, attempt=1, worker="step", module="step", arguments=(), folder=str(folder),
            config_file="nowcast.yaml", working_directory=str(self.here), environment={},
        )  # fmt: skip

    def there(self, job: JobRequest) -> Path:
        """Give the folder of a job on the host, as it is seen from here."""
        return self.apart.at(self.apart.home) / "jobs" / "/".join(Path(job.folder).parts[-2:])

    def move(self, job: JobRequest, work: Callable[[Way], None]) -> None:
        self.transfers.add(job, work, lambda why_not: self.ended.update({job.id: why_not}))

    def wait(self, job: JobRequest, timeout: float = 30.0) -> str | None:
        """Wait for the end; gives the sentence that says why it was given up."""
        wait_until(lambda: job.id in self.ended, timeout=timeout, what="the files")
        return self.ended[job.id]

    def end(self) -> None:
        self.transfers.close()
        wait_until(lambda: not _threads(), what="the threads to end")


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("files ")]


@pytest.fixture
def make_carrier(make_apart: MakeApart, tmp_path: Path) -> Iterator[Callable[..., Carrier]]:
    """Give what makes a carrier to a host whose disk has ``disk``."""
    made: list[Carrier] = []

    def make(disk: str = "200m") -> Carrier:
        made.append(Carrier(make_apart(disk), tmp_path / "here"))
        return made[-1]

    yield make
    for carrier in made:
        carrier.end()


@pytest.fixture
def carrier(make_carrier: Callable[..., Carrier]) -> Carrier:
    return make_carrier()


SLOW_RSYNC = """\
#!/bin/sh
# rsync as it is over a slow line; it tells for each file how many bytes went over.
exec {rsync} --bwlimit={rate} --log-file={log} --log-file-format='moved %b %n' "$@"
"""


class SlowLine:
    """An rsync in front of the real one: ``rate`` in kB/s."""

    def __init__(self, folder: Path, rate: int) -> None:
        self._log = folder / "rsync.log"
        script = folder / "bin" / "rsync"
        script.parent.mkdir()
        real = shutil.which("rsync")
        script.write_text(SLOW_RSYNC.format(rsync=real, rate=rate, log=self._log))
        script.chmod(0o755)
        self.path = f"{script.parent}:{os.environ['PATH']}"

    def moved(self, but: int = 0) -> int:
        """Give the bytes of files that went over from the rsyncs that came to their end.

        What the process ``but`` has moved does not count.
        """
        words = [line.split() for line in self._log.read_text().splitlines()]
        moved = [line for line in words if line[3:4] == ["moved"] and line[2] != f"[{but}]"]
        return sum(int(line[4]) for line in moved)


def rsync_of(folder: Path) -> int:
    """Give the process that moves, or was the last to move, files of the job of a folder."""
    return int(json.loads((folder / LOCK).read_text())["pid"])


@pytest.fixture
def slow_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], SlowLine]:
    """Give what makes the line slow, for this process and those that it starts."""

    def make(rate: int) -> SlowLine:
        line = SlowLine(tmp_path, rate)
        monkeypatch.setenv("PATH", line.path)
        return line

    return make


MESSAGES = {"success": "has done it", "failure": "could not do it", "crash": "fell over"}


class Apart:
    """A system, and the host ``east``, on which its worker ``step`` is a shell script."""

    def __init__(self, system: System, host: ApartHost) -> None:
        self.system = system
        self.host = host
        self.sshd = host.sshd

    def launch(self, *arguments: str) -> str:
        return self.system.launch("workers.step", *arguments, host="east")

    def run(self, *arguments: str, timeout: float = 40.0) -> JobRecord:
        """Launch the step and wait for its end."""
        return self.system.wait_for_process_end(self.launch(*arguments), timeout)

    def there(self, job_id: str) -> Path:
        """Give the folder of a job on the host, as it is seen from here."""
        (folder,) = self.host.at(self.host.home).glob(f"jobs/*/{job_id}-*")
        return folder

    def has_begun(self, job_id: str) -> bool:
        return any(self.host.at(self.host.home).glob(f"jobs/*/{job_id}-*/pid"))

    def touch(self, name: str) -> None:
        """Make a file in the folder of the deployment there, for which scripts wait."""
        (self.host.folder / "deployment" / name).touch()

    def trouble(self) -> str:
        return str((self.system.health() or {}).get("trouble"))


MakeApartSystem = Callable[..., Apart]


@pytest.fixture
def apart(make_system: MakeSystem, make_apart: MakeApart, tmp_path: Path) -> MakeApartSystem:
    """Give what makes a running system whose ``step`` runs ``script`` on the host ``east``."""

    def make(
        script: str, *, disk: str = "200m", after: dict[str, str] | None = None, **entry: Any
    ) -> Apart:
        host = make_apart(disk)
        deployment = host.folder / "deployment"
        deployment.mkdir()
        (deployment / "step.sh").write_text(f"#!/bin/sh\n{script}\n")
        (deployment / "step.sh").chmod(0o755)
        settings = host.settings(**{"config file": str(deployment / "nowcast.yaml")})
        system = make_system(
            tmp_path / "here" / "system",
            workers=["step", "quick", "then"],
            after=after or {},
            settings={"run": {"enabled hosts": {"east": settings}}},
        )
        system.registry["step"] = {
            "checklist key": "step", "command": "./step.sh", **MESSAGES, **entry,
        }  # fmt: skip
        system.registry["quick"] = {"command": "true", **MESSAGES}
        system.write_config()
        return Apart(system.start(), host)

    return make
