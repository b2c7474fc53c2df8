"""Who may write the store: whoever opened it last, and nobody before."""

import sqlite3
import threading

import pytest

from nowcast_cli.store.database import Store
from nowcast_cli.store.leader import Deposed
from nowcast_cli.store.records import MessageReceived, MessageRecord

NOW = "2026-11-22T03:04:05.678Z"


def a_message(number):
    return MessageRecord(
        number, f"m{number}", NOW, "first", "success", "{payload: 1}", None, "c", "success",
        "received",
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nowcast.db"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def test_who_opened_the_store_before_somebody_else_writes_nothing_any_more(path, store):
    store.commit([MessageReceived(a_message(1))])
    next_one = Store(path)

    for write in (
        lambda: store.commit([MessageReceived(a_message(2))]),
        lambda: store.commit([]),
        lambda: store.save_checklist(1),
    ):
        with pytest.raises(Deposed) as raised:
            write()
        assert str(path) in raised.value.what
    assert next_one.last_number() == 1
    next_one.commit([MessageReceived(a_message(2))])
    next_one.save_checklist(2)
    next_one.close()


def test_who_waits_for_a_lock_while_another_opens_the_store_is_refused_when_it_is_free(path, store):
    """The epoch is looked at inside of the transaction: between the look and the commit is no gap.

    ``other`` stands for a leader that was stopped in the midst of a transaction.
    """
    store.close()
    old = Store(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE leader SET epoch = epoch + 1")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    with pytest.raises(Deposed):
        old.commit([MessageReceived(a_message(1))])
    release.join()

    assert old.last_number() == 0
    other.close()
    old.close()
