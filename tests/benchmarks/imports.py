"""What a worker's start costs: ``python tests/benchmarks/imports.py [RUNS]``.

Each line is a Python process, start to end: the median and the least CPU time (user and system)
of RUNS interleaved runs. Then the import profile of the sleep worker, by ``-X importtime``.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import zmq

sys.path.insert(0, str(Path(__file__).parents[1]))
from nemo_nowcast_peers import PlainBroker, RepManager
from ports import free_ports

CONFIG = """\
checklist file: checklist.yaml
zmq: {{host: localhost, ports: {{workers: {port}, manager: 1}}}}
logging:
  version: 1
  formatters: {{simple: {{format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'}}}}
  handlers:
    console: {{class: logging.StreamHandler, formatter: simple, stream: 'ext://sys.stdout'}}
  root: {{level: DEBUG, handlers: [console]}}
message registry:
  manager: {{ack: message acknowledged}}
  workers:
    sleep: {{checklist key: sleep, success: slept, failure: slept badly, crash: crashed}}
"""
SLEEP = ["-m", "nemo_nowcast.workers.sleep"]
USED_BY_US = "argparse, dataclasses, logging, pathlib, traceback, yaml"
PROFILED = re.compile(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)")


def cpu_time(arguments: list[str]) -> float:
    """Run Python once and give its CPU time in milliseconds."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with exit code {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def profile(runs: int) -> list[tuple[str, float, float]]:
    """Give name, own and cumulative milliseconds of modules, each the least of ``runs``."""
    found: dict[str, tuple[float, float]] = {}
    for _ in range(runs):
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import nemo_nowcast.workers.sleep"],
            stderr=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        for own, cumulative, _, name in PROFILED.findall(ended.stderr):
            now = (int(own) / 1000, int(cumulative) / 1000)
            found[name] = min(found.get(name, now), now, key=lambda times: times[1])
    ordered = sorted(found.items(), key=lambda item: -item[1][1])
    return [(name, own, cumulative) for name, (own, cumulative) in ordered]


def main(runs: int) -> None:
    """Measure and print."""
    port, manager_port = free_ports(2)
    with (
        tempfile.TemporaryDirectory() as folder,
        PlainBroker(port, manager_port),
        RepManager(manager_port, {"sleep": "sleep"}),
    ):
        config = str(Path(folder, "nowcast.yaml"))
        Path(config).write_text(CONFIG.format(port=port))
        cases = {
            "the interpreter alone": ["-c", "pass"],
            "with what the machinery uses of others": ["-c", f"import {USED_BY_US}"],
            "from nemo_nowcast import NowcastWorker": [
                "-c", "from nemo_nowcast import NowcastWorker",
            ],
            "… and arrow, as workers with dates do": [
                "-c", "from nemo_nowcast import NowcastWorker\nimport arrow",
            ],
            "import zmq alone": ["-c", "import zmq"],
            "sleep CONFIG --debug --sleep-time 0": [*SLEEP, config, "--debug", "--sleep-time", "0"],
            "sleep CONFIG --sleep-time 0, acknowledged": [*SLEEP, config, "--sleep-time", "0"],
        }  # fmt: skip
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(runs):
            for name, arguments in cases.items():
                times[name].append(cpu_time(arguments))
    print(f"pyzmq {zmq.__version__}, Python {sys.version.split()[0]}, {runs} runs, CPU ms")
    for name, values in times.items():
        print(f"{name:45} median {statistics.median(values):6.1f}  least {min(values):6.1f}")
    print("\nimport profile of nemo_nowcast.workers.sleep (least of the runs), ms: own, cumulative")
    for name, own, cumulative in profile(runs)[:24]:
        print(f"{name:45} {own:6.2f} {cumulative:6.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
