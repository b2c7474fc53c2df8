"""``python -m nowcast_cli.notify CONFIG [DESCRIPTOR NUMBER INSTANT SAID]``: run the notifier.

The manager hands it the reading end of a pipe, which ends with the manager, the number of the
last message, the time (ISO 8601 UTC) of its start, and the writing end of a pipe, by which it is
told what was sent. Without them it runs until it is killed.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from nowcast_cli.config import Config, system_paths
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.config.paths import ensure
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.daemon.main import explain
from nowcast_cli.errors import NowcastError
from nowcast_cli.notify.channels import Channel, channels_of
from nowcast_cli.notify.daemon_watch import GRACE
from nowcast_cli.notify.mailbox import Notice
from nowcast_cli.notify.notifier import Clock, Notifier
from nowcast_cli.notify.sending import require_apprise, send
from nowcast_cli.supervisor.daemons import daemons_of

BETWEEN_TURNS = 0.5  # seconds
LONGEST_TITLE = 300  # characters
# After the manager's end: long enough to see that it stays away, and to say so.
LAST_MINUTES = GRACE + 60.0


def main(arguments: list[str]) -> int:
    """Run until the manager goes; where it was killed, until that is told or it is back.

    Returns 0 where there is nothing to do with this configuration and this environment.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: meant for the manager
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config = Config()
    config.load(arguments[0])
    paths = system_paths(config)
    ensure(paths)
    lock = FileLock(paths.run / "notify.lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=LAST_MINUTES + GRACE)
    except Timeout:
        return 1  # another one does the work; the manager tries again
    configure_logging(config, "notify")
    logger = _logger_of_its_own()
    channels = _usable_channels(config, logger)
    if not channels:
        return 0
    logger.info("telling %s", ", ".join(channel.name for channel in channels))
    system = config.file.parent.name
    notifier = Notifier(
        paths,
        channels,
        [daemon.name for daemon in daemons_of(config, paths.run)],
        answers=lambda name: ask_health(paths.run / f"{name}.sock") is not None,
        send=lambda channel, notice: send(channel, notice, system),
        clock=Clock(time.time, time.monotonic),
        begin_after=int(arguments[2]) if len(arguments) > 2 else 0,
        begin_at=arguments[3] if len(arguments) > 3 else None,
        logger=logger,
        tell=partial(_tell_manager, int(arguments[4]) if len(arguments) > 4 else None),
    )
    descriptor = int(arguments[1]) if len(arguments) > 1 else None
    _run(notifier, descriptor, paths.run / "manager.sock", logger)
    return 0


def _tell_manager(descriptor: int | None, channel: Channel, notice: Notice) -> None:
    """Say what was sent in a line, short enough to be written whole; a manager may have gone."""
    said = {"channel": channel.name, "title": notice.title[:LONGEST_TITLE]}
    if descriptor is not None:
        with suppress(OSError):
            os.write(descriptor, json.dumps(said).encode() + b"\n")


def _logger_of_its_own() -> logging.Logger:
    """Give the notifier's logger; libraries that send would log addresses, which may be secret."""
    logger, root = logging.getLogger("notify"), logging.getLogger()
    logger.setLevel(logger.getEffectiveLevel())
    root.setLevel(logging.CRITICAL)
    return logger


def _usable_channels(config: Config, logger: logging.Logger) -> list[Channel]:
    channels, unusable = channels_of(config, os.environ)
    for place in unusable:
        logger.error("%s: %s; %s", place.name, place.reason, place.hint)
    if any(channel.form == "apprise" for channel in channels):
        try:
            require_apprise()
        except NowcastError as error:
            logger.error("%s", explain(error).replace("\n", "; "))
            return [channel for channel in channels if channel.form != "apprise"]
    return channels


def _run(notifier: Notifier, descriptor: int | None, manager: Path, logger: logging.Logger) -> None:
    in_trouble = False
    while descriptor is None or not _ended(descriptor):
        if descriptor is None:
            time.sleep(BETWEEN_TURNS)
        in_trouble = _turn(notifier, logger, in_trouble)
    give_up = time.monotonic() + LAST_MINUTES
    # A manager that was told to end has ended this process before it closed the pipe.
    while time.monotonic() < give_up and ask_health(manager) is None:
        in_trouble = _turn(notifier, logger, in_trouble)
        if "manager" in notifier.down and notifier.has_sent_all:
            return
        time.sleep(BETWEEN_TURNS)


def _ended(descriptor: int) -> bool:
    """Wait a little; say whether the manager has gone, which never writes to the pipe."""
    return bool(select.select([descriptor], [], [], BETWEEN_TURNS)[0])


def _turn(notifier: Notifier, logger: logging.Logger, in_trouble: bool) -> bool:
    try:
        notifier.turn()
    except OSError as error:  # a full disk: nothing is sent that could not be kept
        if not in_trouble:
            logger.error("what was told cannot be kept, so nothing is told: %s", error)
        return True
    return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NowcastError as error:
        print(explain(error), file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
