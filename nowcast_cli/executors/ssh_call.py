"""One exchange with another host: an order goes there by ssh, an answer comes back, or neither."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import ssh_command
from nowcast_cli.executors.remote_side import MARK
from nowcast_cli.executors.shipped import archive

_LONGEST_SILENCE = 60.0  # s


class NoExchangeError(Exception):
    """No answer has come, so nothing is known; the text is a sentence."""


@dataclass(frozen=True)
class _Ended:
    code: int
    stdout: bytes
    stderr: str


class SshCall:
    """Calls one host, over a connection that is shared by all calls and kept for a minute."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def exchange(self, host: RemoteHost, order: Mapping[str, Any]) -> dict[str, Any]:
        """Have an order carried out (see ``remote_side.exchange``) and give the answer.

        Raises NoExchangeError; the order may have been carried out all the same.
        """
        control = ssh_command.control_path(host, self._run)
        code = archive()
        command = ssh_command.exchange_command(host, control, code.digest)
        data = json.dumps(order).encode()
        ended = self._call(host, command, data)
        if ended.code == ssh_command.NOT_INSTALLED:
            install = ssh_command.install_command(host, control, code.digest)
            ended = self._call(host, install, code.data)
            if ended.code == 0:
                ended = self._call(host, command, data)
        answer = _answer_in(ended.stdout) if ended.code == 0 else None
        if answer is None:
            # A new connection next time: this one may be what is broken.
            control.unlink(missing_ok=True)
            raise NoExchangeError(ssh_command.failure(host, ended.code, ended.stderr))
        return answer

    def close(self) -> None:
        """End a call that is under way, from another thread."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()

    def _call(self, host: RemoteHost, command: Sequence[str], data: bytes) -> _Ended:
        # Not a pipe: the connection that stays behind may hold stderr open.
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(data)
            stdin.seek(0)
            try:
                self._process = subprocess.Popen(
                    command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr
                )
            except OSError as error:
                raise NoExchangeError(f"ssh cannot be run: {error}") from None
            if self._closed:
                self._process.terminate()
            stdout = _all_from(self._process)
            if stdout is None:
                raise NoExchangeError(
                    f"host {host.name} has not answered for {_LONGEST_SILENCE:.0f} seconds"
                )
            stderr.seek(0)
            text = stderr.read().decode(errors="replace")
        return _Ended(self._process.returncode, stdout, text)


def _all_from(process: subprocess.Popen[bytes]) -> bytes | None:
    """Read until the process ends; kills it, and gives None, when it is silent for too long."""
    assert process.stdout is not None
    with process, process.stdout as stdout:
        read = b""
        silence = select.poll()  # unlike select, it takes the descriptors of a large system
        silence.register(stdout, select.POLLIN)
        while silence.poll(1000 * _LONGEST_SILENCE):
            part = os.read(stdout.fileno(), 1 << 20)
            if not part:
                return read
            read += part
        process.kill()
    return None


def _answer_in(stdout: bytes) -> dict[str, Any] | None:
    _, mark, rest = stdout.rpartition(b"\n" + MARK)
    if not mark or not rest.endswith(b"\n"):
        return None
    try:
        answer: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(rest)))
    except (ValueError, zlib.error):
        return None
    return answer
