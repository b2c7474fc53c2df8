"""Jobs whose files are sent to another host and fetched, beside plain rsync and scp.

``.venv/bin/python tests/benchmarks/carried_files.py [ROUNDS]``, as root: the host is a namespace
of this machine with an sshd and a disk of its own, so the line is the loopback. Small: 100 inputs
of 10 kB, and 100 outputs. Long: one input, or one output, of 500 MB. The ratios leave out what a
job costs that has no files. The plain commands go over a connection that is there already, as
ours do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from apart_host import MESSAGES, ApartHost
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.executors import rsync
from nowcast_cli.executors.ssh_command import connection, control_path
from systems import System

SMALL, LONG = 100, 500_000_000


class Bench:
    """A system with steps on the host ``east``: ``small``, ``there``, ``back`` and ``nothing``."""

    def __init__(self, folder: Path) -> None:
        self.data, self.results = folder / "here" / "data", folder / "here" / "results"
        self.host = ApartHost(folder / "apart", folder / "here", "3g")
        self.host.sshd.start()
        deployment = self.host.folder / "deployment"
        deployment.mkdir()
        settings = self.host.settings(**{"config file": str(deployment / "nowcast.yaml")})
        hosts = {"run": {"enabled hosts": {"east": settings}}}
        self.system = System(folder / "here" / "system", workers=["then"], settings=hosts)
        self.remote = remote_hosts({"python": sys.executable, **hosts}, "")["east"]
        for name, entry in self._steps().items():
            self.system.registry[name] = {**MESSAGES, **entry}
        self.system.write_config()
        self._write_data()
        self.system.start()
        self.control = control_path(self.remote, self.system.paths.run)

    def _steps(self) -> dict[str, dict[str, Any]]:
        names = [f"file{number}" for number in range(SMALL)]
        renamed = "for f in file*; do mv $f out${f#file}; done"
        return {
            "nothing": {"command": "true"},
            "small": {
                "command": ["sh", "-c", renamed],
                "inputs": {"copy": [f"{self.data}/{name}" for name in names]},
                "outputs": {f"out{name[4:]}": f"{self.results}/{name}" for name in names},
            },
            "there": {"command": "true", "inputs": {"copy": [f"{self.data}/long"]}},
            "back": {
                "command": f"cp {self.host.home}/long long",
                "outputs": {"long": f"{self.results}/long"},
            },
        }  # fmt: skip

    def _write_data(self) -> None:
        self.data.mkdir(parents=True)
        for number in range(SMALL):
            (self.data / f"file{number}").write_bytes(os.urandom(10_000))
        with (self.data / "long").open("wb") as file:
            for _ in range(LONG // 10_000_000):
                file.write(os.urandom(10_000_000))
        shutil.copy(self.data / "long", self.host.at(self.host.home) / "long")

    def job(self, name: str) -> float:
        """Give the seconds from the launch of a step to its end on record."""
        began = time.perf_counter()
        job = self.system.launch(f"workers.{name}", host="east")
        ended = self.system.wait_for_process_end(job, 300)
        taken = time.perf_counter() - began
        assert ended.state == "succeeded", ended.reason
        shutil.rmtree(self.results, ignore_errors=True)
        for folder in self.host.at(self.host.home).glob(f"jobs/*/{job}-*/scratch"):
            shutil.rmtree(folder)
        return taken

    def both(self, tool: str, sources: str) -> float:
        """Give the seconds of one there and one back."""
        return sum(self.plain(tool, sources, back=back) for back in (False, True))

    def plain(self, tool: str, sources: str, *, back: bool) -> float:
        """Give the seconds of one rsync or scp of what a glob names, there or back."""
        there = self.host.home / "plain"
        here = self.data.parent / "plain"
        for folder in (self.host.at(there), here):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        words = connection(self.remote, self.control)
        if back:
            for file in self.data.glob(sources):
                shutil.copy(file, self.host.at(there))
            names, goal = [f"east:{there}/{sources}"], str(here)
        else:
            names, goal = [str(file) for file in self.data.glob(sources)], f"east:{there}"
        if tool == "rsync":
            command = ["rsync", "--times", f"--rsh={rsync._quoted(words)}", *names, goal]
        else:
            command = ["scp", "-O", "-q", "-p", *words[2:], *names, goal]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - began


def told(what: str, measure: Callable[[], float], rounds: int) -> float:
    """Print and give the median of some rounds, in seconds."""
    taken = [measure() for _ in range(rounds)]
    print(f"  {what:40} {median(taken):6.2f} s ({min(taken):.2f} to {max(taken):.2f})", flush=True)
    return median(taken)


def main(rounds: int = 5) -> None:
    """Measure and print."""
    print("Files of jobs of a host without shared storage")
    with tempfile.TemporaryDirectory(prefix="carried-") as folder:
        bench = Bench(Path(folder))
        try:
            bench.job("small")
            nothing = told("a job that has no files", partial(bench.job, "nothing"), rounds)
            ours = told(
                "a job with 100 small files there and back", partial(bench.job, "small"), rounds
            )
            for tool in ("rsync", "scp"):
                both = told(f"{tool}, there and back", partial(bench.both, tool, "file*"), rounds)
                print(f"    {(ours - nothing) / both:.1f} times {tool}")
            for what, back in (("there", False), ("back", True)):
                ours = told(f"a job with 500 MB {what}", partial(bench.job, what), rounds)
                for tool in ("rsync", "scp"):
                    measure = partial(bench.plain, tool, "long", back=back)
                    plain = told(f"{tool} {what}", measure, rounds)
                    print(f"    {(ours - nothing) / plain:.1f} times {tool}")
        finally:
            bench.system.end()
            bench.host.end()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
