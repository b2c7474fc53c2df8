"""What may go from the journal, and that the rest tells what all of it did."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.messages import wire
from nowcast_cli.store.checklist_base import base_number, read_base, write_base
from nowcast_cli.store.database import Store
from nowcast_cli.store.merging import fold
from nowcast_cli.store.opening import open_to_read
from nowcast_cli.store.pruning import (
    Prunable,
    Pruner,
    effects_between,
    move_base,
    prunable,
)
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import (
    BarrierPut,
    BarrierRecord,
    Change,
    EnsemblePut,
    EnsembleRecord,
    JobPut,
    JobRecord,
    Member,
    MessageReceived,
    MessageRecord,
    SchedulePut,
    ScheduleRecord,
)

NOW = "2026-11-22T00:00:00.000Z"


def at(day: int) -> str:
    return f"2026-01-{day:02d}T00:00:00.000Z"


def message(number: int, day: int, **more: object) -> MessageRecord:
    record = MessageRecord(
        number, f"m{number}", at(day), "first", "success", None, None, f"c{number}", None, "decided"
    )
    return replace(record, **more)  # type: ignore[arg-type]


def job(job_id: str, day: int, **more: object) -> JobRecord:
    record = JobRecord(
        job_id, "first", "workers.first", (), "localhost", "local", "succeeded", 1, None, None,
        job_id, None, at(day), at(day), at(day), 1, {"code": 0},
    )  # fmt: skip
    return replace(record, **more)  # type: ignore[arg-type]


def prune(store: Store, before: str) -> None:
    what = prunable(store.path, before)
    move_base(store.path, what.upto, NOW)
    pruner = Pruner(store.path, what)
    try:
        while (batch := pruner.batch(3)) is not None:
            store.commit([batch])
    finally:
        pruner.close()


def numbers(store: Store, column: str = "number", table: str = "message") -> list[object]:
    connection = open_to_read(store.path)
    try:
        query = f"SELECT {column} FROM {table} ORDER BY 1"
        return [key for (key,) in connection.execute(query)]
    finally:
        connection.close()


@pytest.fixture
def store(tmp_path):
    with_store = Store(tmp_path / "nowcast.db")
    yield with_store
    with_store.close()


def test_old_messages_go_and_the_newest_stays(store):
    store.commit([MessageReceived(message(number, number)) for number in range(1, 8)])
    prune(store, at(5))
    assert numbers(store) == [5, 6, 7]
    prune(store, NOW)
    assert numbers(store) == [7]


@pytest.mark.parametrize("state", ["received", "stuck"])
def test_what_is_not_settled_stays_with_all_of_its_chain(store, state):
    store.commit(
        [
            MessageReceived(message(1, 1, chain="open")),
            MessageReceived(message(2, 1)),
            MessageReceived(message(3, 1, chain="open", state=state)),
            MessageReceived(message(4, 20)),
        ]
    )
    prune(store, at(10))
    assert numbers(store) == [1, 3, 4]


def test_a_chain_of_which_a_job_goes_on_stays(store):
    going_on = job("j2", 1, state="running", ended=None, exit=None, chain="open")
    store.commit(
        [
            JobPut(job("j1", 1, chain="open")),
            JobPut(going_on),
            JobPut(job("j3", 1)),
            JobPut(job("j4", 1, exit=None)),  # its process has not been seen to end
            MessageReceived(message(1, 1, chain="open")),
            MessageReceived(message(2, 20)),
        ]
    )
    prune(store, at(10))
    assert numbers(store) == [1, 2]
    assert numbers(store, "id", "job") == ["j1", "j2", "j4"]


def test_what_a_job_that_stays_follows_from_and_has_said_stays(store):
    store.commit(
        [
            JobPut(job("j1", 20, cause=1, final_message=2)),
            MessageReceived(message(1, 1)),
            MessageReceived(message(2, 1, job="j1")),
            MessageReceived(message(3, 1, job="gone")),
            MessageReceived(message(4, 20)),
        ]
    )
    prune(store, at(10))
    assert numbers(store) == [1, 2, 4]


def test_the_last_success_of_each_worker_stays(store):
    store.commit(
        [
            MessageReceived(message(1, 1, outcome="success")),
            MessageReceived(message(2, 2, outcome="success")),
            MessageReceived(message(3, 2, source="retired", outcome="success")),
            MessageReceived(message(4, 3, outcome="failure")),
            MessageReceived(message(5, 20)),
        ]
    )
    prune(store, at(10))
    assert numbers(store) == [2, 3, 5]


def test_an_ensemble_goes_with_its_last_member_and_what_members_said_is_no_success(store):
    old = EnsembleRecord(
        "e1", "first", "1..2", 2, None, None, "succeeded", None, "e1", None, at(1),
        succeeded=2, ended=at(1), final_message=3,
    )  # fmt: skip
    young = replace(old, id="e2", chain="e2", ended=at(9))
    going_on = replace(old, id="e3", chain="e3", state="open", ended=None)
    members = [
        job(f"j{number}", 1, chain="e1", ensemble="e1", member=Member(number, number, 2))
        for number in (1, 2)
    ]
    store.commit([
        *(EnsemblePut(each) for each in (old, young, going_on)),
        *(JobPut(each) for each in members),
        MessageReceived(message(1, 1, outcome="success", chain="e1", note="member 1 of e1")),
        MessageReceived(message(2, 1, outcome="success", chain="e1", note="member 2 of e1")),
        MessageReceived(message(3, 1, outcome="success", chain="e1")),
        MessageReceived(message(4, 2, outcome="success", note="member 1 of e2", chain="e2")),
        MessageReceived(message(5, 9, outcome="failure")),
    ])  # fmt: skip
    with Reader(store.path) as reader:
        assert reader.last_success("first") == at(1)
        assert [each.number for each in reader.news(0, 9, ["first"])] == [3, 5]
    prune(store, at(5))
    assert numbers(store, "id", "ensemble") == ["e2", "e3"]
    assert numbers(store, "id", "job") == []
    assert numbers(store) == [3, 5]


def test_jobs_of_the_schedule_and_barriers_that_hold_stay(store):
    def barrier(number: int, state: str, ended: str | None) -> BarrierRecord:
        return BarrierRecord(number, 1, ("first",), (), state, at(1), ended)  # type: ignore[arg-type]

    store.commit(
        [
            JobPut(job("j1", 1)),
            JobPut(job("j2", 1)),
            SchedulePut(ScheduleRecord("daily", "", at(1), at(1), "j2")),
            BarrierPut(barrier(1, "released", at(2))),
            BarrierPut(barrier(2, "active", None)),
            BarrierPut(barrier(3, "released", at(2))),
            MessageReceived(message(1, 1)),
            MessageReceived(message(2, 20)),
        ]
    )
    prune(store, at(10))
    assert numbers(store, "id", "job") == ["j2"]
    assert numbers(store, "number", "barrier") == [2, 3]


def test_nothing_goes_that_the_base_of_the_checklist_does_not_hold(store):
    store.commit([MessageReceived(message(1, 1)), MessageReceived(message(2, 20))])
    with pytest.raises(ValueError, match="ends before message 1"):
        Pruner(store.path, Prunable(at(10), 1, 1))
    write_base(store.path, {}, 1, NOW)
    Pruner(store.path, Prunable(at(10), 1, 1)).close()


def test_nothing_is_old_in_an_empty_store_or_a_young_one(store):
    assert prunable(store.path, NOW).messages == 0
    store.commit([MessageReceived(message(1, 20))])
    assert prunable(store.path, at(10)).messages == 0


EFFECTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "clear", None]),
        st.sampled_from(["tide", "wind", 3]),
        st.one_of(st.integers(), st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(EFFECTS, st.lists(st.integers(1, 25), max_size=3))
def test_the_base_and_what_is_left_fold_to_the_checklist_of_all(effects, cuts):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "nowcast.db"))
        records = [
            message(
                number,
                number,
                effect=effect,
                checklist_key=wire.dump(key) if effect == "put" else None,
                body=wire.dump({"source": "a", "type": "b", "payload": payload}),
            )
            for number, (effect, key, payload) in enumerate(effects, start=1)
        ]
        changes: list[Change] = [MessageReceived(record) for record in records]
        store.commit(changes)
        expected: dict[object, object] = {}
        fold(expected, records)
        for cut in cuts:
            prune(store, at(cut))
            base, checklist = read_base(store.path)
            assert base == base_number(store.path)
            connection = open_to_read(store.path)
            fold(checklist, effects_between(connection, base, len(records)))
            connection.close()
            assert checklist == expected
            assert numbers(store)[-1] == len(records)
        store.close()
