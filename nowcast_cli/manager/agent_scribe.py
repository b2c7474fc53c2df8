"""Writes what agents tell of their jobs into the folders here, beside the manager's own work."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nowcast_cli.executors import mirror
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.mirror import News
from nowcast_cli.manager.agent_lines import Asked

_logger = logging.getLogger("manager")


@dataclass(frozen=True)
class Task:
    """An answer of an agent: the jobs that it tells of, each with what is new of it.

    ``asked`` is what is answered once that is written, ``cleared`` the jobs of which nothing is
    left there, ``trouble`` what the agent could not do.
    """

    agent: str
    asked: Asked
    jobs: Sequence[tuple[JobRequest, Mapping[str, Any]]]
    cleared: Sequence[str] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class JobNews:
    """What an agent has told of a job, now that it is in the job's folder here.

    Parameters
    ----------
    new
        What of it was new.
    have
        What there is of the job here now; None where nothing was new.
    claimed, exited, gone
        Whether its process has begun, has left an ``exit``, or has gone without one.
    age
        The seconds since its process began; None where that is not known.
    """

    new: News
    have: Mapping[str, Any] | None
    claimed: bool
    exited: bool
    gone: bool
    age: float | None


@dataclass
class Written:
    """What came of a task: what was heard of each job, and what could not be written."""

    task: Task
    jobs: dict[str, JobNews] = field(default_factory=dict)
    trouble: str | None = None


class Scribe:
    """One thread, begun with the first task. What is not written is told again by its agent."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._done: SimpleQueue[Written] = SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Give a descriptor that is readable when something was written."""
        return self._wake

    def add(self, task: Task) -> None:
        """Have an answer written."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def written(self) -> list[Written]:
        """Give what was written since the last call; never blocks."""
        if self._thread is None:
            return []
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        return [self._done.get() for _ in range(self._done.qsize())]

    def close(self) -> None:
        """Write what there is, and end."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
        os.close(self._wake)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._done.put(_write(task))
            os.eventfd_write(self._wake, 1)


def _write(task: Task) -> Written:
    written = Written(task)
    for job, news in task.jobs:
        folder = Path(job.folder)
        try:
            if not (folder / "job.json").exists():
                mirror.prepare(job)
            written.jobs[job.id] = _job_news(folder, news)
        except OSError as error:
            written.trouble = f"what agent {task.agent} tells cannot be written here: {error}"
        except Exception as error:  # whatever an agent says, the others are to be heard
            _logger.exception("agent %s tells of job %s what cannot be", task.agent, job.id)
            written.trouble = f"agent {task.agent} tells of job {job.id} what cannot be: {error!r}"
    return written


def _job_news(folder: Path, news: Mapping[str, Any]) -> JobNews:
    new = mirror.take_in(folder, news)
    return JobNews(
        new,
        None if new is News.NOTHING else mirror.have(folder),
        claimed=news["pid"] is not None,
        exited=news["exit"] is not None,
        gone=bool(news["gone"]),
        age=None if news["age"] is None else float(news["age"]),
    )
