"""The index of operational files in the database: its rows, written and read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_args

from nowcast_cli.store.product_records import (
    DataInstancePut,
    DataInstanceRecord,
    DataPut,
    DataRecord,
    FileRecord,
    InstancePut,
    InstanceRecord,
    ProductChange,
    ProductPut,
    ProductRecord,
    StoragePut,
    StorageRecord,
)

_KINDS = frozenset(get_args(ProductChange))
SINCE = 13  # the version of the schema that has them
_Record = TypeVar("_Record")


class _Table(Generic[_Record]):
    """A table of records of one kind: its columns are their fields, some of them JSON."""

    def __init__(self, name: str, kind: type[_Record], as_json: Sequence[str] = ()) -> None:
        self.name = name
        self.kind = kind
        self.columns = tuple(each.name for each in fields(kind))  # type: ignore[arg-type]
        self._values = attrgetter(*self.columns)
        self._json = [self.columns.index(column) for column in as_json]
        marks = ", ".join("?" * len(self.columns))
        names = ", ".join(self.columns)
        self.put = f"INSERT OR REPLACE INTO {name} ({names}) VALUES ({marks})"
        self.select = f"SELECT {names} FROM {name}"

    def row_of(self, record: _Record) -> list[Any]:
        row = list(self._values(record))
        for place in self._json:
            if row[place] is not None:
                row[place] = json.dumps(row[place])
        return row

    def record_of(self, row: Iterable[Any]) -> _Record:
        values = list(row)
        for place in self._json:
            if values[place] is not None:
                found = json.loads(values[place])
                values[place] = tuple(found) if isinstance(found, list) else found
        return self.kind(*values)


PRODUCT = _Table("product", ProductRecord, ("declared", "late"))
INSTANCE = _Table("product_instance", InstanceRecord, ("expects", "missing"))
DATA = _Table("data", DataRecord, ("variables",))
FILE = _Table("data_instance", DataInstanceRecord, ("inputs",))
STORAGE = _Table("storage", StorageRecord)
# In this order a row comes after what it belongs to.
SALVAGED: tuple[tuple[_Table[Any], Callable[[Any], ProductChange]], ...] = (
    (PRODUCT, ProductPut),
    (STORAGE, StoragePut),
    (INSTANCE, InstancePut),
    (DATA, DataPut),
    (FILE, DataInstancePut),
)
_FILES = (
    f"SELECT {', '.join(f'data.{each}' for each in DATA.columns)}, "
    f"{', '.join(f'file.{each}' for each in FILE.columns)} "
    "FROM data JOIN data_instance AS file ON file.data = data.id"
)
# Not `INSERT OR REPLACE`, which would take the old row of an URL away that is not deleted yet.
_PUT_FILE = FILE.put.replace("INSERT OR REPLACE", "INSERT") + (
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{each} = excluded.{each}" for each in FILE.columns if each != "id")
)


def write(connection: sqlite3.Connection, changes: Sequence[object]) -> None:
    """Write what of the changes is about products, within the transaction of the caller.

    An instance, which each file of it changes, is written once: as all of them leave it.
    """
    if _KINDS.isdisjoint(map(type, changes)):
        return
    instances: dict[str, list[Any]] = {}
    data: dict[str, list[Any]] = {}
    files: list[list[Any]] = []
    for change in changes:
        match change:
            case DataInstancePut(file):
                files.append(FILE.row_of(file))
            case DataPut(found):
                data[found.id] = DATA.row_of(found)
            case InstancePut(instance):
                instances[instance.id] = INSTANCE.row_of(instance)
            case ProductPut(product):
                connection.execute(PRODUCT.put, PRODUCT.row_of(product))
            case StoragePut(storage):
                connection.execute(STORAGE.put, STORAGE.row_of(storage))
    connection.executemany(INSTANCE.put, instances.values())
    connection.executemany(DATA.put, data.values())
    connection.executemany(_PUT_FILE, files)


def remove(connection: sqlite3.Connection, instances: Iterable[str]) -> None:
    """Remove instances with all that they held, within the transaction of the caller."""
    for instance in instances:
        connection.execute(
            "DELETE FROM data_instance WHERE data IN (SELECT id FROM data WHERE instance = ?)",
            (instance,),
        )
        connection.execute("DELETE FROM data WHERE instance = ?", (instance,))
        connection.execute("DELETE FROM product_instance WHERE id = ?", (instance,))


class Products:
    """What the index holds, by a connection that is open. Deleted instances are given, too."""

    def __init__(self, connection: sqlite3.Connection, version: int = SINCE) -> None:
        self._connection = connection
        self._known = version >= SINCE

    def _rows(self, query: str, values: Sequence[object] = ()) -> Iterable[Any]:
        # A store of an older form, which no manager has brought up to date yet, has none.
        return self._connection.execute(query, tuple(values)) if self._known else ()

    def products(self) -> list[ProductRecord]:
        """Give all products that are known, by name."""
        rows = self._rows(f"{PRODUCT.select} ORDER BY name")
        return [PRODUCT.record_of(row) for row in rows]

    def product(self, name: str) -> ProductRecord | None:
        """Give a product, None where it is not known."""
        return self._one(PRODUCT, "name = ?", (name,))

    def instance(self, instance_id: str) -> InstanceRecord | None:
        """Give the instance of that id."""
        return self._one(INSTANCE, "id = ?", (instance_id,))

    def instance_ids(self, end_of_id: str) -> list[str]:
        """Give the ids of the instances whose id is that, or ends so; of eight characters."""
        rows = self._rows(
            "SELECT id FROM product_instance WHERE id = ?1 OR substr(id, -8) = ?1", (end_of_id,)
        )
        return [row[0] for row in rows]

    def latest(self, product: str, complete: bool = False) -> InstanceRecord | None:
        """Give the instance of the latest reference time, of those that are there."""
        more = "AND complete IS NOT NULL " if complete else ""
        return self._one(
            INSTANCE,
            f"product = ? {more}AND deleted IS NULL ORDER BY reference DESC, version DESC LIMIT 1",
            (product,),
        )

    def version(
        self, product: str, reference: str, complete: bool = False
    ) -> InstanceRecord | None:
        """Give the latest version for a reference time; with ``complete``, of what is there."""
        more = "AND complete IS NOT NULL AND deleted IS NULL " if complete else ""
        return self._one(
            INSTANCE,
            f"product = ? AND reference = ? {more}ORDER BY version DESC LIMIT 1",
            (product, reference),
        )

    def versions(self, product: str, reference: str) -> list[InstanceRecord]:
        """Give all versions for a reference time, the newest first."""
        rows = self._rows(
            f"{INSTANCE.select} WHERE product = ? AND reference = ? ORDER BY version DESC",
            (product, reference),
        )
        return [INSTANCE.record_of(row) for row in rows]

    def history(
        self,
        product: str,
        limit: int | None = None,
        deleted: bool = False,
        complete: bool = False,
    ) -> list[InstanceRecord]:
        """Give instances of a product, the latest reference time first."""
        more = "AND complete IS NOT NULL " if complete else ""
        more += "" if deleted else "AND deleted IS NULL "
        rows = self._rows(
            f"{INSTANCE.select} WHERE product = ? {more}"
            "ORDER BY reference DESC, version DESC LIMIT ?",
            (product, -1 if limit is None else limit),
        )
        return [INSTANCE.record_of(row) for row in rows]

    def files(self, instance_id: str, deleted: bool = False) -> list[FileRecord]:
        """Give the files of an instance, by name."""
        more = "" if deleted else "AND file.deleted IS NULL "
        return self._files(f"WHERE data.instance = ? {more}ORDER BY data.name", (instance_id,))

    def file_at(self, url: str) -> FileRecord | None:
        """Give what is known of a URL."""
        found = self._files("WHERE file.url = ? AND file.deleted IS NULL", (url,))
        return found[0] if found else None

    def files_with(self, sha256: str) -> list[FileRecord]:
        """Give the files that have this checksum, and are there."""
        return self._files("WHERE file.sha256 = ? AND file.deleted IS NULL", (sha256,))

    def data_named(self, instance_id: str, name: str) -> list[DataRecord]:
        """Give what an instance holds by that name, whether or not it is there still."""
        rows = self._rows(f"{DATA.select} WHERE instance = ? AND name = ?", (instance_id, name))
        return [DATA.record_of(row) for row in rows]

    def data(self, data_id: str) -> DataRecord | None:
        """Give what files hold, by its id."""
        return self._one(DATA, "id = ?", (data_id,))

    def copies(self, data_id: str) -> list[DataInstanceRecord]:
        """Give the files that hold this, and are there."""
        rows = self._rows(f"{FILE.select} WHERE data = ? AND deleted IS NULL", (data_id,))
        return [FILE.record_of(row) for row in rows]

    def expired(self, now: str) -> list[FileRecord]:
        """Give the files that were to be there until before ``now``, and are, the oldest first."""
        where = "WHERE file.expires IS NOT NULL AND file.expires <= ? AND file.deleted IS NULL"
        return self._files(f"{where} ORDER BY file.expires", (now,))

    def leftovers(self, limit: int = 1000) -> list[DataInstanceRecord]:
        """Give files that are deleted, and not known to have left the disk; the oldest first."""
        rows = self._rows(
            f"{FILE.select} WHERE deleted IS NOT NULL AND removed IS NULL ORDER BY id LIMIT ?",
            (limit,),
        )
        return [FILE.record_of(row) for row in rows]

    def file(self, file_id: str) -> FileRecord | None:
        """Give the file of that id."""
        found = self._files("WHERE file.id = ?", (file_id,))
        return found[0] if found else None

    def storages(self) -> list[StorageRecord]:
        """Give the places that files lie in."""
        return [STORAGE.record_of(row) for row in self._rows(STORAGE.select)]

    def _files(self, where: str, values: Sequence[object]) -> list[FileRecord]:
        split = len(DATA.columns)
        return [
            FileRecord(DATA.record_of(row[:split]), FILE.record_of(row[split:]))
            for row in self._rows(f"{_FILES} {where}", values)
        ]

    def _one(self, table: _Table[_Record], where: str, values: Sequence[object]) -> _Record | None:
        rows = self._rows(f"{table.select} WHERE {where}", values)
        return next((table.record_of(row) for row in rows), None)
