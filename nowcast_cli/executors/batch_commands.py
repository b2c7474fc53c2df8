"""Runs the commands of a batch system, each with a deadline: here, or by ssh on a head node."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors.batch_system import Answer, Outage, Unreachable
from nowcast_cli.executors.remote_commands import kill, run_command
from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall

# A controller that is away lets its commands wait for 10 s or so, and then says so itself.
DEADLINE = 30.0  # s


class BatchCommands:
    """Where the commands are run can be changed between two of them, by :meth:`use`.

    Parameters
    ----------
    host
        The head node, None for this machine.
    run
        The folder for the socket of the shared connection to it.
    deadline
        The seconds after which a command is killed.
    """

    def __init__(self, host: RemoteHost | None, run: Path, deadline: float = DEADLINE) -> None:
        self._host = host
        self._call = SshCall(run)
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def use(self, host: RemoteHost | None) -> None:
        """Go on with a configuration that was reloaded."""
        self._host = host

    def run(self, command: Sequence[str]) -> Answer:
        """Give what a command answers. Raises Outage where it cannot be run or does not end."""
        order = {"what": "command", "command": list(command), "deadline": self._deadline}
        host = self._host
        ended = run_command(order, self._began) if host is None else self._on(host, order)
        where = "" if host is None else f" on host {host.name}"
        if "trouble" in ended:
            raise Outage(f"{ended['trouble']}{where}")
        if ended["code"] is None:
            raise Outage(f"{command[0]}{where} has not ended for {self._deadline:g} seconds")
        if ended["code"] < 0:
            raise Outage(f"{command[0]}{where} was ended by signal {-ended['code']}")
        return Answer(int(ended["code"]), str(ended["stdout"]), str(ended["stderr"]))

    def close(self) -> None:
        """End a command that is under way, from another thread."""
        self._closed = True
        self._call.close()
        if self._process is not None:
            kill(self._process)

    def _on(self, host: RemoteHost, order: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._call.exchange(host, order)
        except NoExchangeError as error:
            raise Unreachable(str(error)) from None

    def _began(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if self._closed:
            kill(process)
