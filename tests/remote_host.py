"""Another host, for tests: an sshd of one's own on 127.0.0.1, and a deployment that is behind it.

``remote`` gives a system whose jobs for the host ``east`` go there:

    def test_a_job_runs_there(remote):
        job = remote.system.launch("first", host="east")
        assert remote.ran() == ["first"]
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor_helpers import children_of
from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from ports import free_ports
from systems import MakeSystem, System

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

# By SHLVL, bash does not take itself for a login and leaves the start-up files of whoever runs the
# tests alone: they may take any time, and what is killed in mid-file may leave its locks behind.
CONFIG = """\
SetEnv SHLVL=1
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
"""


class Sshd:
    """An ssh server that can be stopped, and whose connections can be cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        (self.port,) = free_ports(1)
        for name in ("host_key", "id", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        shutil.copy(folder / "id.pub", folder / "authorized_keys")
        (folder / "sshd_config").write_text(CONFIG.format(port=self.port, folder=folder))
        kind, key = (folder / "host_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What ssh has to be told to get here."""
        return {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "IdentityFile": str(self.folder / "id"),
            "IdentitiesOnly": True,
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        assert SSHD is not None
        return [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]

    def start(self) -> None:
        with contextlib.suppress(PermissionError):
            Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stderr=log)
        wait_until((self.folder / "sshd.pid").exists, what="sshd")

    def cut(self) -> None:
        """End all connections that there are, as when a cable is pulled and the server notices."""
        for connection in children_of(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(connection, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and all connections."""
        if self._process is not None:
            os.kill(self.pid, signal.SIGSTOP)  # so that no connection comes meanwhile
            self.cut()
            os.kill(self.pid, signal.SIGKILL)
            self._process.kill()  # which may have been the one that leads there
            self._process.wait(10)
            self._process = None
            (self.folder / "sshd.pid").unlink(missing_ok=True)


class Remote:
    """A system, and the host ``east`` on which some of its jobs run."""

    def __init__(self, system: System, there: System, sshd: Sshd, home: Path) -> None:
        self.system = system
        self.there = there
        self.sshd = sshd
        self.home = home

    def ran(self) -> list[str]:
        """Give the workers whose code has begun on the host."""
        return self.there.ran()

    def folder(self, job_id: str) -> Path:
        """Give the folder of a job on the host."""
        (folder,) = self.home.glob(f"jobs/*/{job_id}-*")
        return folder

    def has_begun(self, job_id: str) -> bool:
        return any(mark == job_id for mark, _ in self.there.effects())

    def wait_for_trouble(self, words: str) -> str:
        """Wait until the manager says that something is wrong, in these words."""

        def said() -> str | None:
            trouble = str((self.system.health() or {}).get("trouble"))
            return trouble if words in trouble else None

        return wait_until(said, timeout=20, what=f"the manager to say {words!r}")


@pytest.fixture
def remote(make_system: MakeSystem, tmp_path: Path) -> Iterator[Remote]:
    """Give a running system with the other host ``east``, whose sshd runs."""
    yield from _make(make_system, tmp_path)


@pytest.fixture
def remote_chain(make_system: MakeSystem, tmp_path: Path) -> Iterator[Remote]:
    """Give the same; there ``second`` follows ``first`` on east, and ``third`` follows here."""
    after = {
        "first": "[NextWorker('workers.second', host='east')]",
        "second": "[NextWorker('workers.third')]",
    }
    yield from _make(make_system, tmp_path, after=after)


@pytest.fixture
def guarded_remote(make_system: MakeSystem, tmp_path: Path) -> Iterator[Remote]:
    """Give the same with keys, of which the host has none as yet."""
    yield from _make(make_system, tmp_path, settings={"security": "curve"})


def _make(make_system: MakeSystem, tmp_path: Path, **options: Any) -> Iterator[Remote]:
    if SSHD is None:
        pytest.skip("there is no sshd: apt-get install openssh-server")
    sshd = Sshd(tmp_path / "sshd")
    there, home = make_system(tmp_path / "there"), tmp_path / "home"
    envvars = there.write("envvars.sh", "export FROM_ENVVARS='set there'\necho Welcome!\n")
    host = {
        "envvars": str(envvars),
        "python": sys.executable,
        "config file": str(there.config_file),
        "state directory": str(home),
        "ssh options": sshd.options,
    }
    settings = {"run": {"enabled hosts": {"east": host}}, **options.pop("settings", {})}
    system = make_system(tmp_path / "here", settings=settings, **options)
    there.settings["zmq"] = system.settings["zmq"]  # its workers speak to the broker here
    there.write_config()
    sshd.start()
    system.start()
    yield Remote(system, there, sshd, home)
    system.end()
    sshd.stop()
    for file in home.glob("jobs/*/*/pid"):
        claim = read_claim(file.parent)
        with contextlib.suppress(ProcessLookupError):
            if claim is not None:
                os.killpg(claim.process.pid, signal.SIGKILL)
