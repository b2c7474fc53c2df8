"""The jobs that run elsewhere: which executors there are, and which of them a job is with."""

from __future__ import annotations

import logging
import select
from collections.abc import Mapping

from nowcast_cli.config.executors import BATCH_SYSTEMS, Executors, Place
from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.remote_executor import Maker, RemoteExecutor, Surroundings, target_of

_logger = logging.getLogger("manager")


class RemoteJobs:
    """Has an executor for each place that jobs are for, once the first one is.

    Parameters
    ----------
    executors, hosts
        What is configured; see :meth:`use`.
    makers
        Who makes an executor of a kind.
    around
        The system, for the executors.
    """

    def __init__(
        self,
        executors: Executors,
        hosts: Mapping[str, RemoteHost],
        makers: Mapping[str, Maker],
        around: Surroundings,
    ) -> None:
        self._configured = executors
        self._hosts = hosts
        self._makers = makers
        self._around = around
        self._executors: dict[Place, RemoteExecutor] = {}
        self._kinds: dict[Place, str] = {}
        self._poll = select.epoll()

    def fileno(self) -> int:
        """Give the descriptor to poll."""
        return self._poll.fileno()

    def use(self, executors: Executors, hosts: Mapping[str, RemoteHost]) -> None:
        """Go on with a configuration that was reloaded; jobs of what it lacks go on."""
        self._configured, self._hosts = executors, hosts
        for place, executor in self._executors.items():
            try:
                target = target_of(executors, hosts, place)
            except NowcastError:
                continue
            kind = self._kinds[place]
            if target.settings.kind == kind:
                executor.use(target)
            else:  # another system knows nothing of the jobs that this one has
                _logger.warning(
                    "executor %s stays of the kind %s until nowcast restart, and its jobs there "
                    "have to end before; a new name takes effect at once",
                    place.executor,
                    kind,
                )

    def on(self, place: Place) -> RemoteExecutor:
        """Give the executor at a place. Raises NowcastError where the configuration lacks it."""
        if place not in self._executors:
            target = target_of(self._configured, self._hosts, place)
            executor = self._makers[target.settings.kind](target, self._around)
            self._executors[place] = executor
            self._kinds[place] = target.settings.kind
            self._poll.register(executor.fileno(), select.EPOLLIN)
        return self._executors[place]

    def hints(self) -> list[str]:
        """Give the ids of jobs of which there is news."""
        return [job_id for executor in self._executors.values() for job_id in executor.hints()]

    def trouble(self) -> str | None:
        """Say what is wrong with executors that have jobs, None where nothing is."""
        said = [
            # Of several clusters it is not plain whose command does not answer.
            f"executor {place.executor}: {why}" if self._kinds[place] in BATCH_SYSTEMS else why
            for place, executor in self._executors.items()
            if (why := executor.trouble())
        ]
        return "; ".join(said) or None

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""
        for executor in self._executors.values():
            executor.forget(job_id)

    def close(self) -> None:
        """Let go of all executors; the jobs go on."""
        for executor in self._executors.values():
            executor.close()
        self._poll.close()
