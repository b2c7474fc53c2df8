"""One run of a worker's function, and the message that follows from how it ends."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nowcast_cli.errors import NowcastError
from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.last_error import LastError, last_error_logged, one_line
from nowcast_cli.worker.reporting import Reporter
from nowcast_cli.worker.stopping import Stopped, signals_raise_stopped

EXIT_SUCCESS = 0
EXIT_FAILURE = 1
EXIT_CRASH = 70
EXIT_UNTOLD = 75
EXIT_INTERRUPTED = 130

_PATIENCE_WHEN_STOPPED = 5.0  # seconds: who sends SIGTERM does not wait for long
# Set in a batch job, whose batch system ends it and knows why: its time, its memory, somebody.
_BATCH_JOB = "NOWCAST_NATIVE_ID"


@dataclass(frozen=True)
class Work:
    """The functions of a worker, and who tells the manager about them."""

    worker_func: Callable[..., Any]
    success: Callable[[argparse.Namespace], str]
    failure: Callable[[argparse.Namespace], str]
    arguments: argparse.Namespace
    reporter: Reporter
    logger: logging.Logger

    def do(self, *args: Any) -> int:
        """Call the worker's function, tell the manager, and give the exit code.

        ``args`` is what the function is called with, after the parsed arguments.
        """
        try:
            with signals_raise_stopped():
                code = self._succeed_fail_or_crash(args)
        except Stopped as stopped:
            code = self._stopped(stopped)
        teller = self.reporter.teller
        return code if teller is None or teller.all_told else EXIT_UNTOLD

    def _succeed_fail_or_crash(self, args: tuple[Any, ...]) -> int:
        try:
            return self._succeed_or_fail(args)
        except Stopped:
            raise
        except BaseException as error:
            # SystemExit too: a worker that leaves by sys.exit() has told nobody how it went
            self.logger.critical("unhandled exception:", exc_info=True)
            return self._crash(
                _sentence(error)
                if isinstance(error, NowcastError)
                else f"{type(error).__name__}: {error}"
            )

    def _succeed_or_fail(self, args: tuple[Any, ...]) -> int:
        with last_error_logged() as last_error:
            try:
                checklist = self.worker_func(self.arguments, *args)
                self.reporter.tell(self.success(self.arguments), checklist, outcome="success")
            except WorkerError as error:
                if error.args:
                    self.logger.error(_sentence(error))
                return self._fail(_sentence(error), last_error)
        return EXIT_SUCCESS

    def _fail(self, said: str, last_error: LastError) -> int:
        reason = last_error.line  # failure() by custom logs no more than that the worker failed
        msg_type = self.failure(self.arguments)
        try:
            self.reporter.tell(msg_type, outcome="failure", reason=reason or last_error.line)
        except WorkerError as error:  # the registry does not know it, or the manager refuses
            sentence = _sentence(error)
            if sentence != said:
                self.logger.error(sentence)
            return self._crash(sentence)
        return EXIT_FAILURE

    def _crash(self, reason: str, deadline: float | None = None) -> int:
        try:
            self.reporter.tell("crash", outcome="crash", reason=one_line(reason), deadline=deadline)
        except WorkerError as error:
            sentence = _sentence(error)
            if sentence != reason:
                self.logger.error(sentence)
        return EXIT_CRASH

    def _stopped(self, stopped: Stopped) -> int:
        self.logger.info(stopped.words)
        teller = self.reporter.teller
        why_is_known = _BATCH_JOB in os.environ and not stopped.by_the_terminal
        if not why_is_known and (teller is None or not teller.has_final):
            self._crash(stopped.words, _PATIENCE_WHEN_STOPPED)
        return EXIT_INTERRUPTED if stopped.by_the_terminal else EXIT_CRASH


def _sentence(error: NowcastError) -> str:
    parts = [error.what, error.cause and f"caused by: {error.cause}", error.hint]
    return "; ".join(part for part in parts if part)
