"""The index as it will be with the changes of a turn that are not committed yet."""

from __future__ import annotations

from dataclasses import replace

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
)
from nowcast_cli.store.products import Products


class Draft:
    """What the index holds, and beside it what is to be written; :meth:`clear` once it is.

    ``taken`` gives the changes that came since it was called last.
    """

    def __init__(self, index: Products) -> None:
        self.index = index
        self._changes: list[ProductChange] = []
        self.clear()

    def clear(self) -> None:
        """Forget what was drafted: it is committed."""
        self._instances: dict[str, InstanceRecord] = {}
        self._latest: dict[tuple[str, str], str] = {}
        self._data: dict[str, DataRecord] = {}
        self._named: dict[tuple[str, str], list[str]] = {}
        self._files: dict[str, DataInstanceRecord] = {}
        self._urls: dict[str, list[str]] = {}
        self._digests: dict[str, list[str]] = {}

    def taken(self) -> list[ProductChange]:
        """Give the changes that are new, once."""
        changes, self._changes = self._changes, []
        return changes

    @property
    def drafted(self) -> int:
        """How many instances have changed, and are not committed so."""
        return len(self._instances)

    def put_instance(
        self, instance: InstanceRecord, *, begun: bool = False, completed: bool = False
    ) -> None:
        """Write an instance."""
        self._instances[instance.id] = instance
        if begun:
            self._latest[(instance.product, instance.reference)] = instance.id
        self._changes.append(InstancePut(instance, completed, begun))

    def put_product(self, product: ProductRecord) -> None:
        """Write what is known of a product."""
        self._changes.append(ProductPut(product))

    def put_data(self, data: DataRecord) -> None:
        """Write what a file holds."""
        self._data[data.id] = data
        self._named.setdefault((data.instance, data.name), []).append(data.id)
        self._changes.append(DataPut(data))

    def put_file(self, file: DataInstanceRecord) -> None:
        """Write a file."""
        self._files[file.id] = file
        self._urls.setdefault(file.url, []).append(file.id)
        self._digests.setdefault(file.sha256, []).append(file.id)
        self._changes.append(DataInstancePut(file))

    def instance(self, instance_id: str) -> InstanceRecord | None:
        """Give the instance of that id."""
        return self._instances.get(instance_id) or self.index.instance(instance_id)

    def version(self, product: str, reference: str) -> InstanceRecord | None:
        """Give the latest version for a reference time, whether or not it is there still."""
        drafted = self._latest.get((product, reference))
        if drafted is not None:
            return self._instances[drafted]
        found = self.index.version(product, reference)
        return None if found is None else self._instances.get(found.id, found)

    def file_at(self, url: str) -> FileRecord | None:
        """Give what is known of a URL."""
        for file_id in self._urls.get(url, ()):
            if self._files[file_id].deleted is None:
                return self._whole(self._files[file_id])
        return self._there(self.index.file_at(url))

    def files_with(self, sha256: str) -> list[FileRecord]:
        """Give the files that have this checksum, and are there."""
        kept = {each.file.id: each for each in self.index.files_with(sha256)}
        found = [self._there(each) for each in kept.values()]
        drafted = dict.fromkeys(self._digests.get(sha256, ()))
        found += [
            self._whole(self._files[each])
            for each in drafted
            if each not in kept and self._files[each].deleted is None
        ]
        return [each for each in found if each is not None]

    def data_named(self, instance_id: str, name: str) -> list[DataRecord]:
        """Give what an instance holds by that name, whether or not it is there still."""
        kept = self.index.data_named(instance_id, name)
        ids = dict.fromkeys([each.id for each in kept] + self._named.get((instance_id, name), []))
        known = {each.id: each for each in kept} | {
            each: self._data[each] for each in ids if each in self._data
        }
        mine = [each for each in known.values() if each.instance == instance_id]
        return sorted(mine, key=lambda each: each.id)

    def files(self, instance_id: str) -> list[FileRecord]:
        """Give the files of an instance that are there."""
        kept = {each.file.id: each for each in self.index.files(instance_id)}
        found = {each.file.id: each for each in map(self._there, kept.values()) if each is not None}
        for file in self._files.values():
            if file.deleted is None and file.id not in found:
                found[file.id] = self._whole(file)
        for data in self._data.values():  # what was another instance's until now
            if data.instance == instance_id:
                for each in self.copies(data):
                    found[each.id] = FileRecord(data, each)
        mine = [each for each in found.values() if each.data.instance == instance_id]
        return sorted(mine, key=lambda each: (each.data.name, each.data.id, each.file.id))

    def copies(self, data: DataRecord) -> list[DataInstanceRecord]:
        """Give the files that hold this, and are there."""
        kept = {each.id: each for each in self.index.copies(data.id)}
        kept |= {each.id: each for each in self._files.values() if each.data == data.id}
        return [each for each in kept.values() if each.deleted is None]

    def file(self, file_id: str) -> FileRecord | None:
        """Give the file of that id, whether or not it is there still."""
        if file_id in self._files:
            return self._whole(self._files[file_id])
        found = self.index.file(file_id)
        return None if found is None else self._drafted(found)

    def _there(self, found: FileRecord | None) -> FileRecord | None:
        if found is None:
            return None
        drafted = self._drafted(found)
        return drafted if drafted.file.deleted is None else None

    def _drafted(self, found: FileRecord) -> FileRecord:
        file, data = self._files.get(found.file.id), self._data.get(found.data.id)
        return replace(found, file=file or found.file, data=data or found.data)

    def _whole(self, file: DataInstanceRecord) -> FileRecord:
        data = self._data.get(file.data)
        if data is None:
            data = self.index.data(file.data)
            assert data is not None, "a file is written with what it holds"
        return FileRecord(data, file)
