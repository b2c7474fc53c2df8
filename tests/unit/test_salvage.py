"""Reading around damage: what is read was written, and nothing else comes of any damage."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from nowcast_cli.store.database import Store
from nowcast_cli.store.records import JobPut, JobRecord, MessageReceived, MessageRecord
from nowcast_cli.store.salvage import Salvage

COUNT = 600
AT = "2026-11-22T00:00:00.000Z"


def message(number: int) -> MessageRecord:
    return MessageRecord(
        number, f"id-{number:05}", AT, "first", "success", "x" * 500, None, f"c{number}", "success",
        "decided",
    )  # fmt: skip


def job(number: int) -> JobRecord:
    return JobRecord(
        f"j{number:05}", "first", "workers.first", ("-x",), "localhost", "local", "succeeded", 1,
        None, number, f"c{number}", None, AT, AT, AT, number, {"code": 0}, None, number,
    )  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "nowcast.db"
    store = Store(path)
    store.commit([MessageReceived(message(number)) for number in range(1, COUNT + 1)])
    store.commit([JobPut(job(number)) for number in range(1, COUNT + 1)])
    store.close()
    return path.read_bytes()


def salvaged(path: Path, content: bytes) -> tuple[list[MessageRecord], list[JobRecord], Salvage]:
    path.write_bytes(content)
    salvage = Salvage(path)
    try:
        messages = list(salvage.messages(0, COUNT))
        jobs = list(salvage.jobs())
        list(salvage.barriers()), list(salvage.schedule()), list(salvage.holds())
    finally:
        salvage.close()
    return messages, jobs, salvage


def test_all_of_a_sound_store_is_read(sound, tmp_path):
    messages, jobs, salvage = salvaged(tmp_path / "s.db", sound)

    assert messages == [message(number) for number in range(1, COUNT + 1)]
    assert jobs == [job(number) for number in range(1, COUNT + 1)]
    assert all(salvage.whole.values())


@pytest.mark.parametrize("part", [0.3, 0.6])
def test_the_beginning_of_a_file_that_was_cut_is_read(sound, tmp_path, part):
    cut = sound[: int(len(sound) * part)]

    messages, _, salvage = salvaged(tmp_path / "s.db", cut)

    assert 0 < len(messages) < COUNT
    assert all(record == message(record.number) for record in messages)
    assert not salvage.whole["message"]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_read_around_overwritten_pages_was_written(sound, tmp_path, seed):
    chance = random.Random(seed)
    content = bytearray(sound)
    for page in chance.sample(range(1, len(content) // 4096), 12):
        content[page * 4096 : (page + 1) * 4096] = bytes([chance.randrange(256)]) * 4096

    messages, jobs, _ = salvaged(tmp_path / "s.db", bytes(content))

    assert all(record == message(record.number) for record in messages)
    assert all(record == job(int(record.id[1:])) for record in jobs)
    assert len({record.number for record in messages}) == len(messages)


@pytest.mark.parametrize("seed", range(25))
def test_no_damage_ends_the_reading_in_an_error(sound, tmp_path, seed):
    chance = random.Random(seed)
    content = bytearray(sound)
    for _ in range(chance.randrange(1, 40)):
        at = chance.randrange(100, len(content))
        length = chance.randrange(1, 300)
        content[at : at + length] = chance.randbytes(len(content[at : at + length]))

    salvaged(tmp_path / "s.db", bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 1000, bytes(8192)])
def test_a_file_that_is_no_database_gives_nothing(tmp_path, content):
    assert salvaged(tmp_path / "s.db", content)[:2] == ([], [])


def test_a_database_of_somebody_else_gives_nothing(tmp_path):
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE message (words TEXT)")
        other.execute("INSERT INTO message VALUES ('hello')")
    other.close()
    assert salvaged(path, path.read_bytes())[:2] == ([], [])
