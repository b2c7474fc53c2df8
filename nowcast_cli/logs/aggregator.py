"""``python -m nowcast_cli.logs.aggregator CONFIG``: brings all that is said into the logs.

Processes of a system write their records to its log files themselves. What else there is to read,
the output of jobs and the files that the ``logs`` section names, this daemon follows; what
processes on other hosts send, it takes in at one port; and what they publish, it subscribes to.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from typing import Any

from nowcast_cli.config import Config
from nowcast_cli.config.log_bus import bus_port
from nowcast_cli.config.log_settings import LogSettings, log_settings
from nowcast_cli.config.log_spool import spool_folder, take_up
from nowcast_cli.config.logging_ports import publisher_addresses
from nowcast_cli.config.logging_section import log_files, logs_to_console
from nowcast_cli.config.settings import broker_host
from nowcast_cli.daemon.main import DaemonContext, run_daemon
from nowcast_cli.daemon.watcher import BETWEEN_POLLS, Watcher
from nowcast_cli.errors import NowcastError
from nowcast_cli.logs.bus import Bus
from nowcast_cli.logs.following import Follower
from nowcast_cli.logs.offsets import FILE_NAME
from nowcast_cli.logs.published import Published
from nowcast_cli.logs.received import RECEIVED
from nowcast_cli.logs.writing import CannotWrite, LogWriter
from nowcast_cli.security.source import security_of

# Events come by the line; what is written within this time is read, and synced, together.
_TOGETHER = 0.1  # seconds


def aggregate(context: DaemonContext) -> int:
    """Follow files until SIGTERM or SIGINT; SIGHUP takes in another ``logs`` section."""
    aggregator = Aggregator(context, context.config)
    try:
        while True:
            aggregator.turn()
            arrived = aggregator.wait()
            if signal.SIGTERM in arrived or signal.SIGINT in arrived:
                return 0
            if signal.SIGHUP in arrived:
                aggregator = _reloaded(context, aggregator)
    finally:
        aggregator.close()


class Aggregator:
    """The files that one configuration asks to follow, and what wakes the daemon for them."""

    def __init__(self, context: DaemonContext, config: Config) -> None:
        self._context = context
        settings: LogSettings = log_settings(config, context.paths.deployment)
        own = {*log_files(config), context.paths.logs}
        self._follower = Follower(
            context.paths.jobs,
            context.paths.state / RECEIVED,
            context.paths.state / FILE_NAME,
            settings.follow,
            own,
            LogWriter(),
            context.logger,
            echoes=logs_to_console(config),
        )
        self._spool = spool_folder(context.paths.state)
        self._watcher = Watcher(settings.watch, context.logger)
        self._published = Published(*publisher_addresses(config))
        self._bus = Bus(
            broker_host(config),
            bus_port(config),
            context.paths.jobs,
            context.paths.state / RECEIVED,
            context.logger,
            context.paths.keys if security_of(config) == "curve" else None,
        )
        self._trouble: str | None = None
        self._behind = False
        self._was_woken = False

    def turn(self) -> None:
        """Write to the logs what has come, and see to it that more wakes us."""
        self._watcher.watch(self._follower.folders())
        more = self._published.log_what_has_come()
        more |= self._bus.take_in()
        try:
            self._take_up_spools()
            self._behind = self._follower.turn(time.monotonic()) or more
        except CannotWrite as error:
            if self._trouble is None:  # the log itself cannot be told; what we print is kept
                print(f"{error.what}; trying on", file=sys.stderr, flush=True)
            self._trouble, self._behind = error.what, False
            return
        if self._trouble is not None:
            self._context.logger.info("the logs can be written again")
        self._trouble = None

    def _take_up_spools(self) -> None:
        try:
            take_up(self._spool)
        except OSError as error:
            where = error.filename or self._spool
            raise CannotWrite(f"{where} cannot be written: {error.strerror}") from None

    def wait(self) -> list[int]:
        """Wait until there is something to read; give the signals that have arrived."""
        started = time.monotonic()
        interval = self._interval()
        arrived = self._poll(interval)
        self._was_woken = time.monotonic() - started < interval
        if not arrived and not self._behind:
            rest = _TOGETHER - (time.monotonic() - started)
            arrived = self._poll(max(0.0, rest), woken_by_changes=False)
        self._watcher.drain()
        return arrived

    def close(self) -> None:
        """Stop to follow; what was read is saved."""
        self._follower.close()
        self._watcher.close()
        self._published.close()
        self._bus.close()

    def _interval(self) -> float:
        if self._trouble is not None:
            return BETWEEN_POLLS
        if self._behind:
            return 0.0
        # What follows an event may be in a folder so new that it is not watched yet.
        interval = BETWEEN_POLLS if self._was_woken else self._watcher.interval
        return min(interval, self._bus.interval)

    def _poll(self, seconds: float, *, woken_by_changes: bool = True) -> list[int]:
        signals, health = self._context.signals, self._context.health
        poller = select.poll()
        poller.register(signals.fileno(), select.POLLIN)
        poller.register(health.fileno(), select.POLLIN)
        if woken_by_changes and self._trouble is None:
            for descriptor in (self._watcher.fileno(), *self._published.descriptors()):
                poller.register(descriptor, select.POLLIN)
        for descriptor in self._bus.descriptors():
            poller.register(descriptor, select.POLLIN)
        ready = dict(poller.poll(round(seconds * 1000)))
        if not ready.keys().isdisjoint(self._bus.descriptors()):
            self._bus.take_in()  # a process that ends may be waiting for it
        if health.fileno() in ready:
            health.answer(self._context.status(**self._facts()))
        return signals.read() if signals.fileno() in ready else []

    def _facts(self) -> dict[str, Any]:
        return {
            "files": self._follower.count,
            "looks every": self._watcher.interval,
            "trouble": self._trouble or self._bus.trouble,
        }


def _reloaded(context: DaemonContext, running: Aggregator) -> Aggregator:
    config = Config()
    try:
        config.load(context.config_file)
        log_settings(config, context.paths.deployment)
    except NowcastError as error:
        context.logger.error("%s: what is followed stays as it is", error.what)
        return running
    running.close()
    context.logger.info("read config from %s again", config.file)
    return Aggregator(context, config)


if __name__ == "__main__":
    sys.exit(run_daemon("log_aggregator", aggregate))
