"""What this host is, and what it uses, in the words of the messages to the manager."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from nowcast_cli.agent import machine
from nowcast_cli.messages.agent_messages import Counters, Disk, Gpu, Report, is_tag

# Programs that workers of forecasts ask for, told as tags where a shell would find them.
_PROGRAMS = (
    "mpirun", "mpiexec", "srun", "ncks", "cdo", "ncl", "ncdump", "gdal_translate", "grib_copy",
    "wgrib2", "matlab", "julia", "R", "ffmpeg", "convert", "rsync", "git", "conda", "pixi",
    "apptainer", "singularity", "docker", "podman",
)  # fmt: skip
_ASK_GPUS = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
_LONGEST_QUESTION = 10.0  # s; the driver of a card that has failed may hang


def gpus() -> tuple[Gpu, ...]:
    """Give the graphics processors that ``nvidia-smi`` tells of, where it is there."""
    if shutil.which(_ASK_GPUS[0]) is None:
        return ()
    try:
        asked = subprocess.run(
            _ASK_GPUS, capture_output=True, timeout=_LONGEST_QUESTION, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return gpus_in(asked.stdout) if asked.returncode == 0 else ()


def gpus_in(text: str) -> tuple[Gpu, ...]:
    """Read lines such as ``NVIDIA A100-SXM4-40GB, 40960``, the memory in MiB."""
    found = []
    for line in text.splitlines():
        name, _, size = line.rpartition(",")
        if name.strip():
            mebibytes = size.strip()
            memory = int(mebibytes) << 20 if mebibytes.isdigit() else None
            found.append(Gpu(name.strip(), memory))
    return tuple(found)


def tags(given: Iterable[str], cards: Iterable[Gpu]) -> tuple[str, ...]:
    """Give the tags of this host: those that it was given, and what is found of itself."""
    found = [*given, platform.system().lower(), platform.machine()]
    found += ["gpu"] if any(True for _ in cards) else []
    found += [name for name in _PROGRAMS if shutil.which(name) is not None]
    return tuple(dict.fromkeys(tag for tag in found if is_tag(tag)))


def disks(state: Path) -> tuple[Disk, ...]:
    """Give the file systems that jobs write on: of the state directory and of temporary files."""
    found: dict[int | str, Disk] = {}
    for place in (state, Path(tempfile.gettempdir())):
        total = machine.size_of_disk(place)
        if total is not None:
            disk = Disk(str(place), total, machine.free_disk(place))
            found.setdefault(_device(place), disk)
    return tuple(found.values())


def _device(place: Path) -> int | str:
    try:
        return place.stat().st_dev
    except OSError:
        return str(place)


def name_of_host() -> str:
    """Give the name of this machine, without its domain."""
    return socket.gethostname().partition(".")[0]


def use_now(agent: str, instance: str, state: Path, running: tuple[str, ...]) -> Report:
    """Look at what is in use. The report is numbered and told later."""
    counted: Mapping[str, int] = machine.counters()
    return Report(
        agent=agent,
        instance=instance,
        number=0,
        clock=time.time(),
        memory_free=machine.free_memory(),
        load=machine.load(),
        disks=disks(state),
        counters=Counters(**counted),
        running=running,
    )
