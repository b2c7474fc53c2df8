"""What the machine gives: small disks, false clocks, networks with a cable to be pulled."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_CLOCK = Path(__file__).with_name("clock.c")


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def mount_small_disk(folder: Path, megabytes: int) -> None:
    """Mount a file system of that size at ``folder``."""
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", folder)


def mount_read_only(folder: Path) -> None:
    """Make what is below ``folder`` read-only for who opens it from now on."""
    # Made so aside, where nobody can have opened a file in between, which would forbid it.
    aside = Path(tempfile.mkdtemp(prefix="nowcast-lab-aside-"))
    _run("mount", "--bind", folder, aside)
    _run("mount", "-o", "remount,bind,ro", aside)
    _run("mount", "--bind", aside, folder)
    unmount(aside)
    aside.rmdir()


def unmount(folder: Path) -> None:
    """Take away the last file system that was mounted at ``folder``."""
    _run("umount", "--lazy", folder)


def build_clock(folder: Path) -> Path:
    """Compile the library that gives a system a clock of its own."""
    library = folder / "clock.so"
    _run("cc", "-shared", "-fPIC", "-O1", "-o", library, _CLOCK)
    return library


@dataclass(frozen=True)
class Namespaces:
    """Two networks, made here, joined by one cable: in one the broker, in the other all else."""

    broker: str
    rest: str
    address: str = "10.77.0.1"

    @classmethod
    def of(cls, number: int) -> Namespaces:
        return cls(f"nowcast-lab-b{number}", f"nowcast-lab-r{number}")

    @property
    def at_the_broker(self) -> Sequence[str]:
        """Give the words before a command that is to run where the broker is."""
        return ("nsenter", f"--net=/run/netns/{self.broker}")

    def make(self) -> None:
        """Make both, with the cable plugged in."""
        self.remove()
        for name in (self.broker, self.rest):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", self.rest, "link", "add", "cable", "type", "veth",
             "peer", "name", "cable", "netns", self.broker)  # fmt: skip
        _run("ip", "-n", self.broker, "address", "add", f"{self.address}/24", "dev", "cable")
        _run("ip", "-n", self.rest, "address", "add", "10.77.0.2/24", "dev", "cable")
        self.plug(True)

    def plug(self, in_: bool) -> None:
        """Plug the cable in, or pull it."""
        for name in (self.rest, self.broker):
            _run("ip", "-n", name, "link", "set", "cable", "up" if in_ else "down")

    def enter(self) -> None:
        """Go where all but the broker is: this thread, and what it starts from now on."""
        descriptor = os.open(f"/run/netns/{self.rest}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Take both away, where they are."""
        for name in (self.broker, self.rest):
            if Path("/run/netns", name).exists():
                _run("ip", "netns", "delete", name)


def what_is_possible() -> dict[str, str]:
    """Give the features that this machine cannot give, with the reason for each."""
    missing = {}
    if os.geteuid() != 0:
        missing["disk"] = "mounting a small file system needs root"
        missing["cable"] = "network namespaces need root"
    if shutil.which("cc") is None:
        missing["clock"] = "there is no C compiler for the clock that jumps (apt-get install gcc)"
    if "disk" not in missing:
        probe = Path("/tmp") / f"nowcast-lab-probe-{os.getpid()}"
        probe.mkdir()
        try:
            mount_small_disk(probe, 1)
            unmount(probe)
        except (OSError, subprocess.CalledProcessError) as error:
            missing["disk"] = f"a small file system cannot be mounted here: {error}"
        probe.rmdir()
    if "cable" not in missing:
        probe_networks = Namespaces.of(os.getpid())
        try:
            probe_networks.make()
        except (OSError, subprocess.CalledProcessError) as error:
            missing["cable"] = f"network namespaces cannot be made here: {error}"
        finally:
            probe_networks.remove()
    return missing
