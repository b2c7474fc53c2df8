"""The leading manager as its standby sees it: whether it is there, at work, or frozen."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from nowcast_cli.daemon.lease import (
    LEASE,
    LONGEST_TURN,
    Activity,
    Question,
    activity_of,
    silence_after,
)
from nowcast_cli.daemon.lock import read_pid_file
from nowcast_cli.process_identity import ProcessIdentity, is_alive


class Leader:
    """The process that leads, held by a descriptor: its number cannot become another's."""

    def __init__(self, identity: ProcessIdentity, descriptor: int, lease: Path) -> None:
        self.pid = identity.pid
        self._descriptor = descriptor
        self._lease = lease
        self._question: Question | None = None
        self._activity: Activity | None = None
        self._silence = 0.0
        self._stopped = 0.0

    @classmethod
    def found(cls, run: Path) -> Leader | None:
        """Give the process that holds the manager's name; None where none is known to."""
        identity = read_pid_file(run / "manager.pid")
        if identity is None:
            return None
        try:
            descriptor = os.pidfd_open(identity.pid)
        except OSError:
            return None
        if not is_alive(identity):  # looked at once it is held: the number may be another's
            os.close(descriptor)
            return None
        return cls(identity, descriptor, run / "lease.sock")

    def fileno(self) -> int:
        """Give the descriptor that is readable when the process has ended."""
        return self._descriptor

    def has_ended(self) -> bool:
        """Say whether the process has ended, and so has let go of its lock."""
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def is_frozen(self, turn: float) -> bool:
        """Say whether its lease has expired, and ask it for the next sign of life.

        To be called each ``ASK_EVERY`` seconds; ``turn`` is how long the last turn took, in
        seconds of a monotonic clock. A process that has no lease cannot lose it: it has just begun,
        is about to end, or is a command that holds the manager's name for a while. But a manager
        that was stopped before it had one is frozen, too.
        """
        try:
            self._count(turn)
            if self._question is None:
                self._question = Question(self._lease, self.pid)
            self._question.ask()
        except OSError:
            self._forget()
            stopped = _is_stopped_manager(self.pid)
            self._stopped = self._stopped + min(turn, LONGEST_TURN) if stopped else 0.0
        else:
            self._stopped = 0.0
        return max(self._silence, self._stopped) >= LEASE

    def _count(self, turn: float) -> None:
        if self._question is None:
            return
        answered = self._question.was_answered()
        now = None if answered else activity_of(self.pid)
        if now is None or self._activity is None:
            self._silence = 0.0
        else:
            self._silence = silence_after(self._silence, turn, self._activity, now)
        self._activity = now

    def _forget(self) -> None:
        if self._question is not None:
            self._question.close()
        self._question, self._activity, self._silence = None, None, 0.0

    def kill(self) -> None:
        """Kill the process. Raises OSError where that is not allowed."""
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Follow it no more."""
        self._forget()
        os.close(self._descriptor)


def _is_stopped_manager(pid: int) -> bool:
    """Say whether a process is a manager, not a command in its place, and a signal stopped it."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return activity_of(pid).states == {"T"} and b".manager\0" in command
