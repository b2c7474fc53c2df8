"""The second manager: it waits, with everything loaded, until nobody leads, and then does.

It is not connected to the broker, which would give it half of the requests, and only reads in the
store. When the leader ends, its lock is free at once. When the leader is frozen, its lock is not,
so it is killed first: a process that cannot be killed cannot be replaced either.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.standby import wants_standby
from nowcast_cli.daemon.lease import ASK_EVERY, LEASE
from nowcast_cli.daemon.lock import AlreadyRuns, Lock, hold
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.errors import NowcastError
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.decider_process import DeciderProcess
from nowcast_cli.manager.following import Leader
from nowcast_cli.manager.reload import checked_config, needs_restart
from nowcast_cli.store.parsed_fragments import FollowedFragments, ParsedFragments

# In each turn, so that it takes a small part of the time, however large the checklist is.
TIME_TO_PARSE = 0.1  # seconds


@dataclass(frozen=True)
class TakeOver:
    """What a standby brings along when it leads.

    A decider that has loaded, what is parsed of the checklist, and a sentence on how it came.
    """

    decider: DeciderProcess
    parsed: ParsedFragments
    told: str


class Standby:
    """One standby, from its start to the instant at which it leads, or to a signal."""

    def __init__(self, context: DaemonContext) -> None:
        self._context = context
        self._logger = context.logger
        self._run = context.paths.run
        self._config_signature = _signature(context.config_file)
        self._decider = DeciderProcess(context.config_file)
        self._fragments = FollowedFragments(context.paths.database)
        self._warm = False
        self._leader: Leader | None = None
        self._follows_since: str | None = None
        self._killed: int | None = None
        self._trouble: str | None = None

    def wait(self) -> tuple[Lock, TakeOver] | None:
        """Wait for the manager's place; None when told to end by SIGTERM or SIGINT."""
        last_turn = time.monotonic()
        while True:
            lock = self._lock_of_nobody()
            if lock is not None:
                self._fragments.close()
                return lock, TakeOver(self._decider, self._fragments.parsed, self._sentence())
            if self._told_to_end(self._ready(last_turn + ASK_EVERY - time.monotonic())):
                self._decider.end()
                return None
            turn = time.monotonic() - last_turn
            if turn >= ASK_EVERY:
                last_turn += turn
                self._look_at_leader(turn)
                self._take_in_changes()
                self._fragments.work(TIME_TO_PARSE)

    def _lock_of_nobody(self) -> Lock | None:
        """Take the manager's name if nobody has it; follow who has it otherwise."""
        if self._leader is not None and not self._leader.has_ended():
            return None
        former = self._leader
        try:
            lock = hold(self._context.paths, "manager")
        except AlreadyRuns:
            self._follow(Leader.found(self._run))
            return None
        except NowcastError as error:  # the disk is full: the place is free, and there is no room
            self._say_trouble(f"{error.what}: {error.cause}")
            return None
        self._logger.info("%s: this process leads now", self._sentence())
        if former is not None:
            former.close()
        return lock

    def _follow(self, leader: Leader | None) -> None:
        if self._leader is not None:
            self._leader.close()
        self._leader = leader
        self._trouble = None
        if leader is not None:
            self._follows_since = now()
            self._logger.info("following the manager, process %d", leader.pid)

    def _ready(self, seconds: float) -> list[int]:
        """Wait for a signal, a question, the leader's end or the decider, or the next turn."""
        descriptors = [self._context.signals.fileno(), self._context.health.fileno()]
        if self._leader is not None and not self._leader.has_ended():
            descriptors.append(self._leader.fileno())
        if not self._warm:
            descriptors.append(self._decider.fileno())
        return select.select(descriptors, [], [], max(0.0, seconds))[0]

    def _told_to_end(self, ready: list[int]) -> bool:
        self._warm = self._warm or self._decider.fileno() in ready  # it has loaded, or cannot
        if self._context.health.fileno() in ready:
            self._context.health.answer(self._status())
        if self._context.signals.fileno() in ready:
            arrived = self._context.signals.read()
            if signal.SIGTERM in arrived or signal.SIGINT in arrived:
                return True
            if signal.SIGHUP in arrived:
                self._load_anew()
        return False

    def _status(self) -> dict[str, Any]:
        state = "in trouble" if self._trouble else "ready" if self._warm else "starting"
        leader = None if self._leader is None else self._leader.pid
        return self._context.status(
            state,
            trouble=self._trouble,
            follows=leader,
            **{"follows since": None if leader is None else self._follows_since},
        )

    def _look_at_leader(self, turn: float) -> None:
        leader = self._leader
        if leader is None or leader.has_ended() or not leader.is_frozen(turn):
            return
        if self._killed == leader.pid:
            self._say_trouble(
                f"the manager (process {leader.pid}) is frozen and does not end, even by SIGKILL"
            )
            return
        self._logger.error(
            "the manager (process %d) is frozen: it has not answered for %g s, and neither ran "
            "nor waited for a processor or a disk; killing it",
            leader.pid,
            LEASE,
        )
        try:
            leader.kill()
            self._killed = leader.pid
        except OSError as error:
            self._say_trouble(
                f"the manager (process {leader.pid}) is frozen and cannot be killed: {error}"
            )

    def _say_trouble(self, trouble: str) -> None:
        if self._trouble != trouble:
            self._logger.critical("%s", trouble)
        self._trouble = trouble

    def _sentence(self) -> str:
        if self._leader is None:
            return "nobody led"
        if self._killed == self._leader.pid:
            return f"process {self._leader.pid} was frozen and has been killed"
        return f"process {self._leader.pid} has ended"

    # --- a configuration that has changed

    def _take_in_changes(self) -> None:
        signature = _signature(self._context.config_file)
        if signature not in (None, self._config_signature):
            self._config_signature = signature
            self._load_anew()

    def _load_anew(self) -> None:
        """Begin this process anew, if the configuration can be used as it is now."""
        config, problems = checked_config(self._context.config_file)
        if config is None:
            for line in problems:
                self._logger.error("%s", line)
            self._logger.error("the configuration is not reloaded: the old one goes on")
            return
        changes = needs_restart(self._context.config, config)
        if not wants_standby(config, self._run):
            changes.append("`standby` has changed: it takes effect with nowcast restart")
        if changes:  # begun anew it would be of another system than the manager
            for line in changes:
                self._logger.warning("%s", line)
            return
        self._logger.info("loading configuration and next_workers anew")
        self._decider.end()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # or a second one would end it meanwhile
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:  # an editor is about to put it in place
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
