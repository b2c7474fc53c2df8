"""Errors that a person can mend: what happened, why, and the next command to type.

Everything that derives from :class:`NowcastError` is expected; the command line prints it
without a traceback. Anything else is a bug.
"""

from __future__ import annotations


class NowcastError(Exception):
    """An expected error.

    Parameters
    ----------
    what
        A sentence that names the thing that failed.
    cause
        Why, where it is known.
    hint
        The remedy, best the next command to type.
    """

    exit_code = 1

    def __init__(self, what: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.hint = hint


class UsageError(NowcastError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration cannot be used.

    ``what`` has a line ``file:line:column: path: message`` for each mistake.
    """


class NotRunning(NowcastError):
    """A daemon that is needed does not run or does not answer."""

    exit_code = 3


class NotFound(NowcastError):
    """There is no such system, worker, job or message."""

    exit_code = 4


class Degraded(NowcastError):
    """The system runs, but a part of it needs somebody."""

    exit_code = 5


class WaitTimedOut(NowcastError):
    """What was waited for did not come in time."""

    exit_code = 124
