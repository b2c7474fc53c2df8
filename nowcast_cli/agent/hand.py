"""The process that carries out orders for an agent, and the wire to it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.executors.serving import MISTAKE
from nowcast_cli.executors.shipped import archive
from nowcast_cli.security.source import VARIABLE

_LAST_WAIT = 1.0  # s from SIGKILL on
LONGEST_EXCHANGE = 120.0  # s; by then the disk that it waits for is as good as gone


class HandTrouble(Exception):
    """An order was not carried out, or nobody knows; the text is a sentence or a traceback."""


class Hand:
    """Carries out orders in a process of their own, begun when the first one comes.

    That process runs under the Python of the jobs, from an archive that needs no package, and
    reads orders until the agent ends, however it does.

    Parameters
    ----------
    python
        The interpreter of jobs.
    state
        The state directory; the archive is kept there.
    """

    def __init__(self, python: str, state: Path) -> None:
        self._python = python
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: subprocess.Popen[bytes] | None = None  # the one before

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Have an order carried out (see ``remote_side``) and give the answer.

        Raises HandTrouble; the order may have been carried out all the same.
        """
        process = self._process or self._begin()
        self._process = process
        try:
            line = _ask(process, json.dumps(order).encode() + b"\n")
        except TimeoutError as error:
            self.close()
            raise HandTrouble(str(error)) from None
        except OSError:  # it has ended
            line = b""
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            self.close()
            raise HandTrouble(
                f"the process that begins jobs has ended ({self._python}); another one is started"
            ) from None
        if MISTAKE in answer:
            raise HandTrouble(answer[MISTAKE])
        return answer

    def close(self) -> None:
        """End the process; jobs go on."""
        if self._process is not None:
            self._process.kill()
            self._ended, self._process = self._process, None
            for pipe in (self._ended.stdin, self._ended.stdout):
                assert pipe is not None
                pipe.close()
            with suppress(subprocess.TimeoutExpired):
                self._ended.wait(_LAST_WAIT)

    def _begin(self) -> subprocess.Popen[bytes]:
        if self._ended is not None and self._ended.poll() is None:
            raise HandTrouble(
                "the process that begins jobs was killed, and hangs in the kernel: does a disk not "
                "answer?"
            )
        code = archive()
        file = self._state / "code" / f"{code.digest}.pyz"
        # The agent's key is its own: jobs are sent one of a worker with the order.
        environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
        try:
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                write_atomically(file, code.data)
            process = subprocess.Popen(
                [self._python, "-I", "-S", str(file), "serve"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env=environment,
                start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            raise HandTrouble(f"no process that begins jobs can be started: {error}") from None
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        return process


def _ask(process: subprocess.Popen[bytes], question: bytes) -> bytes:
    """Write a line and read one, or what there is of it. Raises TimeoutError, OSError."""
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
    give_up, answer = time.monotonic() + LONGEST_EXCHANGE, b""
    while not answer.endswith(b"\n"):
        left = max(0.0, give_up - time.monotonic())
        readable, writable, _ = select.select([stdout], [stdin] if question else [], [], left)
        if writable:
            question = question[os.write(stdin, question) :]
        elif readable:
            part = os.read(stdout, 1 << 20)
            if not part:
                break
            answer += part
        else:
            raise TimeoutError(
                f"an order was not carried out within {LONGEST_EXCHANGE:.0f} seconds: does a disk "
                "hang?"
            )
    return answer
