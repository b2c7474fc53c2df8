"""How a manager cleans its journal: a little at a time, and no more than it may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nowcast_cli.manager.housekeeping import LARGEST_BATCH, LONGEST_BATCH, REST, Housekeeping
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.store.checklist_base import write_base
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import MessageReceived, MessageRecord, RowsRemoved

OLD = "2024-01-01T00:00:00.000Z"
BEFORE = "2025-01-01T00:00:00.000Z"
COUNT = 3000


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(tmp_path / "nowcast.db")
    store.commit(
        [
            MessageReceived(
                MessageRecord(
                    number, f"m{number}", OLD, "first", "note", None, None, f"c{number}", None,
                    "decided",
                )
            )
            for number in range(1, COUNT + 1)
        ]
    )  # fmt: skip
    write_base(store.path, {}, COUNT, BEFORE)
    yield store
    store.close()


class Clock:
    """A clock by which removing a row takes a tenth of a millisecond."""

    def __init__(self, store: Store) -> None:
        self.now, self.batches, self._store = 0.0, [], store

    def remove(self, rows: RowsRemoved) -> None:
        self._store.commit([rows])
        self.batches.append(len(rows.messages))
        self.now += 1e-4 * len(rows.messages)


def test_batches_come_to_the_length_that_they_may_have_with_a_rest_between(store):
    clock = Clock(store)
    house = Housekeeping(store.path, clock.remove, lambda _pages: False, lambda: clock.now)
    assert house.due_in() is None
    house.begin({"upto": COUNT, "before": BEFORE}, BEFORE)
    while (wait := house.due_in()) is not None:
        assert wait <= REST * LONGEST_BATCH * 1.5
        clock.now += wait
        house.turn()
    assert sum(clock.batches) == COUNT - 1 == house.status()["messages"]  # the newest stays
    assert max(clock.batches) == round(LONGEST_BATCH / 1e-4) < LARGEST_BATCH
    assert house.status()["goes on"] is False
    assert store.last_number() == COUNT


def test_pages_are_given_back_after_the_rows_until_there_are_few(store):
    clock, given = Clock(store), []

    def give_back(pages: int) -> bool:
        given.append(pages)
        clock.now += 1e-5 * pages
        return len(given) < 4

    house = Housekeeping(store.path, clock.remove, give_back, lambda: clock.now)
    house.begin({"upto": COUNT, "before": BEFORE}, BEFORE)
    with pytest.raises(RequestError, match="already"):
        house.begin({"upto": COUNT, "before": BEFORE}, BEFORE)
    while (wait := house.due_in()) is not None:
        clock.now += wait
        house.turn()
    assert len(given) == 4
    assert given == sorted(given), "more at a time where it is quick"
    house.begin({"upto": COUNT, "before": BEFORE}, BEFORE)
    house.close()
    assert house.due_in() is None


def test_a_store_gives_its_unused_pages_back_where_they_are_many(store):
    store.close()
    size = store.path.stat().st_size
    store = Store(store.path)
    assert not store.give_back(100), "nothing is unused"
    store.commit([RowsRemoved(messages=tuple(range(1, COUNT)))])
    while store.give_back(20):
        pass
    store.close()
    assert store.path.stat().st_size < size / 2
