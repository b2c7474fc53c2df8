"""What rsync is called with, what it prints, and what its failures mean. Pure.

It goes over the connection that all calls of a host share. The folder on the host is entered by
the shell there, so that no name of ours is ever read by it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import ssh_command

PARTIAL = ".partial"  # what was cut off, in the folder that it goes to; rsync goes on from there
_LONGEST_SILENCE = 60  # s

# What is to be done about a failure: `away`, try again when the host is there; `full`, there is
# no room where the files go to; `source`, a file cannot be read or has gone; `else`, all others.
Kind = Literal["away", "full", "source", "else"]


@dataclass(frozen=True)
class Failure:
    """Why files did not come over, as a sentence, and of what kind that is."""

    kind: Kind
    sentence: str


def push(host: RemoteHost, control: Path, folder: Path, there: str, *, again: bool) -> list[str]:
    """Give the command that sends what lies in ``folder``, or what links there lead to.

    ``again`` has files compared by what they hold, not by their sizes and times.
    """
    flags = ["--links", "--copy-unsafe-links"]
    return _rsync(host, control, there, again, flags, [f"{folder}/", f"{_name(host)}:."])


def pull(host: RemoteHost, control: Path, there: str, folder: Path, *, again: bool) -> list[str]:
    """Give the command that fetches the files named on its stdin, each with a NUL behind it."""
    flags = ["--files-from=-", "--from0", "--links"]
    return _rsync(host, control, there, again, flags, [f"{_name(host)}:.", f"{folder}/"])


def _rsync(
    host: RemoteHost,
    control: Path,
    there: str,
    again: bool,
    flags: Sequence[str],
    places: Sequence[str],
) -> list[str]:
    enter = f'cd {shlex.quote(there)} && exec rsync "$@"'
    return [
        "rsync",
        "--recursive",
        "--perms",
        "--times",
        f"--partial-dir={PARTIAL}",
        f"--timeout={_LONGEST_SILENCE}",
        "--info=progress2",
        "--no-human-readable",
        *(["--ignore-times"] if again else []),
        *flags,
        f"--rsh={_quoted(ssh_command.connection(host, control))}",
        f"--rsync-path={ssh_command.bash(host, enter)} rsync",
        "--",
        *places,
    ]


def _name(host: RemoteHost) -> str:
    return f"[{host.name}]" if ":" in host.name else host.name


def _quoted(words: Sequence[str]) -> str:
    """Quote words as rsync splits them: a quote within quotes is doubled, nothing is escaped."""
    return " ".join("'" + word.replace("'", "''") + "'" for word in words)


def bytes_in(printed: bytes) -> int | None:
    """Give the bytes that have come over, as the last line of what rsync printed tells them."""
    found = re.findall(rb"\r\s*(\d+)\s+\d+%", printed)
    return int(found[-1]) if found else None


_AWAY = (10, 12, 30, 35, 255)  # the socket, the protocol, a silence, a connection, ssh itself
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_SOURCE = (23, 24)  # some files did not come over, some have vanished


def failure(host: RemoteHost, code: int, stderr: str) -> Failure:
    """Say why rsync has ended with another exit code than 0."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("rsync: ")] or lines
    first = told[0].removeprefix("rsync: ") if told else f"rsync ended with code {code}"
    if full := next((line for line in lines if any(words in line for words in _FULL)), None):
        return Failure("full", full.removeprefix("rsync: "))
    if code == 30:
        return Failure("away", f"host {host.name} was silent for {_LONGEST_SILENCE} seconds")
    if code in _AWAY:
        of_ssh = [line for line in lines if not line.startswith("rsync")]
        return Failure("away", ssh_command.failure(host, 255, "\n".join(of_ssh) or first))
    return Failure("source" if code in _SOURCE else "else", first)
