"""The action workers of a host: who has which order, who is replaced, and what became of it."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from nowcast_cli.actions import wire
from nowcast_cli.actions.heard import Heard, mapping_of, running_in, trouble_in, words_of
from nowcast_cli.actions.pace import Pace
from nowcast_cli.actions.worker_process import (
    SLOW,
    TIME_TO_DUMP,
    Held,
    Verdict,
    WorkerProcess,
)
from nowcast_cli.config.action_workers import ActionWorkerSettings
from nowcast_cli.config.sizes import size_words
from nowcast_cli.crash_points import reached
from nowcast_cli.messages.performing import Result, result_text

_LONGEST_IMPORT = 60.0  # s for one component
_LONGEST_DELAY = 10.0  # s before a worker is started again that never gets ready
_BLAMED_AFTER = 3  # workers that others have killed while they imported the same component
_BETWEEN_LOOKS = 1.0  # s, at the memory of workers
_TICK = 0.005  # s, between looks whether those that were killed are dead


class Crew:
    """N action workers, and the orders that wait for one.

    Parameters
    ----------
    settings
        How many, and how much memory.
    config_file
        Which they read by themselves.
    logger
        Of the host.
    """

    def __init__(
        self, settings: ActionWorkerSettings, config_file: Path, logger: logging.Logger
    ) -> None:
        self._settings, self._config_file, self._logger = settings, config_file, logger
        self._queue: deque[Held] = deque()
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._withdrawn: set[str] = set()
        self._refused: dict[str, str] = {}
        self._killed_importing: Counter[str] = Counter()
        self._troubles: dict[str, str] = {}
        self._asks: dict[str, tuple[WorkerProcess, bytes]] = {}
        self._pace = Pace()
        self._started = 0
        self._failed_starts, self._start_at = 0, 0.0
        self._look_at = 0.0
        self._ends = False
        self.done = 0

    # --- orders

    def take(self, held: Iterable[Held]) -> None:
        """Take orders in, after those that wait."""
        self._queue.extend(held)

    def in_hand(self) -> list[str]:
        """Give the ids of the orders that wait or are under way."""
        given = [held.order.id for worker in self._all() for held in worker.pending]
        wanted = [each for each in given if each not in self._withdrawn]
        return [*wanted, *(held.order.id for held in self._queue)]

    def keep(self, wanted: Iterable[str]) -> None:
        """Drop all orders but these."""
        kept = set(wanted)
        self.withdraw(each for each in self.in_hand() if each not in kept)

    def withdraw(self, ids: Iterable[str]) -> None:
        """Drop orders; one that is under way is ended with its worker."""
        gone = set(ids)
        self._queue = deque(held for held in self._queue if held.order.id not in gone)
        for worker in self._all():
            mine = [held.order for held in worker.pending if held.order.id in gone]
            if not mine:
                continue
            self._withdrawn.update(order.id for order in mine)
            self._put_back(worker.take_back())
            if worker.pending and worker.pending[0].order is mine[0] and not worker.is_killed:
                self._logger.info(
                    "%s is withdrawn: action worker %d is replaced", mine[0].key, worker.number
                )
                worker.kill()

    def give(self, until: float) -> None:
        """Give workers what they have room for, to be begun until ``until`` of CLOCK_BOOTTIME."""
        for wants_more in (False, True):  # whoever has nothing comes first
            for worker in self._workers:
                if not self._queue:
                    return
                if worker.takes and (wants_more or not worker.pending):
                    self._give(worker, until)

    def _give(self, worker: WorkerProcess, until: float) -> None:
        share = -(-len(self._queue) // len(self._workers))
        taken = min(share, self._pace.fit(worker.pending, self._queue))
        if taken:
            worker.give([self._queue.popleft() for _ in range(taken)], until)
            reached("action_host.gave")

    def answered(self, ask: str, text: bytes) -> None:
        """Pass on the answer to what a call has asked."""
        worker, _ = self._asks.pop(ask, (None, b""))
        if worker is not None and not worker.gone:
            worker.answer(text)

    def asks(self) -> list[bytes]:
        """Give the texts of what was asked and is not answered."""
        return [text for _, text in self._asks.values()]

    # --- turns

    def descriptors(self) -> tuple[list[int], list[int]]:
        """Give what to wait for to be readable, and what to be writable."""
        reading = [each for worker in self._all() for each in worker.descriptors()]
        writing = [worker.unsent_to for worker in self._all() if not worker.gone]
        return reading, [each for each in writing if each is not None]

    def turn(self, ready: Collection[int]) -> Heard:
        """Read from workers, end those that are over their time, start what is missing.

        ``ready`` are the descriptors that have become readable, and others.
        """
        heard = Heard()
        for worker in self._all():
            self._read(worker, heard, ready)
        now = time.monotonic()
        for worker in self._all():
            self._see_to_time(worker, now)
        self._look_at_memory(now)
        for worker in self._all():
            if worker.is_over():
                self._bury(worker, heard, now)
        self._start(now)
        return heard

    def wait_at_most(self) -> float:
        """Give the seconds after which :meth:`turn` is to be called again."""
        now = time.monotonic()
        due = [self._look_at]
        due += [worker.due for worker in self._all()]
        if len(self._workers) < self._settings.number and not self._ends:
            due.append(self._start_at)
        return max(0.0, min(due) - now)

    def reload(self, settings: ActionWorkerSettings) -> None:
        """Replace all workers, each when what it has in hand is done."""
        self._settings = settings
        self._refused.clear()
        self._troubles.clear()
        self._failed_starts, self._start_at = 0, 0.0
        for worker in self._workers:
            self._retire(worker)
        self._leaving += self._workers
        self._workers = []

    def end(self) -> None:
        """Begin nothing more: what waits is dropped, what runs may end."""
        self._ends = True
        self._queue.clear()
        for worker in self._all():
            self._retire(worker)

    def kill(self) -> Heard:
        """End what still runs."""
        heard = Heard()
        for worker in self._all():
            if worker.pending and worker.verdict is None:
                reason = "the action workers were stopped, and it did not end in time"
                worker.verdict = Verdict(worker.pending[0].order.id, "lost", reason)
            worker.kill()
        while not all(worker.is_over() for worker in self._all()):
            time.sleep(_TICK)
        for worker in self._all():
            self._bury(worker, heard, time.monotonic())
        return heard

    @property
    def is_empty(self) -> bool:
        """Whether no worker has anything in hand."""
        return not any(worker.pending for worker in self._all())

    def facts(self) -> dict[str, Any]:
        """Give what there is to say of its health."""
        now = time.monotonic()
        unusable = dict(sorted({**self._troubles, **self._refused}.items()))
        return {
            "workers": self._settings.number,
            "ready": sum(worker.ready for worker in self._workers),
            "waiting": len(self._queue),
            "in hand": sum(len(worker.pending) for worker in self._all()),
            "done": self.done,
            "running": [running_in(worker, now) for worker in self._all() if worker.pending],
            "unusable": unusable,
            "trouble": trouble_in(unusable),
        }

    # --- what they say

    def _all(self) -> list[WorkerProcess]:
        return [*self._workers, *self._leaving]

    def _read(self, worker: WorkerProcess, heard: Heard, ready: Collection[int]) -> None:
        if worker.has_said(ready):
            self._heed(worker, heard)
        if worker.unsent_to in ready:
            worker.flush()
        if not worker.printed.is_closed and worker.printed.fileno() in ready:
            self._log_printed(worker)
        if worker.retiring and not worker.pending and not worker.gone:
            worker.close()

    def _heed(self, worker: WorkerProcess, heard: Heard) -> None:
        """Take in what a worker has said."""
        not_begun: list[Held] = []
        for kind, content in worker.read():
            if kind == wire.RESULT and worker.pending:
                self._ended(worker, content, heard)
            elif kind == wire.NOT_BEGUN:
                not_begun += worker.not_begun()
            else:
                self._said(worker, kind, content, heard)
        if not_begun:
            self._put_back(not_begun)

    def _ended(self, worker: WorkerProcess, content: bytes, heard: Heard) -> None:
        seconds, text = wire.number_and_text(content)
        held = worker.pending.popleft()
        worker.next_begins()
        self._pace.took(held.component, seconds)
        self.done += 1
        self._forget_asks(worker)
        if held.order.id in self._withdrawn:
            self._withdrawn.discard(held.order.id)
        else:
            heard.results[held.order.id] = text

    def _forget_asks(self, worker: WorkerProcess) -> None:
        if self._asks:
            self._asks = {ask: who for ask, who in self._asks.items() if who[0] is not worker}

    def _said(self, worker: WorkerProcess, kind: bytes, content: bytes, heard: Heard) -> None:
        if kind == wire.PROGRESS:
            heard.words.append([b"progress", content])
        elif kind == wire.RENEWED:
            seconds = mapping_of(content).get("seconds")
            if isinstance(seconds, int | float):
                worker.renew(seconds)
            heard.words.append([b"renewed", content])
        elif kind == wire.ASK:
            self._asks[str(mapping_of(content).get("id"))] = (worker, content)
            heard.words.append([b"ask", content])
        elif kind == wire.IMPORTING:
            worker.importing, worker.started = content.decode(), time.monotonic()
        elif kind == wire.READY:
            self._is_ready(worker, content)

    def _is_ready(self, worker: WorkerProcess, content: bytes) -> None:
        worker.ready, worker.importing = True, None
        worker.memory()
        self._failed_starts = 0
        self._killed_importing.clear()
        troubles = {str(name): str(why) for name, why in mapping_of(content).items()}
        for name, why in troubles.items():
            if self._troubles.get(name) != why and name not in self._refused:
                self._logger.error("a component cannot be used: %s", why)
        self._troubles = troubles
        self._logger.info("action worker %d runs in process %d", worker.number, worker.pid)

    def _log_printed(self, worker: WorkerProcess) -> None:
        if not worker.printed.is_closed:
            for line in worker.printed.read():
                self._logger.info("action worker %d printed: %s", worker.number, line)

    # --- time and memory

    def _see_to_time(self, worker: WorkerProcess, now: float) -> None:
        if worker.gone:
            return
        if not worker.ready:
            if now > worker.started + _LONGEST_IMPORT:
                worker.kill()
            return
        if len(worker.pending) > 1 and now >= worker.head_since + SLOW:
            self._put_back(worker.take_back())
        if worker.pending and now >= worker.deadline:
            if not worker.dumped:
                worker.dump()
            elif now >= worker.deadline + TIME_TO_DUMP:
                self._log_printed(worker)
                allowed = round(worker.deadline - worker.head_since, 1)
                reason = f"it took longer than {allowed:g} s, and its action worker was killed"
                self._logger.warning("%s: %s", words_of(worker.pending[0]), reason)
                order = worker.pending[0].order.id
                worker.verdict = Verdict(order, "timed out", reason, worker.printed.dumped())
                worker.kill()

    def _look_at_memory(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + _BETWEEN_LOOKS
        for worker in self._workers:
            if worker.ready and not worker.retiring:
                grown = worker.memory()
                if grown > self._settings.memory:
                    self._logger.warning(
                        "action worker %d has grown by %s, and is replaced when what it has in "
                        "hand is done (action memory: %s)",
                        worker.number, size_words(grown), size_words(self._settings.memory),
                    )  # fmt: skip
                    self._retire(worker)

    # --- ends and beginnings

    def _retire(self, worker: WorkerProcess) -> None:
        worker.retiring = True
        self._put_back(worker.take_back())
        if not worker.pending and not worker.gone:
            worker.close()

    def _bury(self, worker: WorkerProcess, heard: Heard, now: float) -> None:
        """Take leave of a worker that has gone; what it did not begin goes to another one."""
        if not worker.is_buried:
            worker.is_buried = True
            self._heed(worker, heard)  # its last words: what it did end, it has said
            self._put_back(worker.take_back())
            while worker.pending:  # one at most, but for a worker that counts otherwise
                self._lose_head(worker, heard)
        self._forget_asks(worker)
        if worker in self._workers:
            self._workers.remove(worker)
            self._leaving.append(worker)
            if not worker.ready and not worker.retiring:
                self._never_ready(worker, now)
        self._log_printed(worker)
        if worker.reap():
            self._leaving.remove(worker)
        elif not worker.is_killed:
            worker.kill()

    def _never_ready(self, worker: WorkerProcess, now: float) -> None:
        words = "it took too long" if worker.is_killed else worker.ending()
        component, by_others = worker.importing or "", worker.was_killed_by_others
        self._killed_importing[component] += by_others
        if component and not (by_others and self._killed_importing[component] < _BLAMED_AFTER):
            sentence = f"{component}: importing it ended its process: {words}"
            self._refused[component] = sentence
            self._logger.error("a component cannot be used: %s", sentence)
            return
        self._failed_starts += 1
        delay = min(_LONGEST_DELAY, 0.1 * 2**self._failed_starts)
        self._start_at = now + delay
        self._logger.error(
            "action worker %d ended before it was ready: %s; the next one starts in %.1f s",
            worker.number, words, delay,
        )  # fmt: skip

    def _lose_head(self, worker: WorkerProcess, heard: Heard) -> None:
        """Tell what became of the order that was under way."""
        held = worker.pending.popleft()
        order, verdict = held.order.id, worker.verdict
        if order in self._withdrawn:
            self._withdrawn.discard(order)
        else:
            if verdict is None or verdict.order != order:
                reason = f"its action worker ended in the middle of it: {worker.ending()}"
                self._logger.warning("%s: %s", words_of(held), reason)
                verdict = Verdict(order, "lost", reason)
            spent = round(time.monotonic() - worker.head_since, 3)
            heard.results[order] = result_text(
                Result(order, verdict.state, None, verdict.reason, verdict.traceback, spent)
            )

    def _put_back(self, held: list[Held]) -> None:
        wanted = [each for each in held if each.order.id not in self._withdrawn]
        self._withdrawn.difference_update(each.order.id for each in held)
        if not self._ends:
            self._queue.extendleft(reversed(wanted))

    def _start(self, now: float) -> None:
        while len(self._workers) < self._settings.number and not self._ends:
            if now < self._start_at:
                return
            self._started += 1
            self._workers.append(WorkerProcess(self._started, self._config_file, self._refused))
