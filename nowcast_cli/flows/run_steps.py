"""The steps of a run that goes on: found by name, and counted, so that none has to be looked for.

A run may have ten thousand of one step. What is asked at each of their ends (whether that was the
last one, which may begin next) is answered from counts that are kept as the steps change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import heappop, heappush

from nowcast_cli.flows.definition import BEGINNING
from nowcast_cli.store.flow_records import ENDED_WELL, StepRecord, StepState

_ALONE = -1  # in place of the item of a step that is one


class _Instances:
    """All there is of one step: by item, how many of them are open, and how many ended badly.

    ``ready`` is a heap of (item, attempt): those that wait, and for no delay any more. Others that
    were ready once stay in it until they come to the front.
    """

    __slots__ = ("bad", "open", "ready", "records")

    def __init__(self) -> None:
        self.records: dict[int | None, StepRecord] = {}
        self.open = 0
        self.bad = 0
        self.ready: list[tuple[int, int]] = []

    def next_ready(self) -> StepRecord | None:
        while self.ready:
            item, attempt = self.ready[0]
            record = self.records[None if item == _ALONE else item]
            if record.state == "waiting" and record.attempt == attempt:
                return record
            heappop(self.ready)
        return None


class RunSteps(dict[tuple[str, int | None], StepRecord]):
    """The steps of a run, by name and item; only ``put`` changes them.

    ``ready`` names the steps of which some may be ready to begin; ``ended`` those of which some
    have ended since it was made anew, at first the beginning. ``waiting``, ``running`` and ``bad``
    count those that wait, that run, and that ended badly.
    """

    __slots__ = ("_by_name", "bad", "ended", "ready", "running", "waiting")

    def __init__(self, records: Iterable[StepRecord] = ()) -> None:
        super().__init__()
        self._by_name: dict[str, _Instances] = {}
        self.ready: set[str] = set()
        self.ended: set[str] = {BEGINNING}
        self.waiting = self.running = self.bad = 0
        for record in records:
            self.put(record)

    def put(self, record: StepRecord) -> None:
        """Take a step that has come to be, or has changed."""
        name, item, state = record.step, record.item, record.state
        mine = self._by_name.get(name)
        if mine is None:
            mine = self._by_name[name] = _Instances()
        before = mine.records.get(item)
        mine.records[item] = self[(name, item)] = record
        if before is None:
            self._count(mine, state, 1)
        elif before.state != state:
            self._count(mine, before.state, -1)
            self._count(mine, state, 1)
        if state == "waiting":
            if record.delay is None:
                self.let_begin(record)
        elif state != "running":
            self.ended.add(name)

    def _count(self, mine: _Instances, state: StepState, by: int) -> None:
        if state == "running":
            self.running += by
            mine.open += by
        elif state == "waiting":
            self.waiting += by
            mine.open += by
        elif state not in ENDED_WELL:
            self.bad += by
            mine.bad += by

    def let_begin(self, record: StepRecord) -> None:
        """Take it that the delay of a step which waits is over."""
        item = _ALONE if record.item is None else record.item
        heappush(self._by_name[record.step].ready, (item, record.attempt))
        self.ready.add(record.step)

    def next_ready(self, name: str) -> StepRecord | None:
        """Give the first one of a step that waits for no delay; None where there is none."""
        found = self._by_name[name].next_ready()
        if found is None:
            self.ready.discard(name)
        return found

    def names_that_wait(self) -> list[str]:
        """Name the steps of which some are ready to begin."""
        return [name for name in tuple(self.ready) if self.next_ready(name) is not None]

    def of(self, name: str) -> Collection[StepRecord]:
        """Give all there is of one step."""
        mine = self._by_name.get(name)
        return () if mine is None else mine.records.values()

    def has(self, name: str) -> bool:
        """Say whether a step has come to be."""
        return name in self._by_name

    def is_over(self, name: str) -> bool:
        """Say whether a step has come to be, and nothing of it is open."""
        mine = self._by_name.get(name)
        return mine is not None and not mine.open

    def ended_badly(self, name: str) -> bool:
        """Say whether something of a step has."""
        mine = self._by_name.get(name)
        return mine is not None and mine.bad > 0


def counted(steps: Mapping[tuple[str, int | None], StepRecord]) -> RunSteps:
    """Give the steps of a run as ones that are counted: the same ones, where they are already."""
    return steps if isinstance(steps, RunSteps) else RunSteps(steps.values())
