"""A system with a real launcher, for tests of jobs."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.executors.job_folder import (
    Exit,
    JobRequest,
    folder_of,
    read_claim,
    read_exit,
)
from nowcast_cli.executors.local import LocalExecutor, stop_launcher
from nowcast_cli.identifiers import new_id


class JobSystem:
    """A deployment in a folder, and the executor of its manager."""

    def __init__(self, deployment: Path) -> None:
        self.deployment = deployment
        deployment.mkdir(parents=True, exist_ok=True)
        self.config_file = deployment / "nowcast.yaml"
        self.config_file.write_text("checklist file: var/checklist.yaml\nlogging: {handlers: []}\n")
        config = Config()
        config.load(self.config_file)
        self.paths: SystemPaths = system_paths(config)
        ensure(self.paths)
        self.executor = self.another_executor()

    def another_executor(self) -> LocalExecutor:
        return LocalExecutor(self.paths, sys.executable, self.config_file)

    def module(self, name: str, code: str) -> None:
        (self.deployment / f"{name}.py").write_text(code)

    def job(
        self,
        module: str,
        arguments: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        working_directory: Path | None = None,
    ) -> JobRequest:
        job_id = new_id()
        return JobRequest(
            id=job_id,
            attempt=1,
            worker=module,
            module=module,
            arguments=tuple(arguments),
            folder=str(folder_of(self.paths.jobs, job_id, module)),
            config_file=str(self.config_file),
            working_directory=str(working_directory or self.deployment),
            environment=environment or {},
        )

    def begin(self, job: JobRequest, timeout: float = 20.0) -> None:
        """Ask for a job until it is claimed, as a manager does."""
        give_up = time.monotonic() + timeout
        while read_claim(Path(job.folder)) is None:
            assert time.monotonic() < give_up, f"no process has claimed {job}"
            self.executor.submit(job)
            select.select([self.executor], [], [], 0.05)
            self.executor.hints()

    def end(self, job: JobRequest, timeout: float = 20.0) -> Exit:
        """Wait for the job's exit file, by hints alone after its claim."""
        folder = Path(job.folder)
        claim = read_claim(folder)
        assert claim is not None
        self.executor.watch(job.id, claim)
        give_up = time.monotonic() + timeout
        while (found := read_exit(folder)) is None:
            assert time.monotonic() < give_up, f"no exit of {job}"
            select.select([self.executor], [], [], 0.05)
            self.executor.hints()
        return found

    def run(self, job: JobRequest) -> Exit:
        self.begin(job)
        return self.end(job)

    def output(self, job: JobRequest, name: str = "stdout") -> str:
        return (Path(job.folder) / name).read_text()

    def launcher(self) -> int | None:
        """The process id of the launcher, when there is one that has written it."""
        try:
            return int(json.loads((self.paths.run / "launcher.pid").read_bytes())["pid"])
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        self.executor.close()
        stop_launcher(self.paths)


def children_of(parent: int) -> list[int]:
    """The processes that a process has forked, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == parent:
                    found.append(int(entry.name))
    return found


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
