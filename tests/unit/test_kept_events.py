"""Events in the store: written, numbered, replayed, cleaned away, saved from a damaged store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.bus.kept import KeptElsewhere, KeptHere
from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.events import Events
from nowcast_cli.manager.mended_events import UNKNOWN, number_on, numbers_of, save_events
from nowcast_cli.manager.requests import answered
from nowcast_cli.manager.state import Reply, State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.event import Event
from nowcast_cli.messages.message import Message
from nowcast_cli.store import events
from nowcast_cli.store.database import Store
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.events import batch_of
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.pruning import Pruner, prunable
from nowcast_cli.store.records import RowsRemoved
from nowcast_cli.store.salvage import Salvage


def at(minute: int) -> str:
    return f"2026-11-22T03:{minute:02}:00.000Z"


def put(topic: str, n: int = 0) -> EventPut:
    return EventPut(topic, {"n": n}, "chain", 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Ten commits, a minute each: two events of jobs, and one of the checklist in every second."""
    store = Store(tmp_path / "nowcast.db")
    for turn in range(10):
        pair = (put("jobs~first~running", turn), put("jobs~second~running", turn))
        batches = [batch_of("jobs", 2 * turn + 1, at(turn), pair)]
        if turn % 2:
            one = (put("checklist~first", turn),)
            batches.append(batch_of("checklist", turn // 2 + 1, at(turn), one))
        store.commit(batches)
    yield store
    store.close()


def numbers(found: events.Replayed) -> list[tuple[str, int]]:
    return [(event.stream, event.number) for event in found.events]


def test_numbers_go_on_after_the_store_was_opened_again(store: Store) -> None:
    assert store.events.numbers() == {"jobs": 20, "checklist": 5}
    with closing(Store(store.path)) as again:
        assert again.events.numbers() == {"jobs": 20, "checklist": 5}


def test_an_event_comes_back_as_it_was_written(store: Store) -> None:
    (event,) = store.events.after({"checklist": 4}, (), 10).events
    assert event == Event(
        "checklist", 5, at(9), "checklist~first", {"n": 9}, attempt=1, correlation="chain"
    )


def test_what_json_has_no_word_for_becomes_text(store: Store) -> None:
    odd = EventPut("odd~x", {"nan": float("nan"), 3: {4}, "bytes": b"x"})
    store.commit([batch_of("odd", 1, at(11), (odd,))])
    (event,) = store.events.after({"odd": 0}, (), 10).events
    assert event.payload == {"nan": "nan", "3": [4], "bytes": "b'x'"}


def test_a_replay_begins_within_a_batch_and_says_how_far_it_goes(store: Store) -> None:
    found = store.events.after({"jobs": 17, "checklist": 5}, (), 100)
    assert numbers(found) == [("jobs", 18), ("jobs", 19), ("jobs", 20)]
    assert (found.upto, found.more) == ({"jobs": 20, "checklist": 5}, False)


def test_a_replay_of_some_topics_passes_over_the_others(store: Store) -> None:
    found = store.events.after({"jobs": 0}, ("jobs~second~",), 3)
    assert numbers(found) == [("jobs", 2), ("jobs", 4), ("jobs", 6)]
    assert (found.upto, found.more) == ({"jobs": 6}, True)
    nothing = store.events.after({"jobs": 0}, ("jobs~seco~",), 1)
    assert (numbers(nothing), nothing.upto, nothing.more) == ([], {"jobs": 10}, True)


def test_a_replay_of_large_events_comes_in_parts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_TEXT", 2 * len('{"topic":"jobs~first~running"}'))
    after, found = {"jobs": 0, "checklist": 3}, []
    for _ in range(100):
        part = store.events.after(after, (), 1000)
        assert part.upto != after
        found += numbers(part)
        after = dict(part.upto)
        if not part.more:
            break
    expected = [("jobs", number) for number in range(1, 21)]
    assert found == [*expected, ("checklist", 4), ("checklist", 5)]


def test_a_time_or_an_id_says_where_to_begin(store: Store) -> None:
    assert store.events.numbers(at(0)) == {"jobs": 0, "checklist": 0}
    assert store.events.numbers(at(4)) == {"jobs": 8, "checklist": 2}
    assert store.events.numbers(at(30)) == {"jobs": 20, "checklist": 5}
    assert store.events.numbers("jobs:9") == {"jobs": 9, "checklist": 2}


@pytest.mark.parametrize("payload", [{"since": "jobs:" + "9" * digits} for digits in (19, 5000)])
def test_an_id_that_no_event_can_have_comes_after_all(store: Store, payload: Any) -> None:
    assert asked(store, payload).payload == {"upto": {"jobs": 20, "checklist": 5}}


def test_a_replay_after_a_number_that_the_store_cannot_hold_is_refused(store: Store) -> None:
    assert asked(store, {"after": {"jobs": 1 << 63}}).type == "refused"


def asked(store: Store, payload: Any) -> Reply:
    kept = Events(store.events, EventMaker(lambda _: None, ()), lambda *_: None)
    return answered(lambda: kept.questions["events"](Turn(State()), payload))


def test_the_latest_events_of_all_streams_come_in_the_order_of_commits(store: Store) -> None:
    with closing(open_to_read(store.path)) as connection:
        last = events.latest(connection, (), None, 4)
        assert [event.id for event in last] == ["jobs:18", "jobs:19", "jobs:20", "checklist:5"]
        since = events.latest(connection, ("checklist~",), at(6), 100)
        assert [event.id for event in since] == ["checklist:4", "checklist:5"]


def test_old_events_go_and_the_newest_of_each_stream_stays(store: Store) -> None:
    old = prunable(store.path, at(0), at(5))
    assert (old.messages, old.batches) == (0, 7)
    pruner = Pruner(store.path, old)
    while (batch := pruner.batch(2)) is not None:
        store.commit([batch])
    pruner.close()
    assert numbers(store.events.after({"jobs": 0}, (), 3)) == [
        ("jobs", 11),
        ("jobs", 12),
        ("jobs", 13),
    ]
    old = prunable(store.path, at(0), at(59))
    pruner = Pruner(store.path, old)
    gone = RowsRemoved()
    while (batch := pruner.batch(50)) is not None:
        store.commit([batch])
        gone = batch
    pruner.close()
    assert gone.event_batches
    assert store.events.numbers() == {"jobs": 20, "checklist": 5}
    with closing(open_to_read(store.path)) as connection:
        assert events.holes(connection, 5) == []


def test_a_hole_and_what_is_no_batch_are_found(store: Store) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM event_batch WHERE stream = 'jobs' AND first = 5")
        connection.execute(
            "UPDATE event_batch SET events = '{' WHERE stream = 'jobs' AND first = 9"
        )
    with closing(open_to_read(store.path)) as connection:
        assert events.holes(connection, 5) == [("jobs", 4, 6)]
        assert events.unreadable(connection, 5) == [("jobs", 9)]


def test_no_number_is_given_twice_after_an_older_store_was_put_back(
    store: Store, tmp_path: Path
) -> None:
    with closing(Store(tmp_path / "older.db")) as older:
        older.commit([batch_of("jobs", 1, at(0), (put("jobs~first~running"),))])
        number_on(older, numbers_of(store.path), {"first": 1}, "store restored", at(30))
        found = older.events.numbers()
        assert (found["jobs"], found["checklist"], found["daemons"]) == (20, 6, 1)
        whole = older.events.after({"checklist": 0}, (), 10)
        assert [(e.number, e.topic, e.payload) for e in whole.events] == [
            (6, "checklist", {"first": 1})
        ]
        assert older.events.after({"jobs": 1}, (), 10).upto == {"jobs": 20}
        (told,) = older.events.after({"daemons": 0}, (), 10).events
        assert told.topic == "daemons~store~restored"


def test_where_nobody_knows_the_numbers_many_are_passed_over(store: Store, tmp_path: Path) -> None:
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0 and no more")
    assert numbers_of(tmp_path / "torn.db") is None
    number_on(store, None, {}, "store repaired", at(30))
    assert store.events.numbers()["jobs"] == 20 + UNKNOWN


def test_events_are_saved_from_a_damaged_store_around_what_is_lost(
    store: Store, tmp_path: Path
) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute(
            "UPDATE event_batch SET events = '{' WHERE stream = 'jobs' AND first = 9"
        )
    with closing(Store(tmp_path / "new.db")) as new, closing(Salvage(store.path)) as salvage:
        new.commit([batch_of("jobs", 1, at(0), (put("jobs~first~running"),))])

        def commit(batches: object) -> int:
            new.commit(batches)  # type: ignore[arg-type]
            return 0

        save_events(new, salvage, commit)
        assert salvage.whole["event_batch"]
        assert new.events.numbers() == {"jobs": 20, "checklist": 5}
        found = [number for _, number in numbers(new.events.after({"jobs": 0}, (), 100))]
        assert found == [1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
        with closing(open_to_read(new.path)) as connection:
            assert events.holes(connection, 5) == []


def test_what_is_committed_while_events_are_read_is_not_passed_over(store: Store) -> None:
    """Before each statement of the reader somebody commits another event."""
    last = 20

    def commit_another(_: str) -> None:
        nonlocal last
        last += 1
        store.commit([batch_of("jobs", last, at(30), (put("jobs~first~running"),))])

    found: list[int] = []
    upto = {"jobs": 0}
    with closing(open_to_read(store.path)) as reader:
        reader.set_trace_callback(commit_another)
        for _ in range(5):
            replayed = events.replay(reader, upto, (), 1000)
            found += (event.number for event in replayed.events)
            upto = dict(replayed.upto)
    assert found == [*range(1, upto["jobs"] + 1)]


class _Manager:
    """What answers requests about events, without a wire between."""

    def __init__(self, store: Store) -> None:
        self.store, self.asked = store, 0

    def ask(self, message: Message) -> Message:
        self.asked += 1
        reply = asked(self.store, message.payload)
        return Message("manager", reply.type, reply.payload)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("since", [None, at(4), "jobs:9"])
@pytest.mark.parametrize("limit", [None, 0, 2, 3, 100])
@pytest.mark.parametrize("topics", [(), ("jobs~first~",), ("checklist~", "jobs~second~")])
def test_another_host_gets_the_same_last_events(
    store: Store, topics: tuple[str, ...], limit: int | None, since: str | None
) -> None:
    there: Any = _Manager(store)
    store.commit([batch_of("jobs", 21, at(12), [put("jobs~third~running")] * 2000)])
    found = KeptElsewhere(there).latest(topics, since, limit)
    here = KeptHere(store.path).latest(topics, since, limit)
    assert sorted(event.id for event in found) == sorted(event.id for event in here)
    assert there.asked < 20
