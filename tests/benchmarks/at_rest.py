"""What an idle system costs: memory and CPU of each daemon; and the time of the commands.

``.venv/bin/python tests/benchmarks/at_rest.py [SECONDS]``: how long the system is left alone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from deployment import SCRATCH, cpu_seconds, resident_megabytes

NOWCAST = Path(sys.executable).with_name("nowcast")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "nowcast --version": [str(NOWCAST), "--version"],
    "nowcast --help": [str(NOWCAST), "--help"],
    "nowcast status": [str(NOWCAST), "status"],
    "nowcast job list": [str(NOWCAST), "job", "list"],
    "nowcast checklist show": [str(NOWCAST), "checklist", "show"],
}
TAB = {"_NOWCAST_COMPLETE": "complete_bash", "COMP_WORDS": "nowcast job ", "COMP_CWORD": "2"}


def cpu_ms(command: list[str], folder: Path, times: int = 11, **environment: str) -> float:
    """Give the median CPU time of a command, user and system, in milliseconds."""
    taken = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1e3 * median(taken)


def daemons(folder: Path) -> dict[str, int]:
    """Give the pids of all daemons of a running system, by name."""
    shown = subprocess.run(
        [NOWCAST, "status", "--json"], cwd=folder, capture_output=True, check=True
    )
    pids = {daemon["name"]: int(daemon["pid"]) for daemon in json.loads(shown.stdout)["daemons"]}
    parents = {
        int(status.parent.name): int(
            next(line.split()[1] for line in status.read_text().splitlines() if "PPid" in line)
        )
        for status in (Path(f"/proc/{pid}/status") for pid in pids.values())
    }
    pids["supervisord"] = parents[pids["manager"]]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        words = process.read_bytes().decode(errors="replace").split("\0")
        if str(folder) in " ".join(words) and int(process.parent.name) not in pids.values():
            for module in ("launcher", "decider"):
                if any(word.endswith(module) for word in words):
                    pids[module] = int(process.parent.name)
    return pids


def main(seconds: float) -> None:
    """Measure and print everything."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as parent:
        folder = Path(parent) / "toy"
        subprocess.run([NOWCAST, "init", folder], check=True, capture_output=True)
        subprocess.run([NOWCAST, "start"], cwd=folder, check=True, capture_output=True)
        try:
            measure_rest(folder, seconds)
            measure_commands(folder)
        finally:
            subprocess.run([NOWCAST, "stop"], cwd=folder, check=True, capture_output=True)


def measure_rest(folder: Path, seconds: float) -> None:
    """Print memory and CPU of the daemons over a time in which nothing happens."""
    print(f"\nA system at rest, over {seconds:g} s")
    pids = daemons(folder)
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    for name, pid in pids.items():
        part = 100 * (cpu_seconds(pid) - before[name]) / seconds
        print(f"  {name:16} {resident_megabytes(pid):5.1f} MB resident   {part:.2f} % of a CPU")


def measure_commands(folder: Path) -> None:
    """Print the CPU time of commands."""
    print("\nCPU time of commands, the median of 11")
    for name, command in COMMANDS.items():
        print(f"  {name:24} {cpu_ms(command, folder):6.1f} ms")
    print(f"  {'TAB':24} {cpu_ms([str(NOWCAST)], folder, **TAB):6.1f} ms")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
