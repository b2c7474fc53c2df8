"""The turns of the file watcher: what was told and found, what is complete, asking for its runs."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

from nowcast_cli.config import Config
from nowcast_cli.config.settings import endpoints
from nowcast_cli.daemon.main import DaemonContext
from nowcast_cli.errors import NowcastError
from nowcast_cli.file_watcher.asking import Asking
from nowcast_cli.file_watcher.candidates import Candidates
from nowcast_cli.file_watcher.hearing import Ear
from nowcast_cli.file_watcher.looking import files_of, ignore_broken_leases, is_written, look
from nowcast_cli.file_watcher.triggers import FileTrigger, Look, file_triggers
from nowcast_cli.flows.loading import declared
from nowcast_cli.messages.asker import Asker
from nowcast_cli.security.source import key_source
from nowcast_cli.store.seen_files import FILE_NAME, Memory

_TOGETHER = 0.1  # s in which what is told is taken together
_BETWEEN_FOLDERS = 1.0  # s between looks whether folders have come or gone
_A_TURN = 0.05  # s that looking for files takes of a turn, so that health is answered
# Looking for files again takes at most one part in so many of the time, and in doubt.
_SHARE, _SHARE_IN_DOUBT = 100, 20
# What the kernel should have told of a file this old, it has not: files are looked for more often.
_TOLD_WITHIN = 10.0  # s
_IN_DOUBT = 600.0  # s
_BETWEEN_DOUBTS = 1.0  # s


def watch_files(context: DaemonContext) -> int:
    """Run the file watcher until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code 0."""
    ignore_broken_leases()
    zmq_context: zmq.Context[Any] = zmq.Context()
    key = key_source(context.config, "operator")
    memory = Memory(context.paths.state / FILE_NAME)
    where = endpoints(context.config)
    asking = Asking(lambda: Asker(zmq_context, where, time.monotonic, key), memory, context.logger)
    try:
        _loop(context, asking, memory)
    finally:
        asking.close()
        memory.close()
        zmq_context.destroy(linger=0)
    return 0


def _loop(context: DaemonContext, asking: Asking, memory: Memory) -> None:
    watching = Watching(context, context.config, asking, memory)
    try:
        while True:
            watching.turn(time.monotonic())
            asking.turn()
            arrived = _wait(context, watching, asking)
            if signal.SIGTERM in arrived or signal.SIGINT in arrived:
                return
            if signal.SIGHUP in arrived:
                watching = _reloaded(context, watching, asking, memory)
    finally:
        watching.close()


def _wait(context: DaemonContext, watching: Watching, asking: Asking) -> list[int]:
    """Wait until there is something to do; give the signals that have arrived."""
    started = time.monotonic()
    repeat = asking.wait_at_most()
    wait = watching.due_in(started)
    wait = wait if repeat is None else min(wait, repeat)
    poller = zmq.Poller()
    for readable in (
        context.signals.fileno(), context.health.fileno(), watching.fileno(), *asking.sockets()
    ):  # fmt: skip
        poller.register(readable, zmq.POLLIN)
    ready = dict(poller.poll(int(wait * 1000) + (wait > 0)))  # rounded up
    if watching.fileno() in ready:  # more is about to be told: it is taken together
        poller.unregister(watching.fileno())
        rest = _TOGETHER - (time.monotonic() - started)
        ready |= dict(poller.poll(max(0, int(rest * 1000))))
    if context.health.fileno() in ready:
        context.health.answer(context.status(**watching.facts()))
    return context.signals.read() if context.signals.fileno() in ready else []


def _reloaded(
    context: DaemonContext, running: Watching, asking: Asking, memory: Memory
) -> Watching:
    config = Config()
    try:
        config.load(context.config_file)
        watching = Watching(context, config, asking, memory)
    except NowcastError as error:
        context.logger.error("%s: what is watched stays as it is", error.what)
        return running
    running.close()
    context.logger.info("read config from %s again", config.file)
    return watching


class Watching:
    """The files that one configuration waits for."""

    def __init__(
        self, context: DaemonContext, config: Config, asking: Asking, memory: Memory
    ) -> None:
        flows = declared(config).usable.values()
        self._triggers = tuple(file_triggers(flows, context.paths.deployment))
        self._logger = context.logger
        self._asking = asking
        self._memory = memory
        self._ear = Ear(context.logger)
        self._candidates = Candidates()
        self._folders_at = 0.0
        self._away: set[Path] = set()
        self._search: Iterator[bool] | None = None
        self._search_at = 0.0  # the first is at once, and finds what was there before
        self._doubted_until = 0.0
        self._is_first = True
        self._unreadable: set[str] = set()
        for trigger in self._triggers:
            context.logger.info("flow %s begins by %s", trigger.flow, trigger.pattern.text)

    def facts(self) -> dict[str, Any]:
        """Give what there is to say of its health."""
        names = len(self._unreadable)
        few = "a file has a name that is" if names == 1 else f"{names} files have names that are"
        does = "begins" if names == 1 else "begin"
        of_names = f"{few} not UTF-8, and {does} nothing: nowcast logs file_watcher"
        return {
            "patterns": len(self._triggers),
            "away": sorted(str(folder) for folder in self._away),
            "not complete": len(self._candidates),
            "waiting": self._asking.waiting,
            "seen": len(self._memory),
            "trouble": self._asking.trouble or (of_names if names else None),
        }

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the kernel has told something."""
        return self._ear.fileno()

    def due_in(self, now: float) -> float:
        """Give the seconds until there is something to do, at the latest."""
        if self._search is not None:
            return 0.0
        waits = (
            self._folders_at - now, self._search_at - now, self._candidates.due_in(now) or 0.0
        )  # fmt: skip
        some = waits if len(self._candidates) else waits[:2]
        return max(0.0, min(some))

    def close(self) -> None:
        """Stop watching."""
        self._ear.close()

    def turn(self, now: float) -> None:
        """Take in what there is, and ask for the runs of what is complete."""
        if now >= self._folders_at:
            self._tend_folders(now)
        for word, path in self._ear.heard():
            for trigger in self._triggers:
                if trigger.wants(path):
                    self._candidates.heard(trigger, path, word, now)
        if self._ear.has_missed():
            self._search_at = now
        self._look_for_files(now)
        for trigger, path, seen in self._candidates.complete(look, is_written, now):
            self._ask(trigger, path, seen)

    def _tend_folders(self, now: float) -> None:
        self._folders_at = now + _BETWEEN_FOLDERS
        folders: dict[Path, bool] = {}
        for trigger in self._triggers:
            pattern = trigger.pattern
            folders[pattern.base] = folders.get(pattern.base, False) or pattern.depth != 0
        if self._ear.watch(folders):
            self._is_first, self._search, self._search_at = True, None, now
        away = {folder for folder in folders if not os.path.isdir(folder)}  # noqa: PTH112
        for folder in away - self._away:
            self._logger.warning("there is no folder %s; its files are seen when it is", folder)
        for folder in self._away - away:
            self._logger.info("there is a folder %s now", folder)
        self._away = away

    # --- what is there, whether or not it was told

    def _look_for_files(self, now: float) -> None:
        if self._search is None and now >= self._search_at:
            self._search = self._searching(now)
        until = time.monotonic() + _A_TURN
        while self._search is not None and time.monotonic() < until:
            if next(self._search, None) is None:
                self._search = None

    def _searching(self, began: float) -> Iterator[bool]:
        """Look for all files, a step at a time; what should have been told raises doubts."""
        took, missed, there = 0.0, Counter[Path](), set()
        for trigger in self._triggers:
            at = time.monotonic()
            for found in files_of(trigger):
                if found is not None:
                    path, seen = found
                    there.add(trigger.id_of(path, seen))
                    if self._is_missed(trigger, path, seen, began):
                        missed[trigger.pattern.base] += 1
                took += time.monotonic() - at
                yield True
                at = time.monotonic()
        self._searched(began, took, missed)
        self._asking.there(there)

    def _is_missed(self, trigger: FileTrigger, path: str, seen: Look, now: float) -> bool:
        """Take in a file that was found; tell whether it should have been known."""
        if self._asking.knows(trigger.id_of(path, seen)) or path in self._unreadable:
            return False
        is_new = self._candidates.found(trigger, path, seen, now)
        is_old = time.time() - seen.touched > _TOLD_WITHIN
        return is_new and is_old and not self._is_first

    def _searched(self, began: float, took: float, missed: Counter[Path]) -> None:
        for folder, count in missed.items():
            if began >= self._doubted_until:
                self._logger.warning(
                    "%d files below %s were found that the kernel had not told of: files are "
                    "looked for more often; see /proc/sys/fs/inotify",
                    count, folder,
                )  # fmt: skip
        if missed:
            self._doubted_until = began + _IN_DOUBT
        is_doubted = began < self._doubted_until
        share = _SHARE_IN_DOUBT if is_doubted else _SHARE
        least = min(_BETWEEN_DOUBTS, self._ear.interval) if is_doubted else self._ear.interval
        self._search_at = time.monotonic() + max(least, took * share)
        self._is_first = False

    def _ask(self, trigger: FileTrigger, path: str, seen: Look) -> None:
        request_id = trigger.id_of(path, seen)
        if self._asking.knows(request_id):
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            if path not in self._unreadable:
                self._unreadable.add(path)
                self._logger.error(
                    "file %r begins no run of flow %s: its name is not UTF-8; rename it",
                    path, trigger.flow,
                )  # fmt: skip
            return
        self._asking.put(trigger.request(path, request_id))
