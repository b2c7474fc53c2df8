"""The start of a daemon: its configuration, its one place, its log, its signals, its health."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.log_bus import TO_AGGREGATOR
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.config.paths import ensure
from nowcast_cli.crash_points import reached
from nowcast_cli.daemon.health import HealthSocket
from nowcast_cli.daemon.lock import Lock, hold, hold_first
from nowcast_cli.daemon.signals import Signals
from nowcast_cli.errors import NowcastError

_Result = TypeVar("_Result")
# An understudy that takes a daemon's place gives its own back once it has begun: in milliseconds,
# or on a loaded machine a second.
TIME_TO_CHANGE_PLACES = 5.0  # seconds


@dataclass(frozen=True)
class DaemonContext:
    """What a daemon's main function is handed.

    ``signals`` brings SIGTERM, SIGINT and SIGHUP; a main function returns soon after one of the
    first two, and answers on ``health`` from its own loop.
    """

    name: str
    config: Config
    config_file: Path
    paths: SystemPaths
    logger: logging.Logger
    signals: Signals
    health: HealthSocket
    since: str

    def status(self, state: str = "ready", **more: Any) -> dict[str, Any]:
        """Return the answer to who asks for health; ``more`` are the daemon's own facts."""
        who = {"daemon": self.name, "pid": os.getpid(), "since": self.since, "state": state}
        return who | more


@dataclass(frozen=True)
class Understudy:
    """What a daemon does while another process has its place.

    ``name`` is that of the daemon that it is meanwhile; ``wanted`` says whether a system has one;
    ``main`` waits for the place, and returns the lock of it, or None when it was told to end.
    """

    name: str
    wanted: Callable[[Config, SystemPaths], bool]
    main: Callable[[DaemonContext], Lock | None]


def run_daemon(
    name: str,
    main: Callable[[DaemonContext], int],
    arguments: Sequence[str] | None = None,
    *,
    understudy: Understudy | None = None,
) -> int:
    """Run the daemon ``name`` until it ends, and return its exit code.

    Parameters
    ----------
    name
        The daemon's name, with underscores: names its logger, lock, pid file and health socket.
    main
        The daemon's own work; returns the exit code.
    arguments
        The command line without the program; ``sys.argv[1:]`` by default.
    understudy
        What to be while another process is this daemon; otherwise that is an error.

    Expected errors are printed to stderr (and logged, once there is a log) as what, cause and
    hint, and give their own exit code. Anything else is logged with its traceback and raised.
    """
    options = _parse(name, arguments)
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        try:
            return _run(name, main, options, signals, understudy)
        except NowcastError as error:
            print(explain(error), file=sys.stderr, flush=True)
            return error.exit_code


def explain(error: NowcastError) -> str:
    """Return what happened, why, and the remedy, a line each."""
    lines = [f"error: {error.what}"]
    if error.cause:
        lines.append(f"caused by: {error.cause}")
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def _run(
    name: str,
    main: Callable[[DaemonContext], int],
    options: argparse.Namespace,
    signals: Signals,
    understudy: Understudy | None,
) -> int:
    config = Config()
    config.load(options.config_file)
    paths = system_paths(config)
    ensure(paths)
    process = _Process(config, paths, signals, options.debug)
    if understudy is None or not understudy.wanted(config, paths):
        return process.be(hold(paths, name), main)
    lock = hold_first(paths, (name, understudy.name), TIME_TO_CHANGE_PLACES)
    if lock.name == name:
        return process.be(lock, main)
    place = process.be(lock, understudy.main)
    return 0 if place is None else process.be(place, main)


@dataclass(frozen=True)
class _Process:
    """This process, which is one daemon, or one after the other."""

    config: Config
    paths: SystemPaths
    signals: Signals
    debug: bool

    def be(self, lock: Lock, main: Callable[[DaemonContext], _Result]) -> _Result:
        """Be the daemon whose name is locked, until its main function returns."""
        name, logger = lock.name, logging.getLogger(lock.name)
        with lock:
            reached(f"{name}.locked")
            where_to = configure_logging(self.config, name, debug=self.debug)
            if where_to == TO_AGGREGATOR:
                from nowcast_cli.messages.log_sending import send_records

                send_records(self.config)
            logger.info("running in process %d", os.getpid())
            logger.info("read config from %s", self.config.file)
            logger.info(where_to)
            health = None
            try:
                health = HealthSocket(self.paths.run / f"{name}.sock")
                context = DaemonContext(
                    name, self.config, self.config.file, self.paths, logger, self.signals, health,
                    _now(),
                )  # fmt: skip
                result = main(context)
            except NowcastError as error:
                logger.critical("%s", explain(error).replace("\n", "; "))
                raise
            except Exception as error:
                if refusal := _refused_by_the_machine(name, error):
                    logger.critical("%s", explain(refusal).replace("\n", "; "))
                    raise refusal from error
                logger.critical("unhandled exception", exc_info=True)
                raise
            finally:
                if health is not None:
                    health.close()
            if not isinstance(result, Lock):  # with the lock of another place it goes on there
                logger.info("shutting down")
            return result


def _refused_by_the_machine(name: str, error: Exception) -> NowcastError | None:
    """Give the error of a daemon that cannot do its work here, where that is what has ended it."""
    number = getattr(error, "errno", None)  # ZeroMQ's own errors have one, too
    what = f"the {name.replace('_', ' ')} cannot go on"
    if number in (errno.EMFILE, errno.ENFILE):
        hint = "raise the limit on open files: `ulimit -n`, or LimitNOFILE= of its service"
    elif number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        hint = "see whether the disk of the state directory is full, or read-only"
    else:
        return None
    return NowcastError(what, cause=str(error), hint=hint)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(name: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=name, description=f"Run the {name.replace('_', ' ')}.")
    parser.add_argument("config_file", type=Path, help="the system's configuration file")
    parser.add_argument("--debug", action="store_true", help="log to the console instead of files")
    return parser.parse_args(arguments)
