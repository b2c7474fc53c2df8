"""A deployment to measure: real files on a real disk, real daemons, ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from ports import free_port

TICKS = os.sysconf("SC_CLK_TCK")
# Below the project's folder: /tmp may be memory, and an fsync there costs nothing.
SCRATCH = Path(__file__).parents[2] / "build" / "benchmarks"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"simple": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"}},
    "handlers": {
        name: {
            "class": "logging.handlers.RotatingFileHandler",
            "level": level,
            "formatter": "simple",
            "filename": f"$(NOWCAST.ENV.NOWCAST_LOGS)/{name}.log",
            "backupCount": 7,
        }
        for name, level in (("nowcast", "INFO"), ("nowcast.debug", "DEBUG"))
    },
    "root": {"level": "DEBUG", "handlers": ["nowcast", "nowcast.debug"]},
}
WORKER = """\
import sys, time
from pathlib import Path
from nowcast_cli import NowcastWorker

NAME = Path(__file__).stem


def main():
    worker = NowcastWorker(NAME, description="does nothing")
    worker.init_cli()
    worker.run(work, lambda arguments: "success", lambda arguments: "failure")


def work(arguments, config, tell_manager):
    began = time.time()
    with open(Path(config.file).parent / "began.txt", "a") as file:
        file.write(f"{NAME} {began}\\n")
    return {"began": began}


if __name__ == "__main__":
    main()
"""


@dataclass(frozen=True)
class Deployment:
    """A folder with a configuration, and the ports of its broker."""

    folder: Path
    workers_port: int
    manager_port: int

    @property
    def config_file(self) -> Path:
        return self.folder / "nowcast.yaml"

    @property
    def paths(self) -> SystemPaths:
        config = Config()
        config.load(self.config_file)
        return system_paths(config)


@contextlib.contextmanager
def deployment(workers: list[str], next_workers: str, **sections: object) -> Iterator[Deployment]:
    """Make a deployment with these workers and ``sections``; its folder goes at the end."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    made = Deployment(folder, free_port(), free_port())
    try:
        (folder / "workers").mkdir()
        for name in workers:
            (folder / "workers" / f"{name}.py").write_text(WORKER)
        (folder / "next_workers.py").write_text(next_workers)
        made.config_file.write_text(yaml.safe_dump(_configuration(made, workers) | sections))
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _configuration(made: Deployment, workers: list[str]) -> dict[str, object]:
    return {
        "state directory": "var",
        "checklist file": "var/nowcast_checklist.yaml",
        "python": sys.executable,
        "logging": LOGGING,
        "zmq": {
            "host": "localhost",
            "ports": {"workers": made.workers_port, "manager": made.manager_port},
        },
        "message registry": {
            "manager": {"ack": "message acknowledged"},
            "next workers module": "next_workers",
            "workers": {
                name: {
                    "checklist key": name.upper(),
                    "success": "good",
                    "failure": "bad",
                    "crash": "crashed",
                }
                for name in workers
            },
        },
    }


@contextlib.contextmanager
def daemon(made: Deployment, module: str, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon of the deployment until the end of the block; it is ready at its beginning."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(made.config_file)], cwd=made.folder
    )
    try:
        socket = made.paths.run / f"{name}.sock"
        wait_until(
            lambda: (ask_health(socket) or {}).get("state") == "ready",
            timeout=30,
            what=f"the {name} to be ready",
        )
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running_system(
    made: Deployment,
) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Run broker and manager; gives their processes. The launcher is ended with them."""
    from nowcast_cli.executors.local import stop_launcher

    try:
        with (
            daemon(made, "nowcast_cli.broker", "message_broker") as broker,
            daemon(made, "nowcast_cli.manager", "manager") as manager,
        ):
            yield broker, manager
    finally:
        stop_launcher(made.paths)


def cpu_seconds(pid: int) -> float:
    """Give the CPU time that a process has taken, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_megabytes(pid: int) -> float:
    """Give the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def median_fsync_ms(folder: Path, times: int = 100) -> float:
    """Give the median time of an fsync of 4 KiB that was appended, in milliseconds."""
    taken = []
    file = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(times):
        os.write(file, b"x" * 4096)
        began = time.perf_counter()
        os.fsync(file)
        taken.append(time.perf_counter() - began)
    os.close(file)
    return 1e3 * median(taken)
