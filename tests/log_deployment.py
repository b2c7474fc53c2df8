"""A deployment of which the log aggregator alone runs: ``deployment``, ``make_deployment``."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.identifiers import new_id
from ports import free_ports
from systems import LOGGING


class Deployment:
    """A folder with a configuration, its log aggregator, and jobs that are but folders."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        ports = dict(zip(("workers", "manager"), free_ports(2), strict=True))
        self.settings = {
            "checklist file": "var/nowcast_checklist.yaml",
            "logging": LOGGING,
            "zmq": {"ports": ports},
            "message registry": {"workers": {}},
            "logs": {"follow": ["run/*.log", "run/*/ocean.output"]},
            **settings,
        }
        (folder / "run").mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.write_config()

    def write_config(self) -> None:
        (self.folder / "nowcast.yaml").write_text(yaml.safe_dump(self.settings))

    @property
    def paths(self) -> SystemPaths:
        config = Config()
        config.load(self.folder / "nowcast.yaml")
        return system_paths(config)

    def health(self) -> dict[str, Any] | None:
        return ask_health(self.paths.run / "log_aggregator.sock")

    def start(self, prelude: str = "") -> Deployment:
        module = "nowcast_cli.logs.aggregator"
        code = f"import runpy\n{prelude}\nrunpy.run_module({module!r}, run_name='__main__')"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(self.folder / "nowcast.yaml")], cwd=self.folder
        )
        wait_until(
            lambda: (self.health() or {}).get("pid") == self.process.pid, what="the aggregator"
        )
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def log(self) -> list[str]:
        """Give what was followed into the log: not the records of the aggregator itself."""
        file = self.paths.logs / "nowcast.log"
        lines = file.read_text().splitlines() if file.exists() else []
        own = ("[log_aggregator]", "[filelock]")
        return [line[24:] for line in lines if not any(name in line for name in own)]

    def wait_for(self, *records: str) -> None:
        wait_until(lambda: self.log() == list(records), what=f"{records}, not {self.log()}")

    def job(self, worker: str) -> Path:
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        folder = self.paths.jobs / day / f"{new_id()}-{worker}"
        folder.mkdir(parents=True)
        return folder


@pytest.fixture
def make_deployment(tmp_path: Path) -> Iterator[Any]:
    made: list[Deployment] = []

    def make(**settings: Any) -> Deployment:
        made.append(Deployment(tmp_path, **settings))
        return made[-1]

    yield make
    for deployment in made:
        if deployment.process is not None:
            with contextlib.suppress(ProcessLookupError):
                deployment.process.kill()
            deployment.process.wait()


@pytest.fixture
def deployment(make_deployment: Any) -> Deployment:
    return make_deployment()
