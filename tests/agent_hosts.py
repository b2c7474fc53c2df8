"""Other hosts, for tests: each with its network, files, processes and name, and a cable to pull.

The test itself goes into a network of its own, in which broker and manager of its system run, and
to which each host is joined by one cable. A host sees neither the folders of the test nor the
processes of this machine, so nothing is shared by accident. All of it ends with its processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from executor_helpers import children_of

MASTER = "10.88.0.1"
_NEWNET = 0x40000000
# Bash, for it reaps what is left to it, as the first process of a machine does.
_FIRST_PROCESS = """\
set -e
hostname "$1"; shift
# What runs here may itself lie below a folder that is hidden: it stays to be seen.
mkdir -p /run/kept; mount -t tmpfs tmpfs /run/kept
for kept in $KEPT; do mkdir -p "/run/kept$kept"; mount --bind "$kept" "/run/kept$kept"; done
for folder in "$@"; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
for kept in $KEPT; do mkdir -p "$kept"; mount --bind "/run/kept$kept" "$kept"; done
echo ready
set +e
while :; do sleep 3600 & wait $!; done
"""


def _run(*command: str | int | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def _below(hidden: str) -> str:
    """Give the folders of this interpreter and of the project, where they lie below ``hidden``."""
    project = Path(__file__).parent.parent
    folders = (Path(sys.prefix), Path(sys.base_prefix), project / "nowcast_cli")
    return " ".join(str(each) for each in folders if each.is_relative_to(hidden))


class Host:
    """One other host. Paths of it are seen here below :attr:`root`."""

    def __init__(self, number: int, name: str, hidden: Sequence[Path]) -> None:
        self.name = name
        self.home = Path("/tmp/home")
        self._cable = f"cable{number}"
        self._unshare = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child",
             "--mount-proc", "bash", "-c", _FIRST_PROCESS, "bash", name, "/tmp", *hidden],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**os.environ, "KEPT": _below("/tmp")},
        )  # fmt: skip
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n"
        (self.first_process,) = children_of(self._unshare.pid)
        self.at(self.home).mkdir()
        self._lay_cable(f"10.88.{number}")

    def _lay_cable(self, network: str) -> None:
        there = ("nsenter", f"--net=/proc/{self.first_process}/ns/net", "ip")
        _run("ip", "link", "add", self._cable, "type", "veth",
             "peer", "name", "cable", "netns", self.first_process)  # fmt: skip
        _run("ip", "address", "add", f"{network}.1/24", "dev", self._cable)
        _run("ip", "link", "set", self._cable, "up")
        _run(*there, "link", "set", "lo", "up")
        _run(*there, "address", "add", f"{network}.2/24", "dev", "cable")
        _run(*there, "link", "set", "cable", "up")
        _run(*there, "route", "add", "default", "via", f"{network}.1")

    @property
    def root(self) -> Path:
        """The root folder of the host, seen from here."""
        return Path(f"/proc/{self.first_process}/root")

    def at(self, path: Path) -> Path:
        """Give the place here of a file of the host."""
        return self.root / path.relative_to("/")

    def popen(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command on the host; what it prints comes into a file here.

        The process is the one that has gone there: the command itself is its child.
        """
        inherited = {key: value for key, value in os.environ.items() if "NOWCAST" not in key}
        with log.open("ab") as out:
            return subprocess.Popen(
                [*self._enter, "sh", "-c", 'cd && exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**inherited, "HOME": str(self.home), **environment},
            )  # fmt: skip

    def run(self, *command: str) -> None:
        """Run a command on the host, to its end. Raises CalledProcessError."""
        _run(*self._enter, *command)

    @property
    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--target={self.first_process}", "--net", "--mount", "--pid", "--uts")

    def plug(self, in_: bool) -> None:
        """Plug the cable in, or pull it."""
        _run("ip", "link", "set", self._cable, "up" if in_ else "down")

    def processes(self) -> list[int]:
        """Give the processes of the host, by their numbers here, the first one left out."""
        space = os.readlink(f"/proc/{self.first_process}/ns/pid")  # noqa: PTH115
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "ns/pid") == space:  # noqa: PTH115
                    found.append(int(process.name))
        return [pid for pid in found if pid != self.first_process]

    def end(self) -> None:
        """Turn it off: all its processes end, and its files are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first_process, signal.SIGKILL)
        self._unshare.kill()
        self._unshare.wait(20)


class Hosts:
    """Makes hosts; see the fixture ``hosts``."""

    def __init__(self, hidden: Sequence[Path]) -> None:
        self._hidden = hidden
        self._made: list[Host] = []

    def add(self, name: str) -> Host:
        """Turn on one more host."""
        self._made.append(Host(len(self._made) + 1, name, self._hidden))
        return self._made[-1]

    def end(self) -> None:
        for host in self._made:
            host.end()


def why_not() -> str | None:
    """Say why there can be no hosts on this machine; None where there can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    missing = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}: apt-get install util-linux iproute2"
    probe = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "true"]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        return "namespaces cannot be made here"
    return None


@contextlib.contextmanager
def _network_of_its_own() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "address", "add", f"{MASTER}/32", "dev", "lo")
        yield
    finally:
        libc.setns(before, _NEWNET)
        os.close(before)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Give a maker of hosts, joined to a network in which this test is, and has ``MASTER``."""
    if reason := why_not():
        pytest.skip(reason)
    with _network_of_its_own():
        made = Hosts(_hidden(tmp_path))
        yield made
        made.end()


def _hidden(tmp_path: Path) -> list[Path]:
    """Give folders of this machine that no other host may see, beside /tmp."""
    home = Path.home()
    folders = [home / name for name in (".cache", ".local", ".ssh", ".config")]
    if not tmp_path.is_relative_to("/tmp"):
        folders.append(tmp_path)
    needed = Path(sys.base_prefix)
    return [each for each in folders if each.is_dir() and not needed.is_relative_to(each)]
