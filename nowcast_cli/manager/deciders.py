"""Which decider decides on which message: in order of arrival, and never held up by one for long.

One decider takes all messages. When a call takes longer than ``SLOW`` seconds while others wait,
that decider keeps this one message and another is started for the rest; further messages of the
same worker wait for the slow call. Past the deadline a decider is killed, and its message is stuck.
"""

from __future__ import annotations

import logging
import select
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nowcast_cli.crash_points import reached
from nowcast_cli.manager.decider_process import DeciderProcess
from nowcast_cli.manager.decision import decision_from_json
from nowcast_cli.manager.state import Entry
from nowcast_cli.manager.transitions import Decision
from nowcast_cli.manager.watched_files import WatchedFiles

SLOW = 1.0
# A process that is killed while it loads says nothing against the module: the memory ran out, or
# somebody took it for another one. A module that has its own process killed is found out by this.
LOADS_THAT_MAY_BE_KILLED = 3

_logger = logging.getLogger("manager")


@dataclass(frozen=True, slots=True)
class Decided:
    """The end of a decision: what was decided, or why nothing could be."""

    number: int
    result: Decision | str


class Deciders:
    """The deciders of a manager. Its descriptor is readable when one of them has spoken."""

    def __init__(
        self,
        start: Callable[[], DeciderProcess],
        *,
        module_file: str,
        deadline: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._start = start
        self._deadline = deadline
        self._monotonic = monotonic
        self._module_file = module_file
        self._epoll = select.epoll()
        self._current: DeciderProcess | None = None
        self._candidate: DeciderProcess | None = None
        self._aside: list[DeciderProcess] = []
        self._waiting: deque[Entry] = deque()
        self._failed: list[Decided] = []
        self._loads_killed = 0
        self._files = WatchedFiles(monotonic)
        self._after_functions: frozenset[str] | None = None
        self.broken: str | None = None
        self.refused: str | None = None

    def fileno(self) -> int:
        """Give the descriptor to poll."""
        return self._epoll.fileno()

    @property
    def after_functions(self) -> frozenset[str] | None:
        """Names of the functions that decide; None while a module is being loaded."""
        return None if self._candidate else self._after_functions

    @property
    def loaded(self) -> bool:
        """Whether it is known if the module can be loaded."""
        return self.broken is not None or self._after_functions is not None

    def enqueue(self, entries: Iterable[Entry]) -> None:
        """Take in messages that are committed, in their order."""
        now = self._monotonic()
        blocked = self._blocked_sources()
        for entry in entries:
            if self._candidate is not None:
                self._candidate.send(replace(entry, decide=False), now)
            if self._current is None:
                if entry.decide:
                    self._waiting.append(replace(entry, effect="none"))
            elif entry.decide and (self._candidate or entry.source in blocked or self._waiting):
                self._current.send(replace(entry, decide=False), now)
                self._waiting.append(replace(entry, effect="none"))
            else:
                self._current.send(entry, now)
        reached("manager.enqueued")

    def _blocked_sources(self) -> set[str]:
        return {entry.source for decider in self._aside for entry in decider.pending}

    def modules_changed(self) -> bool:
        """Say whether files that the current module came from have changed; then it is reloaded."""
        if self._candidate or not self.loaded or not self._files.changed():
            return False
        self.load_anew()
        return True

    def reload(self) -> None:
        """Load module and configuration anew; a module that cannot be loaded is refused.

        The old one goes on until the new one is loaded, or for good: then ``refused`` says why.
        """
        self.refused = None
        if self._candidate is not None:
            self._end(self._candidate)
            self._candidate = None
        if self._current is None or self._after_functions is None:
            self.load_anew()
        else:
            self._candidate = self._started()

    def load_anew(self) -> None:
        """Load module and configuration anew; what is being decided ends with the old ones."""
        current, loading = self._current, self._after_functions is None
        self.broken = None
        self._after_functions = None
        if current is None:
            return
        if loading:  # it has decided nothing, and what it loads may be broken
            self._take_back(current.pending)
            current.pending.clear()
        self._put_aside(current)

    def _take_back(self, entries: Sequence[Entry]) -> None:
        self._waiting.extendleft(replace(entry, effect="none") for entry in reversed(entries))

    def _put_aside(self, decider: DeciderProcess) -> None:
        self._current = None
        if decider.pending:
            self._aside.append(decider)
        else:
            self._end(decider)

    def _end(self, decider: DeciderProcess) -> str:
        self._epoll.unregister(decider.fileno())
        return decider.end()

    def pump(self) -> None:
        """Start, feed and replace deciders as is due; after a commit, when all is enqueued."""
        now = self._monotonic()
        self._kill_overdue(now)
        self._step_past_slow(now)
        if self._current is None and self.broken is None:
            self._current = self._started()
        if self.broken is not None:
            self._failed += [Decided(entry.number, self.broken) for entry in self._waiting]
            self._waiting.clear()
        elif self._waiting and self._candidate is None:
            self._feed(now)
        for decider in (self._current, self._candidate):
            if decider is not None:
                decider.flush()

    def _started(self) -> DeciderProcess:
        decider = self._start()
        self._files.begin_loading(decider.began)
        decider.head_since = self._monotonic()
        self._epoll.register(decider.fileno(), select.EPOLLIN)
        return decider

    def _feed(self, now: float) -> None:
        assert self._current is not None
        blocked = self._blocked_sources()
        still_waiting: deque[Entry] = deque()
        for entry in self._waiting:
            if entry.source in blocked:
                still_waiting.append(entry)
            else:
                self._current.send(entry, now)
        self._waiting = still_waiting

    def _step_past_slow(self, now: float) -> None:
        current = self._current
        if current is None or not current.pending or self._after_functions is None:
            return
        others = len(current.pending) > 1 or self._waiting
        if not others or now - current.head_since < SLOW:
            return
        rest = list(current.pending)[1:]
        while len(current.pending) > 1:
            current.pending.pop()
        self._take_back(rest)
        current.tell_to_stop()
        self._put_aside(current)

    def _kill_overdue(self, now: float) -> None:
        for decider in self._running():
            loading = self._is_loading(decider)
            if (decider.pending or loading) and now - decider.head_since > self._deadline():
                how = (
                    f"it took longer than {self._deadline():g} s and was ended (`next workers: "
                    f"deadline` in nowcast.yaml sets the limit)"
                )
                self._drop(decider, how, loading)

    def _running(self) -> list[DeciderProcess]:
        return [*self._aside, *filter(None, (self._current, self._candidate))]

    def _is_loading(self, decider: DeciderProcess) -> bool:
        return decider is self._candidate or (
            decider is self._current and self._after_functions is None
        )

    def _drop(self, decider: DeciderProcess, how: str, loading: bool) -> None:
        """End a decider; the message that it was at is stuck, the others go to the next one."""
        ending = self._end(decider)
        was_killed = not how and decider.was_killed
        how = how or f"the interpreter ended in the middle: {ending}"
        pending = deque(decider.pending)
        if decider is self._candidate:
            self._refuse(how, [self._module_file])
        elif loading and was_killed and self._loads_killed < LOADS_THAT_MAY_BE_KILLED:
            self._loads_killed += 1
            _logger.warning("next_workers is loaded again: %s", how)
        elif loading:
            self.broken = f"the next_workers module could not be loaded: {how}"
            self._files.loaded([self._module_file])
        elif pending:
            head = pending.popleft()
            self._failed.append(Decided(head.number, f"after_{head.source}: {how}"))
        self._take_back(pending)
        if decider is self._current:
            self._current = None
        elif decider is self._candidate:
            self._candidate = None
        else:
            self._aside.remove(decider)

    def _refuse(self, why: str, files: Collection[str]) -> None:
        """Go on with the old module, until files of the one that is refused change again."""
        self.refused = why
        self._files.loaded(files)
        _logger.error("next_workers is not reloaded, the old module goes on: %s", why.strip())

    def results(self) -> list[Decided]:
        """Give the decisions that have been made, or have failed, since the last call."""
        now = self._monotonic()
        results = list(self._read_all(now))
        failed, self._failed = self._failed, []
        return results + failed

    def _read_all(self, now: float) -> Iterator[Decided]:
        for decider in self._running():
            loading = self._is_loading(decider)
            for answer in decider.answers(now):
                if "number" in answer:
                    yield _decided(answer)
                elif decider is self._candidate:
                    self._judge(answer, decider, now)
                    loading = False
                elif decider is self._current:
                    self._take_first_answer(answer, decider, now)
                    loading = False
            if decider not in self._running():
                continue  # a candidate that was refused
            if self.broken is not None and decider is self._current:
                yield from self._fail_all(decider)
            elif decider.gone:
                self._drop(decider, "", loading)
            elif decider in self._aside and not decider.pending:
                self._aside.remove(decider)
                self._end(decider)

    def _take_first_answer(
        self, answer: dict[str, Any], decider: DeciderProcess, now: float
    ) -> None:
        decider.head_since = now
        self._loads_killed = 0
        self._files.loaded({self._module_file, *answer["files"]})
        self.broken = answer["broken"]
        if self.broken is None:
            self._after_functions = frozenset(answer["after"])

    def _judge(self, answer: dict[str, Any], candidate: DeciderProcess, now: float) -> None:
        """Put the module that was loaded anew in place of the old one, or refuse it."""
        self._candidate = None
        if answer["broken"] is not None:
            self._end(candidate)
            self._refuse(answer["broken"], {self._module_file, *answer["files"]})
            return
        if self._current is not None:
            self._put_aside(self._current)
        self._current = candidate
        self._take_first_answer(answer, candidate, now)

    def _fail_all(self, decider: DeciderProcess) -> Iterator[Decided]:
        assert self.broken is not None
        self._end(decider)
        self._current = None
        for entry in (*decider.pending, *self._waiting):
            yield Decided(entry.number, self.broken)
        self._waiting.clear()

    def wait_at_most(self) -> float | None:
        """Give the seconds until a decider may be slow or overdue; None when nothing is open."""
        if self._failed:
            return 0.0
        if any(not decider.flush() for decider in self._running()):
            return 0.005
        now = self._monotonic()
        limits = []
        for decider in self._running():
            if decider.pending or self._is_loading(decider):
                limits.append(decider.head_since + self._deadline() - now)
            if decider is self._current and (len(decider.pending) > 1 or self._waiting):
                limits.append(decider.head_since + SLOW - now)
        return max(0.0, min(limits) + 0.001) if limits else None

    def close(self) -> None:
        """End all deciders; what they were at is decided again by the next manager."""
        for decider in self._running():
            self._end(decider)
        self._epoll.close()


def _decided(answer: dict[str, Any]) -> Decided:
    error = answer.get("error")
    return Decided(answer["number"], decision_from_json(answer) if error is None else error)
