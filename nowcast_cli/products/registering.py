"""Files come into the index: to which instance they belong, and when it is complete. Pure.

The files of a request for one reference time go to its latest version. A new version begins where
one of them holds something else than a file of that name that is there already. Who registers a
file again has no effect, but that it joins the version that is being made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from nowcast_cli.products.completeness import all_missing, is_complete, without
from nowcast_cli.products.drafting import Draft
from nowcast_cli.products.request import BadRegistration, FoundFile, Registration
from nowcast_cli.store.product_records import (
    DataInstanceRecord,
    DataRecord,
    FileRecord,
    InstanceRecord,
)


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a file: ``is_new`` where it was not known before."""

    instance: str
    file: FileRecord
    is_new: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What a registration has done.

    ``instances`` are as they are now, with whether this made them complete; ``files`` in the order
    of the request; ``replaced`` are no more, as others have their place.
    """

    instances: tuple[tuple[InstanceRecord, bool], ...]
    files: tuple[Registered, ...]
    replaced: tuple[FileRecord, ...]


class _Added(NamedTuple):
    """A file that has come to an instance; ``counts``: it is no copy of one that is there."""

    record: FileRecord
    counts: bool


class Registering:
    """Takes in one registration.

    Parameters
    ----------
    draft
        The index; it is given what changes.
    expects
        What a new instance is to have (see ``products.completeness``).
    late_since
        Gives when the instance of a reference time was due, None where it is not late.
    """

    def __init__(
        self,
        draft: Draft,
        registration: Registration,
        expects: Mapping[str, Any] | None,
        late_since: Callable[[str], str | None],
        now: str,
        new_id: Callable[[], str],
    ) -> None:
        self._draft = draft
        self._registration = registration
        self._expects = expects
        self._late_since = late_since
        self._now = now
        self._new_id = new_id
        self._replaced: list[FileRecord] = []
        self._losing: set[str] = set()  # instances that lose, or take over, what there was

    def take(self) -> Taken:
        """Take the files in. Raises BadRegistration, before anything is changed."""
        by_reference: dict[str, list[FoundFile]] = {}
        for file in self._registration.files:
            by_reference.setdefault(file.reference, []).append(file)
        self._refuse_files_of_others()
        instances: list[tuple[InstanceRecord, bool]] = []
        registered: dict[str, Registered] = {}
        for reference, files in by_reference.items():
            instance, completed = self._of_one(reference, files, registered)
            instances.append((instance, completed))
        for instance_id in self._losing:
            left = self._draft.instance(instance_id)
            assert left is not None, "it had files"
            self._draft.put_instance(recounted(left, self._draft.files(instance_id), self._now))
        ordered = tuple(registered[file.url] for file in self._registration.files)
        return Taken(tuple(instances), ordered, tuple(self._replaced))

    def _refuse_files_of_others(self) -> None:
        urls: dict[str, str] = {}
        for file in self._registration.files:
            if urls.setdefault(file.url, file.sha256) != file.sha256:
                raise BadRegistration(f"{file.url} is named twice, with two checksums")
            at = self._draft.file_at(file.url)
            owner = None if at is None else self._draft.instance(at.data.instance)
            if owner is None:
                continue
            here = (self._registration.product, file.reference)
            if (owner.product, owner.reference) != here and at is not None:
                if at.file.sha256 != file.sha256:
                    continue  # it was written anew for another reference time
                raise BadRegistration(
                    f"{file.url} is registered already, as {owner.product} of {owner.reference}"
                )

    def _of_one(
        self, reference: str, files: list[FoundFile], registered: dict[str, Registered]
    ) -> tuple[InstanceRecord, bool]:
        latest = self._draft.version(self._registration.product, reference)
        instance, begun = latest, False
        if latest is None or latest.deleted or any(self._clashes(latest, f) for f in files):
            instance, begun = self._new(reference, latest), True
        assert instance is not None, "it is new where there was none"
        added: list[_Added] = []
        for file in files:
            if file.url not in registered:
                registered[file.url] = self._one(instance, file, added)
        if begun and latest is not None and instance.expects is None:
            self._carry(latest, instance)
        was_complete = instance.complete is not None
        changed = begun or bool(added) or instance.id in self._losing
        if instance.id in self._losing:
            self._losing.discard(instance.id)
            instance = recounted(instance, self._draft.files(instance.id), self._now)
        else:
            instance = self._with(instance, added)
        if not was_complete and is_complete(instance.expects, instance.missing, instance.files):
            late = self._late_since(reference)
            instance = replace(instance, complete=self._now, late=late)
        completed = instance.complete is not None and not was_complete
        if changed:
            self._draft.put_instance(instance, begun=begun, completed=completed)
        return instance, completed

    def _with(self, instance: InstanceRecord, added: Iterable[_Added]) -> InstanceRecord:
        """Give an instance with what has come to it: files that are new in it, and copies."""
        new = [each.record for each in added if each.counts]
        return replace(
            instance,
            files=instance.files + len(new),
            size=instance.size + sum(each.record.file.size for each in added),
            missing=without(instance.missing, instance.reference, (each.data for each in new)),
            modified=self._now,
        )

    def _new(self, reference: str, before: InstanceRecord | None) -> InstanceRecord:
        return InstanceRecord(
            self._new_id(),
            self._registration.product,
            reference,
            1 if before is None else before.version + 1,
            self._now,
            self._now,
            self._registration.job,
            expects=self._expects,
            missing=all_missing(self._expects),
        )

    def _clashes(self, instance: InstanceRecord, file: FoundFile) -> bool:
        """Say whether something else is there in the place of a file."""
        at = self._draft.file_at(file.url)
        if at is not None and at.data.instance == instance.id:
            return at.file.sha256 != file.sha256 and not at.file.partial
        for data in self._draft.data_named(instance.id, file.name):
            if _is_same(data, file):
                copies = [copy for copy in self._draft.copies(data) if not copy.partial]
                return bool(copies) and all(copy.sha256 != file.sha256 for copy in copies)
        return False

    def _one(self, instance: InstanceRecord, file: FoundFile, added: list[_Added]) -> Registered:
        at = self._draft.file_at(file.url)
        is_known = at is not None and at.file.sha256 == file.sha256
        if at is not None and is_known and at.file.partial == file.partial:
            if at.data.instance != instance.id:
                at = replace(at, data=self._move(at.data, instance))
            return Registered(instance.id, at, is_new=False)
        if at is not None:
            self._replace(at)
        data = self._same_data(instance, file)
        is_there = data is not None and any(not copy.partial for copy in self._draft.copies(data))
        if data is None:
            data = DataRecord(
                self._new_id(), instance.id, file.name, file.variables, file.begin, file.end,
                file.member, self._now, self._now,
            )  # fmt: skip
            self._draft.put_data(data)
        record = FileRecord(data, self._file(data, file))
        self._draft.put_file(record.file)
        added.append(_Added(record, not is_there and not file.partial))
        return Registered(instance.id, record, is_new=True)

    def _move(self, data: DataRecord, instance: InstanceRecord) -> DataRecord:
        """Let what an older version holds, with all copies, be this one's: it is part of it."""
        self._losing |= {data.instance, instance.id}
        moved = replace(data, instance=instance.id, modified=self._now)
        self._draft.put_data(moved)
        return moved

    def _replace(self, found: FileRecord) -> None:
        """Forget a file in whose place another one is by now."""
        self._losing.add(found.data.instance)
        self._draft.put_file(
            replace(found.file, deleted=self._now, removed=self._now, modified=self._now)
        )
        self._replaced.append(found)

    def _carry(self, before: InstanceRecord, instance: InstanceRecord) -> None:
        """Take over what is left of the version before, where any file will do."""
        for data in {each.data.id: each.data for each in self._draft.files(before.id)}.values():
            others = self._draft.data_named(instance.id, data.name)
            if not any(self._draft.copies(each) for each in others):
                self._move(data, instance)

    def _file(self, data: DataRecord, file: FoundFile) -> DataInstanceRecord:
        inputs: dict[str, Any] = {"files": list(file.inputs)} if file.inputs else {}
        if self._registration.step is not None:
            inputs["step"] = self._registration.step
        return DataInstanceRecord(
            self._new_id(), data.id, file.url, file.storage, file.format, file.size, file.sha256,
            file.partial, self._now, self._now, file.expires, inputs=inputs or None,
        )  # fmt: skip

    def _same_data(self, instance: InstanceRecord, file: FoundFile) -> DataRecord | None:
        """Give what the file holds, where the instance has, or had, that: it is a copy of it."""
        of_name = self._draft.data_named(instance.id, file.name)
        same = [(data, self._draft.copies(data)) for data in of_name if _is_same(data, file)]
        for data, copies in same:
            if any(copy.sha256 == file.sha256 for copy in copies):
                return data
        for data, copies in same:
            if not copies:  # it was here, and is to be again
                return data
        if not file.variables:
            return None  # two files of one content may well be two, such as lists of nothing
        for found in self._draft.files_with(file.sha256):
            if found.data.instance == instance.id and _is_same(found.data, file, by_name=False):
                return found.data
        return None


def recounted(instance: InstanceRecord, files: Iterable[FileRecord], now: str) -> InstanceRecord:
    """Give an instance that has lost files, as these are left; one without any is no more."""
    whole = list(files)
    data = {each.data.id: each.data for each in whole if not each.file.partial}
    missing = without(all_missing(instance.expects), instance.reference, data.values())
    complete = is_complete(instance.expects, missing, len(data))
    return replace(
        instance,
        files=len(data),
        size=sum(each.file.size for each in whole),
        missing=missing,
        complete=instance.complete if complete else None,
        deleted=instance.deleted if whole else (instance.deleted or now),
        modified=now,
    )


def _is_same(data: DataRecord, file: FoundFile, by_name: bool = True) -> bool:
    same = (data.variables, data.time_begin, data.time_end, data.member) == (
        file.variables, file.begin, file.end, file.member,
    )  # fmt: skip
    return same and (not by_name or data.name == file.name)
