"""The index of operational files in the store: what is written is read, by look-ups alone."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.identifiers import new_id
from nowcast_cli.store.database import Store
from nowcast_cli.store.product_records import (
    LOCAL,
    DataInstancePut,
    DataInstanceRecord,
    DataPut,
    DataRecord,
    FileRecord,
    InstancePut,
    InstanceRecord,
    ProductPut,
    ProductRecord,
)
from nowcast_cli.store.products import Products
from nowcast_cli.store.pruning import Prunable, Pruner
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import RowsRemoved
from nowcast_cli.store.salvage import Salvage

NOW = "2026-11-22T10:00:00.000Z"
REFERENCES = [f"2026-11-{day:02}T00:00:00Z" for day in range(1, 21)]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "nowcast.db"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def an_instance(reference: str, version: int = 1, **more: Any) -> InstanceRecord:
    return InstanceRecord(new_id(), "hrdps", reference, version, NOW, NOW, **more)


def a_file(instance: InstanceRecord, name: str, **more: Any) -> FileRecord:
    data = DataRecord(new_id(), instance.id, name, ("u", "v"), NOW, NOW, None, NOW, NOW)
    url = f"file:///results/{instance.reference}/{name}"
    digest = f"{instance.version:064x}"
    file = DataInstanceRecord(
        new_id(), data.id, url, LOCAL, "csv", 10, digest, False, NOW, NOW, inputs={"files": []}
    )
    return FileRecord(data, replace(file, **more))


def puts(instance: InstanceRecord, *files: FileRecord) -> list[Any]:
    changes: list[Any] = [InstancePut(instance)]
    for file in files:
        changes += (DataPut(file.data), DataInstancePut(file.file))
    return changes


def test_what_is_written_is_read(path, store):
    product = ProductRecord(new_id(), "hrdps", {"title": "Fields"}, NOW, NOW, NOW, (REFERENCES[0],))
    old = an_instance(REFERENCES[0], complete=NOW, expects={"count": 2}, files=2, size=20)
    new = an_instance(REFERENCES[0], 2, missing={"parts": []}, job="j")
    files = [a_file(old, "a.csv"), a_file(old, "b.csv")]
    store.commit([ProductPut(product), *puts(old, *files), *puts(new)])

    with Reader(path) as reader:
        index = reader.products
        assert index.products() == [index.product("hrdps")] == [product]
        assert index.instance(old.id) == old
        assert index.latest("hrdps") == index.version("hrdps", REFERENCES[0]) == new
        assert index.latest("hrdps", complete=True) == old
        assert index.versions("hrdps", REFERENCES[0]) == index.history("hrdps") == [new, old]
        assert index.files(old.id) == files
        assert index.file_at(files[0].file.url) == index.file(files[0].file.id) == files[0]
        assert index.files_with(files[0].file.sha256) == files
        assert index.instance_ids(old.id[-8:]) == [old.id]
        assert [storage.name for storage in index.storages()] == [LOCAL]


def test_an_url_has_one_file_at_a_time_and_leftovers_are_found(store):
    first = an_instance(REFERENCES[0])
    second = an_instance(REFERENCES[0], 2)
    (before, after) = (a_file(first, "a.csv"), a_file(second, "a.csv"))
    store.commit(puts(first, before))
    gone = replace(before.file, deleted=NOW)
    store.commit([DataInstancePut(gone), *puts(second, after)])

    assert store.products.file_at(after.file.url) == after
    assert store.products.files(first.id) == []
    assert store.products.files(first.id, deleted=True) == [FileRecord(before.data, gone)]
    assert store.products.leftovers() == [gone]
    store.commit([DataInstancePut(replace(gone, removed=NOW))])
    assert store.products.leftovers() == []
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(puts(first, a_file(first, "a.csv")))


def test_what_is_forgotten_leaves_nothing(store):
    instance = an_instance(REFERENCES[0])
    store.commit(puts(instance, a_file(instance, "a.csv")))
    store.commit([RowsRemoved(product_instances=(instance.id,))])

    assert store.products.history("hrdps", deleted=True) == []
    assert store.products.files(instance.id, deleted=True) == []


QUESTIONS: dict[str, Callable[[Products], Any]] = {
    "by id": lambda index: index.instance("i"),
    "by a part of the id": lambda index: index.instance_ids("abcdefgh"),
    "the latest": lambda index: index.latest("hrdps"),
    "the latest complete one": lambda index: index.latest("hrdps", complete=True),
    "the latest version": lambda index: index.version("hrdps", REFERENCES[0]),
    "the complete version": lambda index: index.version("hrdps", REFERENCES[0], complete=True),
    "all versions": lambda index: index.versions("hrdps", REFERENCES[0]),
    "the history": lambda index: index.history("hrdps", 20),
    "the history with what is gone": lambda index: index.history("hrdps", 20, deleted=True),
    "the files of an instance": lambda index: index.files("i"),
    "a file by its url": lambda index: index.file_at("file:///a"),
    "a file by its id": lambda index: index.file("f"),
    "files by their checksum": lambda index: index.files_with("0"),
    "data by name": lambda index: index.data_named("i", "a.csv"),
    "expired files": lambda index: index.expired("2027"),
    "leftovers": lambda index: index.leftovers(),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_a_look_up(path, store, question):
    store.commit([change for each in REFERENCES for change in puts(an_instance(each))])
    asked: list[str] = []
    with Reader(path) as reader:
        connection = reader._connection
        connection.set_trace_callback(asked.append)
        QUESTIONS[question](reader.products)
        connection.set_trace_callback(None)
        plan = [
            row[3] for query in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")
        ]

    assert plan
    assert not [step for step in plan if step.startswith("SCAN") and "leftover" not in step], plan
    if question.startswith("the latest"):
        assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_json_columns_are_json(path, store):
    store.commit(puts(an_instance(REFERENCES[0], expects={"count": 1})))
    with sqlite3.connect(path) as connection:
        (text,) = connection.execute("SELECT expects FROM product_instance").fetchone()
    connection.close()
    assert json.loads(text) == {"count": 1}


def test_what_is_readable_of_a_damaged_store_is_saved(path, store, tmp_path):
    instance = an_instance(REFERENCES[0], complete=NOW, files=2)
    files = [a_file(instance, name) for name in ("a.csv", "b.csv")]
    product = ProductRecord(new_id(), "hrdps", {"title": "Fields"}, NOW, NOW, NOW)
    store.commit([ProductPut(product), *puts(instance, *files)])

    with closing(Store(tmp_path / "new.db")) as new, closing(Salvage(path)) as salvage:
        new.commit(list(salvage.products()))
        assert new.products.products() == [product]
        assert new.products.latest("hrdps", complete=True) == instance
        assert new.products.files(instance.id) == files


def test_what_was_deleted_long_ago_is_forgotten_with_the_journal(path, store):
    gone = an_instance(REFERENCES[0], deleted=NOW)
    half = an_instance(REFERENCES[1], deleted=NOW)
    kept = an_instance(REFERENCES[2])
    store.commit(
        puts(gone, a_file(gone, "a.csv", deleted=NOW, removed=NOW))
        + puts(half, a_file(half, "a.csv", deleted=NOW))
        + puts(kept, a_file(kept, "a.csv"))
    )
    with closing(Pruner(path, Prunable("2027", 0, 0))) as pruner:
        while (batch := pruner.batch(100)) is not None:
            store.commit([batch])

    assert store.products.history("hrdps", deleted=True) == [kept, half]
    assert store.products.files(gone.id, deleted=True) == []
