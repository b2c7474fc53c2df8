"""One action worker as the host sees it: started, given orders, read, killed. Nothing blocks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.actions import wire
from nowcast_cli.actions.printed import Printed
from nowcast_cli.messages.performing import Order, State

_PAGE = os.sysconf("SC_PAGE_SIZE")
SLOW = 0.05  # s of a call, after which those behind it go to another worker
TIME_TO_DUMP = 0.15  # s for a worker to print where it hangs, before it is killed
_TIME_TO_END = 5.0  # s from the end of its connection, where we have closed it
_TIME_TO_DIE = 1.0  # s, where it is about to end: it was killed, or has closed the connection
_MOST_READ = 1 << 20  # bytes that one turn takes from a worker


@dataclass(frozen=True, slots=True)
class Held:
    """An order that the host has, and its text as it came."""

    order: Order
    text: bytes

    @property
    def component(self) -> str:
        """The name of the component that carries it out."""
        return self.order.component or ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a worker is killed: for the order of this id, what becomes of it."""

    order: str
    state: State
    reason: str
    traceback: str | None = None


class WorkerProcess:
    """A process of ``nowcast_cli.actions.worker``, from its start until it is reaped.

    ``pending`` holds what it was given and has not answered; the first of them is the one that is
    under way, since ``head_since``, and may take until ``deadline`` (both by ``time.monotonic``).
    ``importing`` names the component that it imports, None once it is ``ready``. What it was in
    when it is killed shows only once it is dead, and all that it has said is read: then it is
    buried.

    For each order there is a byte in a pipe, a token, which the worker takes before it begins it.
    The host can take tokens as well: so it knows which orders are not begun and never will be.
    """

    def __init__(self, number: int, config_file: Path, refused: Mapping[str, str]) -> None:
        self.number = number
        ours, theirs = socket.socketpair()
        output, printed = os.pipe()
        self._tokens, self._new_tokens = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        sys.executable, "-m", "nowcast_cli.actions.worker",
                        str(config_file), str(theirs.fileno()), str(self._tokens),
                        json.dumps(refused),
                    ],
                    pass_fds=(theirs.fileno(), self._tokens),
                    stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                    cwd=config_file.parent,
                    start_new_session=True,  # so that a kill reaches what components have started
                )  # fmt: skip
            finally:
                os.close(printed)
        ours.setblocking(False)
        self._socket, self._reader, self._unsent = ours, wire.FrameReader(), bytearray()
        self.printed = Printed(output)
        self._pidfd = os.pidfd_open(self._process.pid)
        self.started = time.monotonic()
        self.pending: deque[Held] = deque()
        self._taken_back = 0  # of which it has not said as yet that it did not begin them
        self.head_since, self.deadline = 0.0, float("inf")
        self.importing: str | None = ""
        self.ready = self.retiring = self.gone = self.is_killed = self.dumped = False
        self.verdict: Verdict | None = None
        self.is_buried = False
        self._give_up_at = float("inf")
        self._first_memory = 0

    @property
    def pid(self) -> int:
        """Its process, which leads its group."""
        return self._process.pid

    @property
    def takes(self) -> bool:
        """Whether it may be given orders."""
        return self.ready and not (self.retiring or self.gone or self._taken_back)

    @property
    def due(self) -> float:
        """When it is to be looked at again, by ``time.monotonic``; its end is told otherwise."""
        if self.is_buried:
            return float("inf")
        if self.gone:
            return self._give_up_at
        slow_at = self.head_since + SLOW if len(self.pending) > 1 else float("inf")
        return min(slow_at, self.deadline + TIME_TO_DUMP * self.dumped)

    def descriptors(self) -> list[int]:
        """Give what is readable when there is something to see to."""
        found = [self._pidfd]
        if not self.gone:
            found.append(self._socket.fileno())
        if not self.printed.is_closed:
            found.append(self.printed.fileno())
        return found

    def has_said(self, ready: Collection[int]) -> bool:
        """Say whether there is something to read, or it has ended."""
        return not self.gone and (self._socket.fileno() in ready or self._pidfd in ready)

    @property
    def unsent_to(self) -> int | None:
        """The descriptor that has to become writable before all is sent; None: all is."""
        return self._socket.fileno() if self._unsent and not self.gone else None

    def give(self, orders: Iterable[Held], until: float) -> None:
        """Give it orders, which it may begin until ``until`` of CLOCK_BOOTTIME."""
        orders = tuple(orders)
        os.write(self._new_tokens, b"." * len(orders))
        for held in orders:
            self._unsent += wire.numbered(wire.ORDER, until, held.text)
            self.pending.append(held)
            if len(self.pending) == 1:
                self.next_begins()
        self.flush()

    def take_back(self) -> list[Held]:
        """Give the orders that it has not begun; it has them no more."""
        try:
            taken = len(os.read(self._tokens, len(self.pending))) if self.pending else 0
        except BlockingIOError:
            taken = 0
        self._taken_back += taken
        return [self.pending.pop() for _ in range(taken)][::-1]

    def not_begun(self) -> list[Held]:
        """Give the order of which it says now that it did not begin it; none: we had taken it."""
        if self.pending:
            held = self.pending.popleft()
            self.next_begins()
            return [held]
        self._taken_back -= 1
        return []

    def answer(self, text: bytes) -> None:
        """Pass on the answer to what its call has asked."""
        self._unsent += wire.frame(wire.ANSWER, text)
        self.flush()

    def next_begins(self) -> None:
        """Count the time of the order at the head from now on."""
        self.head_since, self.dumped = time.monotonic(), False
        self.deadline = (
            self.head_since + self.pending[0].order.seconds if self.pending else float("inf")
        )

    def renew(self, seconds: float) -> None:
        """Let the order at the head have ``seconds`` from now on."""
        if self.pending:
            self.deadline, self.dumped = time.monotonic() + seconds, False

    def flush(self) -> None:
        """Send what the socket takes."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                sent = self._socket.send(memoryview(self._unsent)[: 1 << 18])
                del self._unsent[:sent]

    def read(self) -> list[tuple[bytes, bytes]]:
        """Give what it has said; ``gone`` is set once it has ended and all was read."""
        frames: list[tuple[bytes, bytes]] = []
        ended = self._has_ended()  # before the last read, which then has it all
        taken = 0
        while taken < _MOST_READ or ended:
            try:
                part = self._socket.recv(1 << 18)
            except BlockingIOError:
                if ended:
                    self._close(0)
                break
            except OSError:
                part = b""
            if not part:
                self._close(_TIME_TO_DIE)
                break
            taken += len(part)
            frames.extend(self._reader.feed(part))
        return frames

    def dump(self) -> None:
        """Have it print where it is, before it is killed."""
        self.dumped = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR2)

    def memory(self) -> int:
        """Give the bytes by which its memory has grown since it was ready."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        if not self._first_memory:
            self._first_memory = pages
        return (pages - self._first_memory) * _PAGE

    def close(self) -> None:
        """Let it end: it does when it has read that nothing more comes."""
        self._socket.close()
        self._close(_TIME_TO_END)

    def kill(self) -> None:
        """End it and all that it has started, at once."""
        self.is_killed = True
        self._close(_TIME_TO_DIE)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def is_over(self) -> bool:
        """Say whether it has ended, or is not to be waited for."""
        return self.gone and (self._has_ended() or time.monotonic() >= self._give_up_at)

    def reap(self) -> bool:
        """Once it has ended, free what is held for it, and say so."""
        if not self._has_ended():
            return False
        self._socket.close()
        for descriptor in (self._pidfd, self._tokens, self._new_tokens):
            os.close(descriptor)
        self.printed.close()
        return True

    @property
    def was_killed_by_others(self) -> bool:
        """Whether it ended by a signal that a person sends, or the kernel for want of memory."""
        return not self.is_killed and self._process.returncode in (-signal.SIGKILL, -signal.SIGTERM)

    def ending(self) -> str:
        """Say how the process has ended."""
        code = self._process.returncode
        if code is None:
            return "it closed its connection"
        if code >= 0:
            return f"it exited with code {code}"
        with contextlib.suppress(ValueError):
            return f"it was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"it was killed by signal {-code}"

    def _close(self, patience: float) -> None:
        self.gone = True
        self._give_up_at = min(self._give_up_at, time.monotonic() + patience)

    def _has_ended(self) -> bool:
        """Look whether it has ended; then what it has left behind is ended, too."""
        if self._process.returncode is not None:
            return True
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # before its number can be another's
        self._process.wait()
        return True
